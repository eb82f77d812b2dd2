"""Processes that do not outlive the one that started them.

Nothing but the standard library is imported, and little of that, since the process that watches a
command (`crosscheck.cli.supervisor`) takes this too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

__all__ = ["end_with"]

_ENDED = 1
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>


def end_with(parent: int) -> None:
    """Have this process be killed when its parent is; on Linux, whatever it is at then.

    Args:
        parent: Its number, from before this process was started.
    """
    if sys.platform != "linux":
        return
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was killed before that
        os._exit(_ENDED)
