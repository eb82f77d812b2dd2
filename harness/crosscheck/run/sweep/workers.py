"""Where a sweep's work is done: processes on this machine, or a Dask cluster."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from crosscheck.frameworks.base import Framework
from crosscheck.run.events import WorkerLost
from crosscheck.run.sweep.coordinate import Source, Work, coordinated
from crosscheck.tools.errors import UsageError
from crosscheck.tools.installing import installation
from crosscheck.tools.words import message_of
from crosscheck.workers.pool import ProcessExecutor

__all__ = ["on_cluster", "on_processes"]

T = TypeVar("T")

_PATIENCE = 30
"""Seconds for a cluster to answer, and for a worker to be there."""


@contextmanager
def on_processes(
    work: Work[T],
    frameworks: Sequence[Framework],
    made_with: Mapping[str, str],
    jobs: int,
    deadline: float,
) -> Iterator[Source[T]]:
    """Processes on this machine.

    Args:
        work: The sweep.
        frameworks: Opened here.
        made_with: The versions here.
        jobs: How many processes.
        deadline: Seconds that a piece of work may take.
    """
    executor = ProcessExecutor(jobs, deadline=deadline)
    try:
        yield coordinated(
            work,
            frameworks,
            made_with,
            executor,
            slots=jobs,
            deadline=deadline,
            watched=True,
        )
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
    """The workers of a Dask cluster, each of them a process with one thread and a nanny.

    Dask itself does again what a lost worker was at, and says so in its events; a piece of work
    that has cost several workers their lives comes back as a failure. A worker that hangs ends
    itself at the deadline (`crosscheck.workers.threads.ended_at`), and its nanny starts another.

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
                client_of(address, timeout=_PATIENCE, set_as_default=False)
            )
            client.wait_for_workers(1, timeout=_PATIENCE)
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
            client.get_executor(pure=False),
            slots=max(1, slots),
            deadline=deadline,
            watched=False,
            losses=losses,
        )
