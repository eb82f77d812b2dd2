"""Options that tell who does the work of a sweep: this process, others beside it, or a cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crosscheck.cli.isolation import Place, isolated_option
from crosscheck.cli.options import gathered, with_options
from crosscheck.cli.streams import seconds
from crosscheck.frameworks.base import Framework
from crosscheck.tools.errors import UsageError
from crosscheck.workers.patience import patient
from crosscheck.workers.threads import added_for_one_thread

if TYPE_CHECKING:
    from crosscheck.run.sweep.coordinate import Source, Work
    from crosscheck.workers.pool import ProcessExecutor

__all__ = ["Workers", "worker_options"]

T = TypeVar("T")


@dataclass(frozen=True)
class Workers:
    """What `worker_options` say.

    Attributes:
        jobs: How many processes on this machine; ``None`` for this one.
        scheduler: The address of a Dask cluster, if there is to be one.
        deadline: Seconds that a worker has for a piece of work.
        isolated: Whether one process beside this one does the work where nothing else is said.

    Raises:
        UsageError: Both are given.
    """

    jobs: int | None
    scheduler: str | None
    deadline: float
    isolated: bool

    def __post_init__(self) -> None:
        if self.jobs is not None and self.scheduler is not None:
            raise UsageError("--jobs and --scheduler: both given, wanted one of them")

    @property
    def are_wanted(self) -> bool:
        """Whether anybody else is to do the work."""
        return self.jobs is not None or self.scheduler is not None or self.isolated

    @property
    def place(self) -> Place:
        """Where frameworks are opened for what they are, not to do the work: one thread each."""
        environment = added_for_one_thread(os.environ)
        isolated = self.isolated and self.scheduler is None
        host = self._first if isolated else None
        return Place(self.isolated, self.deadline, environment=environment, host=host)

    @cached_property
    def executor(self) -> ProcessExecutor:
        """The processes of this machine, which end with the command."""
        from crosscheck.workers.pool import ProcessExecutor

        executor = ProcessExecutor(self.jobs or 1, deadline=self.deadline)
        context = click.get_current_context(silent=True)
        if context is not None:
            context.call_on_close(partial(executor.shutdown, cancel_futures=True))
        return executor

    def _first(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function in one of `executor`, which may import libraries there."""
        from crosscheck.workers.pool import START

        return self.executor.submit_within(patient(START), function, *arguments).result()

    @contextmanager
    def at_work(
        self, work: Work[T], frameworks: Sequence[Framework], versions: Mapping[str, str]
    ) -> Iterator[Source[T]]:
        """Whoever else does the work of a sweep, until the block ends.

        Args:
            work: The sweep.
            frameworks: Opened here.
            versions: Of all that the result depends on, here.
        """
        from crosscheck.run.sweep.workers import on_cluster, on_processes

        known = work, frameworks, versions
        if self.scheduler is not None:
            with on_cluster(*known, self.scheduler, self.deadline) as source:
                yield source
        else:
            with on_processes(*known, self.executor, self.jobs or 1, self.deadline) as source:
                yield source


def worker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that tell who does the work, as the argument ``workers``."""
    options = [
        click.option(
            "--jobs",
            type=click.IntRange(min=1),
            metavar="N",
            help="Share the work among N processes. Default: in one, or with "
            "--in-process in this one.",
        ),
        click.option(
            "--scheduler",
            metavar="ADDRESS",
            help="Share the work among the workers of a Dask cluster, such as tcp://10.0.0.5:8786. "
            "Its scheduler listens on all interfaces and runs whatever it is sent: see Dask's "
            "configuration for TLS, and tls:// addresses.",
        ),
        click.option(
            "--deadline",
            callback=seconds,
            default=lambda: f"{patient(300.0):g}s",
            show_default="5m",
            metavar="TIME",
            help="Take a worker for hung that does not answer in this time.",
        ),
    ]
    options.append(isolated_option)
    return with_options(options, gathered(Workers, "workers", command))
