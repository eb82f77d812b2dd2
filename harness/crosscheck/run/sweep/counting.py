"""The compiled form of `crosscheck.run.sweep.counts`: one pass over the cases of a part."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import uint64

from crosscheck.tools.compiling import kept

__all__ = ["count"]


@kept("part")
def count(
    codes: Any,
    bounds: Any,
    bits: Any,
    families: Any,
    span: Any,
    agreeing: int,
    disagreeing: int,
    table_of_bins: Any,
    into: Any,
) -> None:
    """Count the cases of a part.

    Args:
        codes: (frameworks, cases), int8: the verdicts, by number.
        bounds: (frameworks, cases), float64: error / bound, where a case AGREES.
        bits: The same memory, as uint64.
        families: (cases,), int8: by number.
        span: The first position, and the one behind the last.
        agreeing: Number of the verdict AGREES.
        disagreeing: Number of the verdict DISAGREES.
        table_of_bins: What `crosscheck.run.spread.bin_table` gives.
        into: What is counted: kinds, (frameworks, families, verdicts), int64, bins, (frameworks,
            bins), int64, and smooth, (1,), int64, are added to; the third of the four, the
            largest error / bound, (frameworks,), float64, is raised.
    """
    edges, table, lower = table_of_bins
    kinds, bins, largest, smooth = into
    # Nearly all cases AGREE; how many of a family do is what the other verdicts leave.
    rows, start, end = len(codes), uint64(span[0]), uint64(span[1])
    for row in range(rows):
        most = largest[row]
        for position in range(start, end):
            code = codes[row, position]
            if code != agreeing:
                kinds[row, families[position], code] += 1
                continue
            value = bounds[row, position]
            found = uint64(table[bits[row, position] >> uint64(lower)])
            found += uint64(value > edges[found])
            bins[row, found] += 1
            most = max(most, value)
        largest[row] = most
    of_family = np.zeros(kinds.shape[1], dtype=np.int64)
    for position in range(start, end):
        of_family[families[position]] += 1
        for row in range(rows):
            if codes[row, position] in (agreeing, disagreeing):
                smooth[0] += 1
                break
    for row in range(rows):
        kinds[row, :, agreeing] += of_family - kinds[row].sum(axis=1)
