"""One worker process: started, asked, watched, and ended.

A framework may kill the process it runs in, or never come back. Here it runs in one that may die.
What the libraries for that offer was measured first, with six arrays of 8 x 8 to and fro, on two
busy cores (median round trip; from a death to its being noticed):

    pebble 5.2 `ProcessPool`         790 µs    71 ms    told apart by exit code; polls
    loky 3.7                        1460 µs   125 ms    one death ends all that is under way
    `concurrent.futures`             710 µs    12 ms    one death breaks the pool for good
    this                             270 µs     4 ms

All start a process in the same second, and none starts one with the Python of another environment,
where another version of a framework is; nor is any of them one *named* process, with a framework
that is kept warm in it. What is left to do is little: `subprocess` starts a process with any
Python, a pipe tells at once when it ends, and a thread on this side writes, reads, and so can be
given up on.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from crosscheck.workers.patience import patient
from crosscheck.workers.wire import read, write, written

__all__ = ["Asked", "Worker", "WorkerDied", "WorkerHung", "WorkerLostError", "running"]

_PACKAGE = Path(__file__).resolve().parents[1]
_BOOT = """\
import sys, importlib.util as u
package, parent, *path = sys.argv[1:]
sys.path[:] = path or [each for each in sys.path if each]
found = u.spec_from_file_location(
    "crosscheck", package + "/__init__.py", submodule_search_locations=[package])
