"""A word at once where something takes long before the command has anything to say.

On a busy machine it may be ten seconds until the libraries are imported, and who sees nothing for
so long takes the command for dead.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator

from crosscheck.cli.supervisor import is_program

__all__ = ["told_if_slow"]

_PATIENCE = 0.5
"""Seconds."""


@contextlib.contextmanager
def told_if_slow(what: str) -> Iterator[None]:
    """Says on the error output what is being done, if it is not done within half a second.

    Only where the process is the command: a program that calls `crosscheck.cli.main` says what it
    likes.

    Args:
        what: That.
    """
    if not is_program(sys.argv):
        yield
        return
    timer = threading.Timer(_PATIENCE, _say, (what,))
    timer.daemon = True  # it keeps no process from its end
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _say(what: str) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none
        sys.stderr.write(f"crosscheck: {what} …\n")
        sys.stderr.flush()
