"""The verdicts on the cases of a part, counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.cases.stream.families import FAMILIES
from crosscheck.judge.verdict import Kind
from crosscheck.numbers.arrays import Array
from crosscheck.run.spread import Spread, bin_table
from crosscheck.tools.compiling import is_compiled

__all__ = ["AGREES", "KINDS", "NAMES", "Counts", "counted"]

NAMES = tuple(FAMILIES)
"""The families, by number."""

KINDS = tuple(Kind)
"""The verdicts, by number."""

AGREES = KINDS.index(Kind.AGREES)
_DISAGREES = KINDS.index(Kind.DISAGREES)


@dataclass(frozen=True, eq=False)
class Counts:
    """What is counted of some cases.

    Attributes:
        kinds: (frameworks, families, verdicts), int64: how many cases.
        spreads: One for each framework: error / bound of the cases that AGREE.
        smooth: How many cases at least one framework AGREES or DISAGREES on.
    """

    kinds: NDArray[np.int64]
    spreads: tuple[Spread, ...]
    smooth: int


def counted(
    codes: NDArray[np.int8], bounds: Array, families: NDArray[np.int8], first: int, last: int
) -> Counts:
    """Count the cases from position ``first`` up to ``last``.

    Args:
        codes: (frameworks, cases): the verdicts, by number.
        bounds: (frameworks, cases): error / bound where a case AGREES, not negative.
        families: (cases,): by number.
        first: The first position.
        last: The one behind the last.
    """
    count = _compiled if is_compiled() else _readable
    return count(codes, bounds, families, first, last)


def _readable(
    codes: NDArray[np.int8], bounds: Array, families: NDArray[np.int8], first: int, last: int
) -> Counts:
    here = slice(first, last)
    codes, bounds, families = codes[:, here], bounds[:, here], families[here]
    kinds = np.zeros((len(codes), len(NAMES), len(KINDS)), dtype=np.int64)
    spreads = []
    for row in range(len(codes)):
        np.add.at(kinds[row], (families, codes[row]), 1)
        spreads.append(Spread())
        spreads[row].add(bounds[row, codes[row] == AGREES])
    compared = (codes == AGREES) | (codes == _DISAGREES)
    return Counts(kinds, tuple(spreads), int(compared.any(axis=0).sum()))


def _compiled(
    codes: NDArray[np.int8], bounds: Array, families: NDArray[np.int8], first: int, last: int
) -> Counts:
    from crosscheck.run.sweep.counting import count

    rows = len(codes)
    table = bin_table()
    kinds = np.zeros((rows, len(NAMES), len(KINDS)), dtype=np.int64)
    bins = np.zeros((rows, len(table[0])), dtype=np.int64)
    largest, smooth = np.zeros(rows), np.zeros(1, dtype=np.int64)
    count(
        codes,
        bounds,
        bounds.view(np.uint64),
        families,
        (first, last),
        AGREES,
        _DISAGREES,
        table,
        (kinds, bins, largest, smooth),
    )
    spreads = map(Spread, bins, largest.tolist())
    return Counts(kinds, tuple(spreads), int(smooth[0]))
