"""Measuring conventions: every formulation in every mode and dtype, at every point."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.isolated import Isolated
from crosscheck.frameworks.own_lines import NUMPY, SYMPY
from crosscheck.frameworks.pointwise import Point, Pointwise
from crosscheck.frameworks.refusals import CrashedError, reason_of
from crosscheck.frameworks.registry import Opened, Request, all_here, known, open_frameworks
from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.verdict import Kind
from crosscheck.operators.selections import Selection
from crosscheck.studies.conventions.apart import Found, measured_apart
from crosscheck.studies.conventions.points import SUBJECTS, Subject, points_of, spelled
from crosscheck.studies.conventions.table import ALL, Cell, Key, Row, Table, Wanted
from crosscheck.tools.interrupts import interrupts, may_be_the_users
from crosscheck.tools.processor import processor
from crosscheck.tools.words import cut, named

__all__ = ["OWN", "Source", "counts_of", "measure", "sources", "written"]

OWN = ("numpy", "sympy")
"""The rows that are not of a framework: the reference's ReLU, and symbolic differentiation."""

LONG = 67
"""Elements of the long array: whole vectors of any processor, and a remainder."""


def counts_of(unit: Subject) -> tuple[int, ...]:
    """How long the arrays are that a unit is measured in; what differs in them is noticed.

    Selections have an array of windows only: libraries compile for each shape anew.
    """
    return (LONG,) if isinstance(unit, Selection) else (1, LONG)


@dataclass(frozen=True, eq=False)
class Source:
    """Where rows come from.

    Attributes:
        name: As in the table.
        versions: Of its packages, in a word.
        lines: What to run.
        session: A context in which it can be run.
    """

    name: str
    versions: str
    lines: Pointwise
    session: Callable[[], AbstractContextManager[object]] = field(default=nullcontext)


def sources(
    names: Sequence[str] | None, opened: Callable[[Sequence[Request]], Iterable[Opened]] = all_here
) -> tuple[list[Source], list[FrameworkState]]:
    """Where the rows of the table come from.

    Args:
        names: Frameworks, ``numpy`` and ``sympy`` among them; ``None`` for all there are.
        opened: As of `crosscheck.frameworks.registry.open_frameworks`: here, if nothing is said.
            Those opened elsewhere are ended again; what can be measured is known then.

    Returns:
        The sources, and the states of the frameworks: one that is absent or broken has no
        source.

    Raises:
        UsageError: One is unknown, or was asked for and is absent.
    """
    wanted = None if names is None else [name for name in names if name not in OWN]
    frameworks: list[Framework] = []
    states: list[FrameworkState] = []
    if wanted is None or wanted:
        frameworks, states = open_frameworks(wanted, opened=opened)
        for each in frameworks:
            if isinstance(each, Isolated):
                each.close()
    versions = {state.name: state.versions for state in states}
    found = [
        Source(each.name, _versions(versions[each.name]), each.lines, each.session)
        for each in frameworks
        if each.lines is not None
    ]
    for name, lines in zip(OWN, (NUMPY, SYMPY), strict=True):
        if names is None or name in names:
            found.append(Source(name, _versions({name: importlib.metadata.version(name)}), lines))
    return found, states


def written() -> dict[str, Pointwise]:
    """The lines of everything that has rows, by name; no framework is imported."""
    found = {
        name: adapter.lines
        for name, adapter in known().items()
        if isinstance(adapter, type) and adapter.lines is not None
    }
    return {**found, **dict(zip(OWN, (NUMPY, SYMPY), strict=True))}


