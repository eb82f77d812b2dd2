"""The arithmetic of this thread: to nearest, and with subnormal numbers.

Every bound here is computed in float64 and rests on IEEE 754: rounding to nearest, gradual
underflow. Both are a mode of the processor, kept for each thread, which any library in the process
may change: ``torch.set_flush_denormal(True)`` does, and so does loading a library that was linked
with ``-ffast-math``. Where subnormal numbers are read as zero, every 2^-1074 in a bound is 0 and no
bound holds. So each judgement looks first, and if the mode is another one it is done in the default
mode, C's ``FE_DFL_ENV``; afterwards the mode is what it was, for it is the user's or a framework's,
whose results are to be what they are without the harness. Where C's library offers no way to do
so, a judgement is refused.
"""

from __future__ import annotations

import ctypes
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar

from crosscheck.tools.errors import UsageError

__all__ = ["TINY", "ArithmeticModeError", "ieee_arithmetic", "in_ieee_arithmetic", "is_ieee"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

_ROOM = 512
"""Bytes for C's ``fenv_t``: 32 on x86-64, 8 on AArch64, 16 on macOS."""

TINY: float = struct.unpack("<d", (1).to_bytes(8, "little"))[0]
"""η = 2^-1074 of float64, by its bits.

As a power it would be computed when a module is compiled, and where subnormal numbers are flushed
then, Python would keep 0 in its place on disk, for every process that comes after.
"""

# Looked up when the sum is formed: the interpreter folds constants when it compiles.
_one, _half, _sixty, _normal = 1.0, 0.5, 2.0**60, 2.0**-1022
_tie, _above = 2.0**-53, 1.5 * 2.0**-53


class ArithmeticModeError(UsageError):
    """This thread's arithmetic is not IEEE 754's default, and cannot be set to it."""


def is_ieee() -> bool:
    """Whether this thread rounds to nearest and keeps subnormal operands and results."""
    return (
        TINY * _sixty > 0.0
        and _normal * _half > 0.0
        and _one + _tie == _one
        and _one + _above > _one
        and -_one - _above < -_one
    )


@contextmanager
def ieee_arithmetic() -> Iterator[None]:
    """A block in which this thread rounds to nearest and keeps subnormal numbers.

    Raises:
        ArithmeticModeError: That cannot be had.
    """
    if is_ieee():
        yield
        return
    environment = _environment()
    if environment is None:
        raise ArithmeticModeError(_REFUSED)
    get, set_, default = environment
    before = ctypes.create_string_buffer(_ROOM)
    get(before)
    set_(default)
    try:
        if not is_ieee():
            raise ArithmeticModeError(_REFUSED)
        yield
    finally:
        set_(before)


_REFUSED = (
    "this thread's arithmetic replaces subnormal numbers by zero or does not round to nearest, "
    "where no bound holds: call torch.set_flush_denormal(False), or keep the code that changes it "
    "in a process of its own"
)


def in_ieee_arithmetic(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A function whose calls are `ieee_arithmetic` blocks."""

    @wraps(function)
    def called(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        if is_ieee():
            return function(*args, **kwargs)
        with ieee_arithmetic():
            return function(*args, **kwargs)

    return called


@cache
def _environment() -> tuple[Callable[..., Any], Callable[..., Any], Any] | None:
    """C's ``fegetenv``, ``fesetenv`` and ``FE_DFL_ENV`` (C17, 7.6); ``None`` without them."""
    try:
        library = ctypes.CDLL(None)
        get, set_ = library.fegetenv, library.fesetenv
        if sys.platform == "darwin":
            default: Any = ctypes.byref(ctypes.c_char.in_dll(library, "_FE_DFL_ENV"))
        else:
            default = ctypes.c_void_p(-1)  # as glibc and musl define it
    except (OSError, AttributeError, TypeError, ValueError):
        return None
    return get, set_, default
