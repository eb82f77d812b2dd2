"""How the functions of the compiled passes are compiled: inlined into their callers, or called."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from numba import njit

__all__ = ["called", "inlined"]

P = ParamSpec("P")
R = TypeVar("R")

_INNER = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Only compiled code calls them: what would let Python call them takes long to compile."""


def inlined(function: Callable[P, R]) -> Callable[P, R]:
    """Compiled as a part of whatever calls it."""
    found: Callable[P, R] = njit(forceinline=True, **_INNER)(function)
    return found


def called(function: Callable[P, R]) -> Callable[P, R]:
    """Compiled as a function of its own: for what is called from several places, or seldom.

    numba would have it inlined as well where its caller is, unless told.
    """
    found: Callable[P, R] = njit(forceinline=False, nogil=True, **_INNER)(function)
    return found
