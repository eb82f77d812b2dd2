"""Measuring conventions: every formulation in every mode and dtype, at every point."""

from __future__ import annotations

import importlib.metadata
import platform
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import numpy as np

from harness.conventions.points import points_of, spelled
from harness.conventions.table import Cell, Key, Row, Table
from harness.events import FrameworkState
from harness.frameworks.base import Framework
from harness.frameworks.own_lines import NUMPY, SYMPY
from harness.frameworks.pointwise import Pointwise
from harness.frameworks.registry import open_frameworks
from harness.units import UNITS

__all__ = ["OWN", "Source", "measure", "sources"]

OWN = ("numpy", "sympy")
"""The rows that are not of a framework: the reference's ReLU, and symbolic differentiation."""

LONG = 67
"""Elements of the long array: whole vectors of any processor, and a remainder."""


@dataclass(frozen=True)
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


def sources(names: Sequence[str] | None) -> tuple[list[Source], list[FrameworkState]]:
    """Where the rows of the table come from.

    Args:
        names: Frameworks, ``numpy`` and ``sympy`` among them; ``None`` for all there are.

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
        frameworks, states = open_frameworks(wanted)
    found = [
        Source(each.name, _versions(each.versions()), each.lines, each.session)
        for each in frameworks
        if each.lines is not None
    ]
    for name, lines in zip(OWN, (NUMPY, SYMPY), strict=True):
        if names is None or name in names:
            found.append(Source(name, _versions({name: importlib.metadata.version(name)}), lines))
    return found, states


def _versions(packages: dict[str, str]) -> str:
    return ", ".join(f"{package} {version}" for package, version in packages.items())


def measure(
    found: Sequence[Source],
    *,
    formulations: Collection[str] | None = None,
    slow: bool = False,
    progress: Callable[[Key], None] | None = None,
) -> Table:
    """The table of conventions.

    Args:
        found: Where its rows come from.
        formulations: Only formulations or units of these names.
        slow: Measure the slow modes (compilers) as well.
        progress: Is told of each row before it is measured.
    """
    rows = {}
    for source in found:
        for key in keys(source, formulations, slow):
            if progress is not None:
                progress(key)
            with source.session(), warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")  # what libraries say of NaN is not asked
                rows[key] = _row(source.lines, key)
    return Table(
        {source.name: source.versions for source in found},
        _environment(),
        rows,
        frozenset(source.name for source in found if slow and source.lines.slow),
    )


def keys(source: Source, formulations: Collection[str] | None, slow: bool) -> Iterator[Key]:
    """The rows of one source."""
    lines = source.lines
    for unit in UNITS:
        for formulation in lines.formulations(unit):
            if formulations is not None and not {formulation, unit} & set(formulations):
                continue
            for mode in lines.modes:
                if mode in lines.slow and not slow:
                    continue
                for dtype in lines.make:
                    yield Key(source.name, unit, formulation, mode, dtype)


def _row(lines: Pointwise, key: Key) -> Row:
    try:
        run = lines.measure(key.unit, key.formulation, key.mode)
        return Row(
            {
                name: _cell(run, key.dtype, point)
                for name, point in points_of(UNITS[key.unit], key.dtype).items()
            }
        )
    except Exception as error:  # the library's own words for what it cannot do
        said = " ".join((str(error).strip() or type(error).__name__).splitlines()[0].split())
        return Row(unsupported=f"{type(error).__name__}: {said[:200]}")


def _cell(
    run: Callable[[str, list[float]], tuple[list[float], list[float]]], dtype: str, point: float
) -> Cell:
    def pairs(count: int) -> list[tuple[str, str]]:
        values, slopes = run(dtype, [point] * count)
        return [
            (spelled(value, point), spelled(slope, point))
            for value, slope in zip(values, slopes, strict=True)
        ]

    (alone,) = pairs(1)
    others = dict.fromkeys(pair for pair in pairs(LONG) if pair != alone)
    return Cell(*alone, tuple(sorted(others)))


def _environment() -> dict[str, str]:
    """What a convention may depend on besides versions."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    try:
        features = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
        found["vectors"] = next(
            name for name in ("AVX512_SKX", "AVX2", "ASIMD", "SSE2") if features.get(name)
        )
    except (AttributeError, StopIteration):
        found["vectors"] = "unknown"
    return found