def _versions(packages: Mapping[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in packages.items())


def measure(
    found: Sequence[Source],
    *,
    wanted: Wanted = ALL,
    slow: bool = False,
    jobs: int | None = None,
    deadline: float | None = None,
    lost: dict[Key, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Table:
    """The table of conventions.

    Args:
        found: Where its rows come from.
        wanted: Only these formulations.
        slow: Measure the slow modes (compilers) as well.
        jobs: How many processes to measure in; this one, if nothing is said.
        deadline: Seconds that a convention may take in another process; any, if nothing is said.
        lost: Gets the conventions at which a framework tried to end the program, died or hung,
            with what came of it; the table has no rows of them.
        progress: Is told how many conventions are measured, of how many in all.

    Raises:
        UsageError: No source has any such formulation.
        CrashedError: A framework died, hung, or tried to end the program, and nobody asked for
            ``lost``.
    """
    versions = {source.name: source.versions for source in found}
    wanted.require_known(
        {
            (unit, formulation)
            for source in found
            for unit in SUBJECTS
            for formulation in source.lines.formulations(unit)
        }
    )
    chosen = {source: list(keys(source, wanted, slow)) for source in found}
    every = [key for each in chosen.values() for key in each]
    rows: dict[Key, Row] = {}
    without: dict[Key, str] = {}

    with interrupts() as held, closing(_measured(chosen, jobs, deadline)) as measured:
        for part in measured:
            with held():
                rows.update(part.rows)
                without.update(part.lost)
                if progress is not None:
                    progress(len(rows) + len(without), len(every))
    if without and lost is None:
        key, what = next(iter(without.items()))
        raise CrashedError(f"{key.framework}, {key.mode}, {key.unit}: {what}")
    if lost is not None:
        lost.update(without)
    return Table(
        versions,
        _environment(),
        {key: replace(rows[key], versions=versions[key.framework]) for key in every if key in rows},
        wanted,
    )


def _measured(
    chosen: Mapping[Source, Sequence[Key]], jobs: int | None, deadline: float | None
) -> Generator[Found, None, None]:
    """The rows, some at a time, as they are measured."""
    if jobs is None:
        for source, each in chosen.items():
            for key in each:
                yield _rows(source, [key])
        return
    wanted = [key for each in chosen.values() for key in each]
    yield from measured_apart(wanted, _part, jobs, deadline)


def _part(wanted: Sequence[Key]) -> Found:
    """Conventions of one framework, measured in a process of their own."""
    (source,), _ = sources([wanted[0].framework])
    return _rows(source, wanted)


def _rows(source: Source, wanted: Sequence[Key]) -> Found:
    """Rows of one source; where a library tries to end the program there is none."""
    rows: dict[Key, Row] = {}
    lost: dict[Key, str] = {}
    for key in wanted:
        try:
            rows.update(_measured_rows(source, [key]))
        except Exception:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and may_be_the_users():
                raise
            lost[key] = f"{Kind.CRASHED}: {reason_of(error)}"
    return Found(rows, lost)


def _measured_rows(source: Source, wanted: Sequence[Key]) -> dict[Key, Row]:
    with source.session(), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what libraries say of NaN is not asked
        return {key: _row(source.lines, key) for key in wanted}


def keys(source: Source, wanted: Wanted, slow: bool) -> Iterator[Key]:
    """The rows of one source."""
    lines = source.lines
    for unit in SUBJECTS:
        for formulation in lines.formulations(unit):
            if not wanted.has(unit, formulation):
                continue
            for mode in lines.modes_of(unit):
                if mode in lines.slow and not slow:
                    continue
                for dtype in lines.make:
                    yield Key(source.name, unit, formulation, mode, dtype)


def _row(lines: Pointwise, key: Key) -> Row:
    try:
        run = lines.measure(key.unit, key.formulation, key.mode)
    except Exception as error:  # the library's own words for what it cannot do
        return Row(unsupported=_said(error))
    unit = SUBJECTS[key.unit]
    cells = {
        name: _cell(run, key.dtype, point, counts_of(unit))
        for name, point in points_of(unit, key.dtype).items()
    }
    reasons = {cell.unsupported for cell in cells.values()}
    if len(reasons) == 1 and "" not in reasons:
        return Row(unsupported=reasons.pop())
    return Row(cells)


def _cell(
    run: Callable[[str, Sequence[Point]], tuple[list[float], list[Any]]],
    dtype: str,
    point: Point,
    counts: Sequence[int],
) -> Cell:
    def pairs(count: int) -> list[tuple[str, str]]:
        values, slopes = run(dtype, [point] * count)
        return [
            (spelled(value, point), spelled(slope, point))
            for value, slope in zip(values, slopes, strict=True)
        ]

    try:
        alone, *rest = [pair for count in counts for pair in pairs(count)]
        others = dict.fromkeys(pair for pair in rest if pair != alone)
    except Exception as error:  # as above
        return Cell(unsupported=_said(error))
    return Cell(*alone, tuple(sorted(others)))


_LONGEST = 200
"""Characters of what a library says that it cannot do."""
_NUMBERS = re.compile(r"0x[0-9a-fA-F]{6,}|(?<=_)\d+(?=\[)")
"""Places in memory, and the numbers of TensorFlow's graphs: others in each run."""


def _said(error: Exception) -> str:
    said = named(error, 10 * _LONGEST, first_line=True, silent=type(error).__name__)
    return cut(_NUMBERS.sub("…", said), _LONGEST)


def _environment() -> dict[str, str]:
    """What a convention may depend on besides versions."""
    return {"python": platform.python_version(), **processor()}
