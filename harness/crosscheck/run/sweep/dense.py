"""The sweep of dense networks as work that is shared out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from crosscheck.cases.stream.settings import Settings, Shape
from crosscheck.frameworks.base import Framework
from crosscheck.run.sweep.coordinate import Done
from crosscheck.run.sweep.engine import steps
from crosscheck.run.sweep.quarantine import Quarantine
from crosscheck.run.sweep.record import Checked
from crosscheck.run.sweep.work import do, opened

__all__ = ["DenseWork"]


@dataclass(frozen=True)
class DenseWork:
    """See `crosscheck.run.sweep.coordinate.Work`.

    Attributes:
        settings: The sweep.
    """

    settings: Settings

    @property
    def places(self) -> int:
        """See `Work`."""
        return self.settings.places

    def steps(self, start: int) -> Iterator[tuple[int, int]]:
        """See `Work`."""
        return steps(self.settings, start)

    def open(self) -> None:
        """See `Work`."""
        opened(self.settings)

    def do(self, first: int, last: int) -> Done[Checked]:
        """See `Work`."""
        return do(self.settings, first, last)

    def described(self, first: int, last: int) -> str:
        """See `Work`."""
        spans: dict[Shape, tuple[int, int]] = {}
        for part in self.settings.parts(first, last):
            spans[part.shape] = (spans.get(part.shape, (part.start, 0))[0], part.stop)
        return "; ".join(
            f"cases {start:,} to {stop - 1:,} ({' '.join(shape.words())})"
            for shape, (start, stop) in spans.items()
        )

    @contextmanager
    def quarantine(
        self, frameworks: Sequence[Framework], deadline: float
    ) -> Iterator[Callable[[int, int], tuple[Checked, ...]]]:
        """See `Work`."""
        with Quarantine(self.settings, frameworks, deadline) as quarantine:
            yield lambda first, last: tuple(
                quarantine.check(part) for part in self.settings.parts(first, last)
            )
