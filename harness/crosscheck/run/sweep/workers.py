"""Where a sweep's work is done: processes on this machine, or a Dask cluster."""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from crosscheck.frameworks.base import Framework
from crosscheck.run.events import WorkerLost
from crosscheck.run.sweep.coordinate import Source, Work, coordinated
from crosscheck.tools.errors import UsageError
from crosscheck.tools.installing import installation
from crosscheck.tools.words import message_of
from crosscheck.workers.patience import patient
from crosscheck.workers.pool import ProcessExecutor

__all__ = ["on_cluster", "on_processes"]

P = ParamSpec("P")
T = TypeVar("T")

_PATIENCE = 30
"""Seconds for a cluster to answer, and for a worker to be there."""


@contextmanager
def on_processes(
    work: Work[T],
    frameworks: Sequence[Framework],
    made_with: Mapping[str, str],
    executor: ProcessExecutor,
    jobs: int,
    deadline: float,
) -> Iterator[Source[T]]:
    """Processes on this machine, which end with the block.

    Args:
        work: The sweep.
        frameworks: Opened here.
        made_with: The versions here.
        executor: The processes.
        jobs: How many.
        deadline: Seconds that a piece of work may take.
    """
    executor.first = work.open
    try:
        yield coordinated(work, frameworks, made_with, executor, slots=jobs, deadline=deadline)
    finally:
        executor.shutdown(cancel_futures=True)


@contextmanager
def on_cluster(
    work: Work[T],
    frameworks: Sequence[Framework],
    made_with: Mapping[str, str],
    address: str,
    deadline: float,
) -> Iterator[Source[T]]:
    """The workers of a Dask cluster, each of which has processes for frameworks as `on_processes`.

    What kills one of those, or makes it hang, costs that process, and no worker of Dask's
    (`_apart`). Dask itself does again what a lost worker was at, and says so in its events; a piece
    of work that has cost several workers their lives comes back as a failure.

    Args:
        work: The sweep.
        frameworks: Opened here.
        made_with: The versions here.
        address: Of the scheduler, such as ``tcp://10.0.0.5:8786``.
        deadline: Seconds that a piece of work may take.

    Raises:
        UsageError: Dask is not installed, or there is no such cluster or no worker in it.
    """
    try:
        client_of: Any = importlib.import_module("distributed").Client
    except ImportError:
        raise UsageError(f"--scheduler needs Dask: {installation('distributed')}") from None
    with contextlib.ExitStack() as stack:
        try:
            client = stack.enter_context(
                client_of(address, timeout=patient(_PATIENCE), set_as_default=False)
            )
            client.wait_for_workers(1, timeout=patient(_PATIENCE))
        except (OSError, ValueError, TimeoutError) as error:
            words = message_of(error, silent=type(error).__name__)
            raise UsageError(
                f"--scheduler {address}: {words}; wanted the address of a Dask scheduler with "
                f"workers, as `dask scheduler` prints it"
            ) from None
        lost: list[WorkerLost] = []

        def note(event: tuple[float, Mapping[str, Any]]) -> None:
            _, message = event
            tasks = message.get("processing-tasks") or ()
            if message.get("action") == "remove-worker" and tasks:
                pieces = f"{len(tasks)} piece{'s' * (len(tasks) > 1)} of its work"
                lost.append(WorkerLost(str(message["worker"]), "left the cluster", pieces))

        def losses() -> list[WorkerLost]:
            found = lost.copy()
            del lost[: len(found)]
            return found

        client.subscribe_topic("all", note)
        slots = sum(worker["nthreads"] for worker in client.scheduler_info(-1)["workers"].values())
        yield coordinated(
            work,
            frameworks,
            made_with,
            _Cluster(client.get_executor(pure=False), work, deadline),
            slots=max(1, slots),
            deadline=deadline,
            losses=losses,
        )


class _Cluster(Executor):
    """An executor of Dask's, whose workers hand on what they are given to processes of theirs."""

    def __init__(self, executor: Executor, work: Work[Any], deadline: float) -> None:
        self._executor, self._work, self._deadline = executor, work, deadline

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `concurrent.futures.Executor.submit`."""
        apart: Any = _apart
        found: Future[T] = self._executor.submit(
            apart, self._work.open, self._deadline, fn, *args, **kwargs
        )
        return found


_processes: ProcessExecutor | None = None
_starting = threading.Lock()


def _apart(
    first: Callable[[], object],
    deadline: float,
    function: Callable[..., T],
    *arguments: Any,
    **named: Any,
) -> T:
    """Call a function from a worker of Dask's in a process of its own, which is kept warm.

    Args:
        first: Imports there what the function needs.
        deadline: Seconds that it may take.
        function: Found by its name.
        *arguments: Sent there.
        **named: Likewise.

    Raises:
        WorkerLostError: The process ended, or was ended at the deadline.
        Exception: What the function raised.
    """
    global _processes
    with _starting:  # a worker of Dask's may have several threads
        if _processes is None:
            threads = importlib.import_module("distributed").get_worker().state.nthreads
            _processes = ProcessExecutor(threads, deadline=None, first=first)
    return _processes.submit_within(deadline, function, *arguments, **named).result()
