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
    drops an exception that comes up in a callback of the garbage collector or in ``__del__``, and
    a library may catch one or make another of it; the interrupt is remembered and raised again at
    the end of the next block, or of this one, in place of an error that this one ends with.

    A process that ignores Ctrl-C goes on ignoring it: a shell script starts its background jobs
    so, since what is typed at the terminal is not meant for them.
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

    before = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread()
    if not ours or before in (signal.SIG_IGN, None):  # None: a program has Python inside it
        yield held
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield held
    except Exception as error:
        if pending:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)
    if pending:
        raise KeyboardInterrupt
