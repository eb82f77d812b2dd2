"""Where a sweep's work is done: processes on this machine, or a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from harness.frameworks.base import Framework
from harness.sweep.coordinate import coordinated
from harness.sweep.engine import Source
from harness.sweep.pool import ProcessExecutor
from harness.sweep.settings import Settings

__all__ = ["on_processes"]


@contextmanager
def on_processes(
    settings: Settings, frameworks: Sequence[Framework], *, jobs: int, deadline: float
) -> Iterator[Source]:
    """Processes on this machine.

    Args:
        settings: The sweep.
        frameworks: Opened here.
        jobs: How many processes.
        deadline: Seconds that a piece of work may take.
    """
    executor = ProcessExecutor(jobs, deadline=deadline)
    try:
        yield coordinated(
            settings, frameworks, executor, slots=jobs, deadline=deadline, watched=True
        )
    finally:
        executor.shutdown(cancel_futures=True)
