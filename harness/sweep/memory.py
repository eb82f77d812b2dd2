"""Freed memory stays with a process that sweeps."""

from __future__ import annotations

import ctypes

__all__ = ["keep_freed_memory"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD in <malloc.h>
_KEPT = 2**29
_FROM_HEAP = 2**25  # the most that glibc takes


def keep_freed_memory() -> bool:
    """Have the C library keep what is freed, up to 512 MiB, for what is allocated next.

    The gradients of a batch are megabytes that live until they are compared. glibc gives so much
    back to the system when it is freed, and the next batch pays for every page anew, seven
    hundredths of the time of a sweep.

    Returns:
        Whether the C library does so; others than glibc have ways of their own.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS; Windows
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT) and mallopt(_MMAP_THRESHOLD, _FROM_HEAP))
