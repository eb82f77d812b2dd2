"""Ctrl-C that neither cuts a result in half nor gets lost."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["interrupts"]


@contextlib.contextmanager
def interrupts() -> Iterator[Callable[[], contextlib.AbstractContextManager[None]]]:
    """Interrupts that wait for their turn, and that no library can swallow.

    Within, Ctrl-C raises `KeyboardInterrupt` as ever, but in a block of the context manager that
    is given it does so at the end of the block, so that no result is counted by half. Python
    drops an exception that comes up in a callback of the garbage collector or in ``__del__``; the
    interrupt is remembered and raised again at the end of the next block, or of this one.
    """
    pending, holding = False, False

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal pending
        pending = True
        if not holding:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def held() -> Iterator[None]:
        nonlocal holding
        holding = True
        try:
            yield
        finally:
            holding = False
        if pending:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield held
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield held
    finally:
        signal.signal(signal.SIGINT, before)
    if pending:
        raise KeyboardInterrupt
