"""The process of a worker: it does what it is sent, one call after the other.

What it is sent comes through what was its standard input, and answers go where its standard output
went. Both are put where no library looks for them before anything else is imported: who reads the
standard input finds it empty, and what is printed goes to the standard error output, so that it is
in nobody's JSON; whoever closes either closes nothing else.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import signal
import sys

from crosscheck.workers.orphans import end_with
from crosscheck.workers.wire import answer_of, read, write

__all__ = ["serve"]


def serve(parent: int) -> None:
    """Answer until there is nobody any more to ask; the process then ends at once.

    Threads that a library has left behind, and what it would do at the end, are not waited for.

    Args:
        parent: The process that asks.
    """
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who watches
    with (
        open(os.dup(0), "rb", buffering=0) as requests,
        open(os.dup(1), "wb", buffering=0) as replies,
    ):
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        with contextlib.suppress(OSError):
            os.dup2(nothing, 1)
            os.dup2(2, 1)
        os.close(nothing)
        with contextlib.suppress(OSError, ValueError, AttributeError):
            faulthandler.enable(all_threads=False)  # where it died is on the error output
        own = os.getpid()
        with contextlib.suppress(EOFError, OSError):
            while True:
                answer = _answer(read(requests))
                if os.getpid() != own:  # a library may fork, and come back from that twice
                    os._exit(1)
                write(replies, answer)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(0)


def _answer(request: bytes) -> bytes:
    try:
        function, arguments, named = pickle.loads(request)
        return answer_of(True, function(*arguments, **named))
    except Exception as error:
        return answer_of(False, error)
    except SystemExit as error:
        os._exit(error.code if isinstance(error.code, int) else error.code is not None)
    except BaseException:
        os._exit(1)
