"""The process that watches the one that works: it does not end with 0 unless that came to its end.

Whatever a framework does, it does it in the process of the command, and a library that calls
``os._exit(0)`` there, from a thread or a handler of its own as well, ends it at once and with
success: no report is written, and a CI job is green. So the work is done in a child, which says
with which exit code it comes to its end, its *end mark*, as the last thing it does; and the parent,
which imports next to nothing, waits for it:

=========================================  =====================================================
the child                                  exit code
=========================================  =====================================================
wrote its mark m, and ended with m         m
wrote m, and ended otherwise               m, or if that is 0 what it ended with; 1 for a signal
wrote none                                 1, with one line that says how it ended
died of a signal that was meant for both   the parent dies of the same
=========================================  =====================================================

The child is forked before anything is imported that has threads, which costs a millisecond. Both
are in one process group: what is typed at the terminal reaches the child by itself, and what is
sent to the parent by its number is passed on. On Linux the child does not outlive a parent that is
killed. Where there is no fork, as on Windows, the work is done without a parent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence

from crosscheck.workers.orphans import end_with

__all__ = ["is_program", "needs_none", "supervised"]

_PASSED_ON = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGABRT", "SIGUSR1", "SIGUSR2")
_CRASHED = 1  # as `crosscheck.run.events.ExitCode`, which is not imported here


def is_program(argv: Sequence[str]) -> bool:
    """Whether this process was started as the command, and not by a program with one of its own.

    Args:
        argv: Its words, the program first: a script of that name, or ``python -m crosscheck``.
    """
    path, name = os.path.split(argv[0])
    stem = name.removesuffix(".exe").removesuffix(".py").removesuffix("-script")
    return stem == "crosscheck" or (name, os.path.basename(path)) == ("__main__.py", "crosscheck")


def needs_none(argv: Sequence[str]) -> bool:
    """Whether the command does not come near a framework, so that nobody has to watch it."""
    words = set(argv[1:])
    return (
        "_CROSSCHECK_COMPLETE" in os.environ  # the shell asks for completions
        or not words
        or bool(words & {"-h", "--help", "--version"})
        or argv[1] in ("completion", "report")
    )


def supervised(work: Callable[[], int]) -> int:
    """Do ``work`` in a child, and say how it ended; the child returns from here too.

    Args:
        work: Gives the exit code.

    Returns:
        In the parent, what the table in this module's docstring says; in the child, that of
        ``work``.
    """
    if not hasattr(os, "fork"):
        return work()
    reader, writer = os.pipe()
    numbers = {signal.Signals[name] for name in _PASSED_ON}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*numbers, signal.SIGCHLD})
    parent, child = os.getpid(), os.fork()
    if child == 0:
        own = os.getpid()
        end_with(parent)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(reader)
        code = work()
        if os.getpid() == own:  # a library may fork, and come back from that twice
            os.write(writer, b"%d" % code)
        return code
    os.close(writer)
    code, seen = _waited_for(child, numbers)
    # Something that the child has started may hold the other end open for longer.
    os.set_blocking(reader, False)
    mark = b""
    with contextlib.suppress(BlockingIOError):
        mark = os.read(reader, 16)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return _concluded(code, int(mark) if mark else None, seen)


def _waited_for(child: int, numbers: set[signal.Signals]) -> tuple[int, set[int]]:
    """How the child ended, a signal as a negative number; and the signals that came before that."""
    # One that is ignored need not be kept for whoever waits for it.
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    seen: set[int] = set()
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), seen
        number, is_for_both = _next_signal({*numbers, signal.SIGCHLD})
        if number == signal.SIGCHLD:
            continue
        seen.add(number)
        if not is_for_both:
            os.kill(child, number)  # it has not been waited for, so the number is still its own


def _next_signal(numbers: set[signal.Signals]) -> tuple[int, bool]:
    """The next signal, and whether the child has got it too."""
    if sys.platform == "linux":
        found = signal.sigwaitinfo(numbers)
        return found.si_signo, found.si_code > 0  # from the kernel: typed, or the terminal is gone
    number = signal.sigwait(numbers)
    return number, number == signal.SIGINT and _is_in_foreground()


def _is_in_foreground() -> bool:
    try:
        return os.tcgetpgrp(sys.__stderr__.fileno()) == os.getpgrp() if sys.__stderr__ else False
    except OSError:
        return False


def _concluded(code: int, mark: int | None, seen: set[int]) -> int:
    """The exit code of both.

    Args:
        code: With which the child ended; a signal is a negative number.
        mark: What it wrote at its end, if it came that far.
        seen: Signals that came.
    """
    if mark is not None and (mark or code == 0):
        return mark
    if -code in seen:
        _die_of(-code)
    if mark is not None and code > 0:
        return code
    ended = f"ended with {code}" if code >= 0 else f"was ended by {_name(-code)}"
    when = "after its last words" if mark is not None else "before it had come to its end"
    print(
        f"crosscheck: the process of this command {ended} {when}: most likely a framework has "
        "called os._exit() or crashed; 'crosscheck doctor' examines each by itself",
        file=sys.stderr,
    )
    return _CRASHED


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _die_of(number: int) -> None:
    """End this process as the child was ended, which whoever waits may want to see."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the child has left one, if wanted
    with contextlib.suppress(OSError):  # SIGKILL has no other way
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