sys.modules["crosscheck"] = module = u.module_from_spec(found)
found.loader.exec_module(module)
from crosscheck.workers.served import serve
sys.argv[:] = ["crosscheck worker"]
serve(int(parent))
"""
"""This very package, also in an environment that does not have it: no folder of this one goes
there with it, for its other packages would as well."""

_LOOK = 1.0
"""Seconds between looks at whether a process is there: a pipe that something else which it has
started holds open does not tell."""
_PATIENCE = 5.0
"""Seconds that a process is given to end by itself when its pipe is closed."""


_begun: weakref.WeakSet[Worker] = weakref.WeakSet()


def running() -> list[Worker]:
    """The workers of this process that have not ended."""
    return [each for each in _begun if each.is_alive]


@atexit.register
def _end_all() -> None:
    """What an interrupt at a bad moment has left does not stay."""
    for each in running():
        each.end(patience=0.0)


class WorkerLostError(Exception):
    """A process ended, or was ended, before its work was done.

    Attributes:
        worker: Which one.
        what: What happened, in words that go on after a noun: "ended by SIGSEGV".
    """

    def __init__(self, worker: str, what: str) -> None:
        super().__init__(f"{worker}: {what}")
        self.worker, self.what = worker, what

    def __reduce__(self) -> tuple[type[WorkerLostError], tuple[str, str]]:
        return type(self), (self.worker, self.what)


class WorkerDied(WorkerLostError):
    """The process ended by itself, or from outside."""


class WorkerHung(WorkerLostError):
    """The process did not answer before its deadline, and was killed."""


class Asked:
    """A call that a worker was asked for."""

    def __init__(self, request: bytes) -> None:
        self.request, self.begin = request, time.monotonic()
        self.reply: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()


class Worker:
    """A process that does one call after the other; its own session, so that Ctrl-C is not for it.

    It is started at once, which takes the caller no time, and is not started again: whoever loses
    one makes another.

    Args:
        python: With which interpreter; by default this one, with the module path of this process.
        environment: Variables that are added to those of this process.
        errors: Where its error output goes; where this process's does, if nothing is said.
    """

    def __init__(
        self,
        *,
        python: str | Path | None = None,
        environment: Mapping[str, str] | None = None,
        errors: IO[Any] | None = None,
    ) -> None:
        variables = {**os.environ, **(environment or {})}
        path = [each or os.getcwd() for each in sys.path]
        if python is not None:
            path = []
            for name in ("PYTHONPATH", "PYTHONHOME"):
                variables.pop(name, None)
        words = [str(python or sys.executable), "-c", _BOOT, str(_PACKAGE), str(os.getpid()), *path]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
            env=variables,
            start_new_session=True,
        )
        _begun.add(self)
        self._todo: queue.SimpleQueue[Asked | None] = queue.SimpleQueue()
        self._ending = threading.Lock()
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it is there; one that has ended keeps its number until `end`."""
        if not hasattr(os, "waitid"):
            return self._process.poll() is None
        try:
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, self.pid, options) is None
        except ChildProcessError:
            return False

    def ask(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Asked:
        """Ask for a call; it begins when those asked for earlier are done.

        Args:
            function: Found by its module and name there.
            *arguments: Pickled.
            **named: Likewise.
        """
        asked = Asked(written((function, arguments, named)))
        self._todo.put(asked)
        return asked

    def answer(self, asked: Asked, deadline: float | None = None) -> Any:
        """What came of a call.

        Args:
            asked: What `ask` returned.
            deadline: Seconds from when it was asked for after which the process is killed.

        Returns:
            What the function returned.

        Raises:
            WorkerDied: The process ended before that.
            WorkerHung: It was killed.
            Exception: What the function raised.
        """
        reply = self._reply(asked, deadline)
        try:
            succeeded, found = pickle.loads(reply)
        except Exception as error:
            raise RuntimeError(f"an answer of process {self.pid} cannot be read") from error
        if not succeeded:
            raise found
        return found

    def call(
        self,
        function: Callable[..., Any],
        /,
        *arguments: Any,
        deadline: float | None = None,
        **named: Any,
    ) -> Any:
        """`ask`, and then `answer`."""
        return self.answer(self.ask(function, *arguments, **named), deadline)

    def end(self, *, patience: float | None = None) -> None:
        """End the process, and all that it has started in its session; may be called again.

        Args:
            patience: Seconds that it is given to end by itself; some, if nothing is said.
        """
        self._todo.put(None)
        patience = patient(_PATIENCE) if patience is None else patience
        process = self._process
        with self._ending:
            if patience:
                with contextlib.suppress(OSError):
                    process.stdin.close()  # type: ignore[union-attr]
                self._wait(patience)
            # Before it is waited for: after that its number may be anybody's.
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    if hasattr(os, "killpg"):
                        os.killpg(self.pid, signal.SIGKILL)
                    else:
                        process.kill()
            process.wait()
        self._thread.join(_LOOK)

    def _wait(self, patience: float) -> bool:
        """Give the process time to end by itself; whether it has."""
        end, pause = time.monotonic() + patience, 0.001
        while self.is_alive:
            if time.monotonic() > end:
                return False
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
        return True

    def _talk(self) -> None:
        """The thread: whoever waits for an answer need not wait for the pipe."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError, ValueError), process.stdin, process.stdout:
            asked = None
            try:
                while (asked := self._todo.get()) is not None:
                    write(process.stdin, asked.request)
                    asked.reply.put(read(process.stdout))
            except (EOFError, OSError, ValueError):
                pass
            while asked is not None:
                asked.reply.put(None)
                asked = self._todo.get()

    def _reply(self, asked: Asked, deadline: float | None) -> bytes:
        end = None if deadline is None else asked.begin + deadline
        while True:
            left = _LOOK if end is None else min(_LOOK, end - time.monotonic())
            try:
                reply = asked.reply.get(timeout=max(0.0, left))
            except queue.Empty:
                if end is not None and time.monotonic() >= end:
                    self.end(patience=0.0)
                    what = f"no answer in {deadline:g} s, killed"
                    raise WorkerHung(f"process {self.pid}", what) from None
                if self.is_alive or self._is_coming(asked):
                    continue
                reply = None
            if reply is not None:
                return reply
            raise WorkerDied(f"process {self.pid}", self._death())

    def _is_coming(self, asked: Asked) -> bool:
        """Whether a process that has ended has left an answer."""
        time.sleep(_LOOK)
        return not asked.reply.empty()

    def _death(self) -> str:
        has_ended = self._wait(patient(_PATIENCE))
        self.end(patience=0.0)
        code = self._process.returncode
        if not has_ended:
            return "closed its pipe, killed"
        return f"ended by {_signal(-code)}" if code < 0 else f"ended with {code}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
