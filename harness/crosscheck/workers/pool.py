"""Workers that share out work, as an executor: each takes only its own piece of work with it.

`concurrent.futures.ProcessPoolExecutor` is broken for good when one of its processes dies, and it
cannot end one that hangs. Here each process has a thread that watches it. If the process dies, or
does not answer in time and is killed, the future of what it was doing gets that as its exception,
and another process takes its place.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

from crosscheck.workers.patience import patient
from crosscheck.workers.process import Worker, WorkerDied
from crosscheck.workers.threads import added_for_one_thread
from crosscheck.workers.wire import UnsentError

__all__ = ["START", "ProcessExecutor"]

P = ParamSpec("P")
T = TypeVar("T")

_Task = tuple["Future[Any]", float | None, Callable[..., Any], tuple[Any, ...], dict[str, Any]]

START = 300.0
"""Seconds that a process may take to start, and then to import what it needs."""


class ProcessExecutor(Executor):
    """Processes that are watched, one piece of work at a time for each.

    They are started afresh (not forked, which threads of the frameworks would not survive), with
    one thread each, on a processor of its own where there are enough.

    Args:
        jobs: How many processes.
        deadline: Seconds that a piece of work may take; ``None`` for as long as it likes.
        first: Is called in each process before its first piece of work, and not counted in that:
            it imports libraries, say.

    Attributes:
        first: As given; another one is for processes that have not called it.
    """

    def __init__(
        self, jobs: int, *, deadline: float | None, first: Callable[[], object] | None = None
    ) -> None:
        self._deadline, self.first = deadline, first
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
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
        return self.submit_within(self._deadline, fn, *args, **kwargs)

    def submit_within(
        self, deadline: float | None, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """`submit`, with another deadline."""
        if self._closing.is_set():
            raise RuntimeError("cannot schedule new futures after shutdown")
        future: Future[T] = Future()
        self._tasks.put((future, deadline, fn, args, kwargs))
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
                watcher.abort()
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
        self._worker: Worker | None = None
        self._prepared: Worker | None = None
        self._starting = threading.Lock()

    @property
    def pid(self) -> int | None:
        worker = self._worker
        return None if worker is None else worker.pid

    def abort(self) -> None:
        """End what is under way."""
        with self._starting:
            if self._worker is not None:
                self._worker.end(patience=0.0)

    def run(self) -> None:
        try:
            while (task := self._pool._tasks.get()) is not None:
                future, deadline, function, arguments, named = task
                if future.set_running_or_notify_cancel():
                    try:
                        result = self._call(deadline, function, arguments, named)
                    except BaseException as error:
                        future.set_exception(error)
                    else:
                        future.set_result(result)
        finally:
            if self._worker is not None:
                self._worker.end()
            self._worker = None

    def _call(
        self,
        deadline: float | None,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        named: dict[str, Any],
    ) -> Any:
        try:
            worker = self._there()
            if self._pool.first is not None and self._prepared is not worker:
                worker.call(_prepared, self._pool.first, deadline=patient(START))
                self._prepared = worker
            return worker.call(function, *arguments, deadline=deadline, **named)
        except UnsentError as error:
            worker.end(patience=0.0)  # a library may have left it unfit to send anything
            raise WorkerDied(f"process {worker.pid}", f"ended, for {error}") from None
        except WorkerDied as error:
            if self._pool._aborting.is_set():
                raise WorkerDied(error.worker, "was ended") from None
            raise

    def _there(self) -> Worker:
        """A process that is there."""
        if self._worker is not None and self._worker.is_alive:
            return self._worker
        with self._starting:
            if self._pool._aborting.is_set():
                raise WorkerDied("a worker", "was ended")
            if self._worker is not None:
                self._worker.end(patience=0.0)
            self._worker = Worker(environment=added_for_one_thread(os.environ))
        try:
            self._worker.call(_placed, self._core, deadline=patient(START))
        except WorkerDied as error:
            raise WorkerDied(error.worker, f"did not start: {error.what}") from None
        return self._worker


def _prepared(first: Callable[[], object]) -> None:
    """Call it; what it returns stays where it is."""
    first()


def _placed(core: int | None) -> None:
    """Keep this process to one processor."""
    if core is not None:
        os.sched_setaffinity(0, {core})
