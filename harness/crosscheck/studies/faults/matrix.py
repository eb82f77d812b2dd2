"""The kill matrix: each fault of the catalogue on each road, and put to other checkers.

The other checkers get, of each fault, ten cases that it changes: Gaussian networks, and where it
changes none of two hundred of these, networks of small whole numbers, which have kinks. They are
asked case by case, as their users do.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.arrays import Array
from crosscheck.studies import peers
from crosscheck.studies.faults.catalogue import CATALOGUE
from crosscheck.studies.faults.fault import ROADS, Fault
from crosscheck.studies.faults.handwritten import HandWritten
from crosscheck.studies.faults.planted import Planted
from crosscheck.studies.faults.roads import SEED, travel
from crosscheck.studies.power import gaussian_stack

__all__ = [
    "NO_FAULT",
    "SHAPES",
    "catalogue_digest",
    "expectations",
    "matrix",
    "row",
    "source_digest",
]

SHAPES = ((4, 8, 1), (16, 32, 32, 4))
"""Widths of the networks that other checkers get; wider ones take them minutes a case."""

_ROWS, _CASES, _TRIED = 4, 10, 200

_kept: dict[str, Any] = {}
"""Numeric Jacobians of the cases that come again and again."""

NO_FAULT = Fault(
    "no fault", "none", "the gradient by hand, right", "loss", lambda value, at: value, caught=()
)
"""What none of the roads may catch."""


def expectations(fault: Fault) -> dict[str, Any]:
    """What the catalogue says of a fault, as JSON."""
    return {
        "kind": fault.kind,
        "says": fault.says,
        "role": fault.role,
        "within": fault.within,
        "dtypes": list(fault.dtypes),
        "must": list(fault.caught),
        "why": fault.why,
    }


def catalogue_digest(catalogue: Mapping[str, Fault] = CATALOGUE) -> str:
    """16 hexadecimal digits that change with the names and expectations of the catalogue."""
    content = {name: expectations(fault) for name, fault in catalogue.items()}
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def source_digest() -> str:
    """16 hexadecimal digits that change with the package's sources."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def matrix(
    faults: Sequence[Fault],
    *,
    done: Mapping[str, Any],
    jobs: int,
    tell: Callable[[str, dict[str, Any]], None],
) -> dict[str, Any]:
    """A row for each fault, as JSON.

    Args:
        faults: The first of them `NO_FAULT`.
        done: Rows that are known already.
        jobs: How many processes to use.
        tell: Takes each row as it comes.
    """
    rows = {fault.name: done[fault.name] for fault in faults if fault.name in done}
    left = [fault.name for fault in faults if fault.name not in rows]
    if jobs == 1 or len(left) < 2:
        for name in left:
            rows[name] = row(name)
            tell(name, rows[name])
    else:
        # Not forked: threads of the libraries would not be there.
        with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
            tasks = {pool.submit(row, name): name for name in left}
            for task in as_completed(tasks):
                rows[tasks[task]] = task.result()
                tell(tasks[task], rows[tasks[task]])
    return {fault.name: rows[fault.name] for fault in faults}


def row(name: str) -> dict[str, Any]:
    """What became of one fault of the catalogue, as JSON.

    Args:
        name: Of the fault, or that of `NO_FAULT`.
    """
    fault = CATALOGUE.get(name, NO_FAULT)
    caught: dict[str, dict[str, Any] | None] = {}
    for road in ROADS:
        if road == "default" and caught["quick"] is not None:
            # It draws more of the same cases.
            caught[road] = {**caught["quick"], "by": "quick"}
            continue
        found = travel(road, fault)
        caught[road] = None if found is None else asdict(found)
    asked = {}
    for widths in SHAPES:
        asked[",".join(map(str, widths))] = _peers(fault, widths)
    return {**expectations(fault), "caught": caught, "peers": asked}


def _peers(fault: Fault, widths: tuple[int, ...]) -> dict[str, list[int]]:
    """Checker to [how many of the cases it rejects, how many it was asked]."""
    dtypes = [dtype for dtype in fault.dtypes if dtype in ("float64", "float32")]
    if not dtypes or fault.within:
        return {}
    chosen = list(_changed(fault, widths, dtypes[0]))
    found = {}
    with peers.numeric_kept(_kept):
        for checker in peers.CHECKERS if chosen else ():
            rejected = sum(not peers.accepts(checker, case, given) for case, given in chosen)
            found[checker] = [rejected, len(chosen)]
    return found


def _changed(fault: Fault, widths: tuple[int, ...], dtype: str) -> Iterator[tuple[Case, Gradients]]:
    """Cases whose gradient the fault changes, with the wrong gradient; ten at most."""
    for stack in _streams(widths, dtype):
        wrong: Framework = Planted(fault)
        right = HandWritten()
        found = 0
        for index in range(_TRIED if fault is not NO_FAULT else _CASES):
            case = stack[index]
            given, wanted = wrong.gradients(case), right.gradients(case)
            if fault is NO_FAULT or _differ(given, wanted):
                yield case, given
                found += 1
                if found == _CASES:
                    return
        if found:
            return


@cache
def _streams(widths: tuple[int, ...], dtype: str) -> tuple[Case, Case]:
    rng = np.random.Generator(np.random.Philox([SEED, zlib.crc32(dtype.encode())]))

    def whole(*shape: int) -> Array:
        return rng.integers(-1, 1, (_TRIED, *shape), endpoint=True).astype(np.float64)

    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    kinks = Case.of(
        [whole(*pair) for pair in pairs],
        [whole(units) for units, _ in pairs],
        whole(_ROWS, widths[0]),
        whole(_ROWS, widths[-1]),
        dtype=dtype,
    )
    return gaussian_stack(widths, rows=_ROWS, count=_TRIED, dtype=dtype, seed=SEED), kinks


def _differ(one: Gradients, other: Gradients) -> bool:
    """Whether two gradients differ, not counting the loss: checkers differentiate that anyway."""
    return any(
        not np.array_equal(given, wanted, equal_nan=True)
        for (name, given), (_, wanted) in zip(one.entries(), other.entries(), strict=True)
        if name != "J"
    )
