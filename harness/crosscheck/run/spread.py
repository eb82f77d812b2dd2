"""How error / bound is distributed, counted in constant memory."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

__all__ = ["Spread", "bin_table"]

_EDGES = np.concatenate([[0.0], np.exp2(np.arange(-80, 1) / 4.0), [np.inf]])


class Spread:
    """The distribution of error / bound: a histogram, and the maximum.

    The bins hold exact zeros; then values up to 2^-20 and from there on up to each power of
    2^¼; the last one all above 1. The median is the upper edge of the bin it lies in.

    Args:
        counts: How many values each bin holds, int64; none if left out.
        largest: Of these values.
    """

    def __init__(self, counts: Any = None, largest: float = 0.0) -> None:
        self.counts = np.zeros(len(_EDGES), dtype=np.int64) if counts is None else counts
        self.largest = largest

    def add(self, values: Any) -> None:
        """Count each of ``values``, a float64 array."""
        if len(values) == 0:
            return
        self.counts += np.bincount(_bins(values), minlength=len(self.counts))
        self.largest = max(self.largest, float(np.max(values)))

    def merge(self, other: Spread) -> None:
        """Count what ``other`` has counted as well."""
        self.counts += other.counts
        self.largest = max(self.largest, other.largest)

    @property
    def total(self) -> int:
        """How many values there were."""
        return int(self.counts.sum())

    @property
    def median(self) -> float:
        """Upper edge of the bin that holds the median; 0 without values."""
        if not self.total:
            return 0.0
        position = int(np.searchsorted(np.cumsum(self.counts), (self.total + 1) // 2))
        return float(min(_EDGES[position], self.largest))

    def bins(self) -> list[tuple[float, int]]:
        """(upper edge, count) of every bin that is not empty; the last edge may be infinite."""
        return [(float(_EDGES[i]), int(count)) for i, count in enumerate(self.counts) if count]


def _bins(values: Any) -> Any:
    """How many edges are below each of ``values``, which are not negative."""
    edges, table, lower = bin_table()
    found = table.take(np.ascontiguousarray(values, dtype=np.float64).view(np.int64) >> lower)
    return found + (values > edges.take(found))


@cache
def bin_table() -> tuple[Any, Any, int]:
    """How the bin of a value is found: faster than by a binary search, which takes four times.

    Exponent and upper eight bits of the significand narrow it down to two neighbouring bins, since
    edges are further apart than that; one comparison decides.

    Returns:
        The upper edges of the bins, float64; the bin of the least number with given upper bits,
        uint8 (NaN counts as infinite); and how many bits lie below those. A value is in the bin
        that its upper bits tell, or in the next if it is above the edge of that.
    """
    lower = 52 - 8
    upper = np.arange(2**63 >> lower, dtype=np.int64)
    least = np.nan_to_num((upper << lower).view(np.float64), nan=np.inf)
    return _EDGES, np.searchsorted(_EDGES, least, side="left").astype(np.uint8), lower
