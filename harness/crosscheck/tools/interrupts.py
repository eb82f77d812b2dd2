"""Ctrl-C that neither cuts a result in half nor gets lost."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["interrupts", "may_be_the_users"]


class _Handler:
    """What `interrupts` has for the signal.

    Attributes:
        pending: Whether one has come.
        holding: Whether it is to wait.
    """

    def __init__(self) -> None:
        self.pending = self.holding = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.pending = True
        if not self.holding:
            raise KeyboardInterrupt


def may_be_the_users() -> bool:
    """Whether a `KeyboardInterrupt` that is under way may come from the user's Ctrl-C.

    It does not if none can come: in a thread that is not the main one, in a process that ignores
    them, or within `interrupts` when none has come. Then a library has raised it by itself.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    handler = signal.getsignal(signal.SIGINT)
    return handler.pending if isinstance(handler, _Handler) else handler is not signal.SIG_IGN


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
    handler = _Handler()

    @contextlib.contextmanager
    def held() -> Iterator[None]:
        handler.holding = True
        try:
            yield
        finally:
            handler.holding = False
        if handler.pending:
            raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread()
    if not ours or before in (signal.SIG_IGN, None):  # None: a program has Python inside it
        yield held
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield held
    except BaseException as error:
        if handler.pending and not isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)
    if handler.pending:
        raise KeyboardInterrupt
