"""Memory of large arrays, kept between one and the next."""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = ["keep_freed_memory"]

_MOST = 2**25 - 2**13
"""Bytes: just below the largest block for which glibc raises its threshold, 32 MiB."""


@cache
def keep_freed_memory() -> None:
    """Have the C library keep some of the memory that large arrays free.

    glibc asks the system for every block above a threshold, 128 KiB at first, and gives it back
    when it is freed: a new array then costs a page fault for each 4 KiB, which can take longer than
    what is computed in it. The threshold rises to the size of the largest such block that was freed
    (mallopt(3), ``M_MMAP_THRESHOLD``), and twice as much is kept at most. One block that is never
    touched is enough, and costs nothing. With other C libraries this has no effect.
    """
    np.empty(_MOST, dtype=np.uint8)
