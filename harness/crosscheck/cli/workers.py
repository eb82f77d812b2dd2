"""Options that tell who does the work of a sweep: this process, others beside it, or a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crosscheck.cli.options import gathered, with_options
from crosscheck.cli.streams import seconds
from crosscheck.frameworks.base import Framework
from crosscheck.tools.errors import UsageError

if TYPE_CHECKING:
    from crosscheck.run.sweep.coordinate import Step, Work

__all__ = ["Workers", "worker_options"]

T = TypeVar("T")


@dataclass(frozen=True)
class Workers:
    """What `worker_options` say.

    Attributes:
        jobs: How many processes on this machine; ``None`` for this one.
        scheduler: The address of a Dask cluster, if there is to be one.
        deadline: Seconds that a worker has for a piece of work.

    Raises:
        UsageError: Both are given.
    """

    jobs: int | None
    scheduler: str | None
    deadline: float

    def __post_init__(self) -> None:
        if self.jobs is not None and self.scheduler is not None:
            raise UsageError("--jobs and --scheduler: both given, wanted one of them")

    @property
    def are_wanted(self) -> bool:
        """Whether anybody else is to do the work."""
        return self.jobs is not None or self.scheduler is not None

    @contextmanager
    def at_work(
        self, work: Work[T], frameworks: Sequence[Framework], versions: Mapping[str, str]
    ) -> Iterator[Callable[[int], Generator[Step[T], None, None]]]:
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
            with on_processes(*known, self.jobs or 1, self.deadline) as source:
                yield source


def worker_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that tell who does the work, as the argument ``workers``."""
    options = [
        click.option(
            "--jobs",
            type=click.IntRange(min=1),
            metavar="N",
            help="Share the work among N processes. Default: all of it in this one.",
        ),
        click.option(
            "--scheduler",
            metavar="ADDRESS",
            help="Share the work among the workers of a Dask cluster, such as tcp://10.0.0.5:8786.",
        ),
        click.option(
            "--deadline",
            callback=seconds,
            default="5m",
            show_default=True,
            metavar="TIME",
            help="With --jobs or --scheduler: take a worker for hung that does not answer in this "
            "time.",
        ),
    ]
    return with_options(options, gathered(Workers, "workers", command))
