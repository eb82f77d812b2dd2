"""Memory that a sweep uses again and again: touching new pages costs more than the work."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

__all__ = ["idle", "keep_freed_memory"]

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


_MOST_KEPT = 16
_threads = threading.local()


def idle(what: str, key: Any) -> list[Any]:
    """What this thread has of a kind and does not use at the moment.

    The kinds that were asked for least recently are dropped.
    """
    kinds: dict[Any, list[Any]] = vars(_threads).setdefault("kinds", {})
    found = kinds.pop((what, key), [])
    kinds[what, key] = found
    while len(kinds) > _MOST_KEPT:
        del kinds[next(iter(kinds))]
    return found
