"""How a process comes to replace subnormal numbers by zero. Never this one: it would not end there.

A thread's mode is inherited by the threads it starts, and a library's threads keep theirs when it
is set back. So tests do this in processes of their own.
"""

from __future__ import annotations

import platform
import sys

import pytest

__all__ = ["FLUSH", "needs_x86"]

FLUSH = """
import ctypes
_room = ctypes.create_string_buffer(512)
ctypes.CDLL(None).fegetenv(_room)
_mode = int.from_bytes(_room[28:32], "little") | 0x8040  # MXCSR: FTZ and DAZ
_room[28:32] = _mode.to_bytes(4, "little")
ctypes.CDLL(None).fesetenv(_room)
"""
"""Python that does to its thread what ``torch.set_flush_denormal(True)`` does; glibc, x86-64."""

needs_x86 = pytest.mark.skipif(
    not (sys.platform == "linux" and platform.machine() == "x86_64"),
    reason="the place of the mode in C's fenv_t is that of glibc on x86-64",
)
