"""How long is waited for what should have come: one factor for slow and busy machines.

The variable CROSSCHECK_PATIENCE multiplies every time after which something is taken not to come
that the user has not set: a process that starts, one that is to end by itself, a cluster that is to
answer, and what the tests wait for. None of these decides a verdict: whoever waits too short gets
an error, or kills what would have ended, and never another result. Deadlines of answers are the
user's (`--deadline`); only where nothing is said are the defaults multiplied as well.

Nothing but the standard library is imported.
"""

from __future__ import annotations

import math
import os

__all__ = ["PATIENCE", "factor_complaint", "patient"]

PATIENCE = "CROSSCHECK_PATIENCE"


def _factor() -> float | None:
    """What `PATIENCE` says: 1 where it says nothing, ``None`` where it is no number above 0."""
    said = os.environ.get(PATIENCE, "").strip() or "1"
    try:
        factor = float(said)
    except ValueError:
        return None
    return factor if 0 < factor < math.inf else None


def factor_complaint() -> str:
    """What is wrong with `PATIENCE`, in a line; empty if nothing is."""
    if _factor() is not None:
        return ""
    return f"{PATIENCE}={os.environ[PATIENCE]!r}: wanted a number above 0, such as 3"


def patient(seconds: float) -> float:
    """A time to wait on this machine.

    Args:
        seconds: What is many times enough on a machine that does nothing else.

    Returns:
        So many times of it as `PATIENCE` says; without it, or where that is no number above 0, it.
    """
    return seconds * (_factor() or 1.0)
