"""Processes on this machine that may die: each takes only its own piece of work with it.

`concurrent.futures.ProcessPoolExecutor` is broken for good when one of its processes dies, and it
cannot end one that hangs. Here each process has a thread that watches it. If the process dies, or
does not answer in time and is killed, the future of what it was doing gets that as its exception,
and another process takes its place.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from multiprocessing.connection import Connection, wait
from typing import Any, ParamSpec, TypeVar

from crosscheck.run.sweep.process import one_thread

__all__ = ["ProcessExecutor", "WorkerDied", "WorkerHung", "WorkerLostError"]

P = ParamSpec("P")
T = TypeVar("T")

_Task = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]

_READY = "ready"
_START = 300.0
"""Seconds that a process may take to start: the frameworks are not even imported then."""
_PATIENCE = 5.0
"""Seconds that an idle process is given to end by itself."""


class WorkerLostError(Exception):
    """A process ended, or was ended, before its work was done.

    Attributes:
        worker: Which one.
        what: What happened, in words.
    """

    def __init__(self, worker: str, what: str) -> None:
        super().__init__(f"{worker}: {what}")
        self.worker, self.what = worker, what


class WorkerDied(WorkerLostError):
    """The process ended by itself, or from outside."""


class WorkerHung(WorkerLostError):
    """The process did not answer before its deadline, and was killed."""


class ProcessExecutor(Executor):
    """Processes that are watched, one piece of work at a time for each.

    They are started afresh (not forked, which threads of the frameworks would not survive), with
    one thread each, on a processor of its own where there are enough.

    Args:
        jobs: How many processes.
        deadline: Seconds that a piece of work may take; ``None`` for as long as it likes.
    """

    def __init__(self, jobs: int, *, deadline: float | None) -> None:
        self._deadline = deadline
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._closing = threading.Event()
        self._aborting = threading.Event()
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self._watchers = [
            _Watcher(self, cores[number] if jobs <= len(cores) and jobs > 1 else None)
            for number in range(jobs)
        ]
        for watcher in self._watchers:
            watcher.start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `concurrent.futures.Executor.submit`."""
        if self._closing.is_set():
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[T] = Future()
        self._tasks.put((future, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes.

        Args:
            wait: Whether to wait until they have ended.
            cancel_futures: Whether to give up what is waiting, and kill what is under way.
        """
        self._closing.set()
        if cancel_futures:
            self._aborting.set()
            with contextlib.suppress(queue.Empty):
                while True:
                    task = self._tasks.get_nowait()
                    if task is not None:
                        task[0].cancel()
            for watcher in self._watchers:
                watcher.wake()
        for _ in self._watchers:
            self._tasks.put(None)
        if wait:
            for watcher in self._watchers:
                watcher.join()

    def pids(self) -> list[int]:
        """The processes that are alive."""
        found = (watcher.pid for watcher in self._watchers)
        return [pid for pid in found if pid is not None]


class _Watcher(threading.Thread):
    """Starts a process, gives it work, and starts another when it is lost."""

    def __init__(self, pool: ProcessExecutor, core: int | None) -> None:
        super().__init__(daemon=True)
        self._pool, self._core = pool, core
        self._process: Any = None
        self._pipe: Connection | None = None
        self._bell, self._ring = multiprocessing.Pipe(duplex=False)

    @property
    def pid(self) -> int | None:
        process = self._process
        return None if process is None else process.pid

    def wake(self) -> None:
        """Interrupt what is being waited for."""
        with contextlib.suppress(OSError):
            self._ring.send_bytes(b"!")

    def run(self) -> None:
        try:
            while (task := self._pool._tasks.get()) is not None:
                future, *call = task
                if future.set_running_or_notify_cancel():
                    try:
                        succeeded, result = self._call(call)
                    except WorkerLostError as error:
                        succeeded, result = False, error
                    except BaseException as error:
                        succeeded, result = False, error
                    if succeeded:
                        future.set_result(result)
                    else:
                        future.set_exception(result)
        finally:
            self._end(_PATIENCE)
            self._bell.close()
            self._ring.close()

    def _call(self, call: Any) -> tuple[bool, Any]:
        if self._pool._aborting.is_set():
            raise WorkerDied("a worker", "was ended")
        if self._process is None or not self._process.is_alive():
            self._end(0.0)
            self._begin()
        process, pipe = self._process, self._pipe
        assert pipe is not None
        name = f"process {process.pid}"
        with contextlib.suppress(OSError):  # it died; the sentinel says so
            pipe.send(call)
        ready = wait([pipe, process.sentinel, self._bell], self._pool._deadline)
        if pipe in ready:
            with contextlib.suppress(EOFError, OSError):
                answer: tuple[bool, Any] = pipe.recv()
                return answer
        if self._bell in ready:
            self._end(0.0)
            raise WorkerDied(name, "was ended")
        if not ready:
            self._end(0.0)
            raise WorkerHung(name, f"no answer in {self._pool._deadline:g} s, killed")
        process.join()
        code = process.exitcode
        self._end(0.0)
        raise WorkerDied(name, f"ended by {_signal(-code)}" if code < 0 else f"ended with {code}")

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._core), daemon=True)
        with self._pool._starting, one_thread(os.environ):
            process.start()
        theirs.close()
        self._process, self._pipe = process, ours
        ready = wait([ours, process.sentinel, self._bell], _START)
        with contextlib.suppress(EOFError, OSError):
            if ours in ready and ours.recv() == _READY:
                return
        name = f"process {process.pid}"
        self._end(0.0)
        raise WorkerDied(name, "did not start")

    def _end(self, patience: float) -> None:
        """End the process: it ends by itself when its pipe is closed."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if process is None or pipe is None:
            return
        pipe.close()
        process.join(0.0 if self._pool._aborting.is_set() else patience)
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _serve(pipe: Connection, core: int | None) -> None:
    """The process: does what it is sent until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who watches
    if core is not None:
        os.sched_setaffinity(0, {core})
    with contextlib.suppress(EOFError, OSError):
        pipe.send(_READY)
        while True:
            fn, args, kwargs = pipe.recv()
            try:
                answer = True, fn(*args, **kwargs)
            except Exception as error:
                answer = False, error
            pipe.send(answer)
