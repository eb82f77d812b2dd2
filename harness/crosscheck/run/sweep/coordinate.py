"""Handing out a sweep to an executor, and bringing the results into the order of the cases.

Any `concurrent.futures.Executor` will do whose workers have the same packages. A piece of work
whose worker is lost is handed out once more. If that worker is lost too, the work is done in
quarantine, where what kills workers is found out. Nothing is tried for ever.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from crosscheck.frameworks.base import Framework
from crosscheck.run.events import WorkerLost
from crosscheck.run.sweep.checkpoint import changed
from crosscheck.tools.errors import CrosscheckError, UsageError
from crosscheck.tools.words import named
from crosscheck.workers.process import WorkerLostError

__all__ = ["Done", "Source", "Step", "Work", "coordinated"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_ATTEMPTS = 2
_WAITING = 64
"""Results that may wait for an earlier one."""


@dataclass(frozen=True, eq=False)
class Step(Generic[T_co]):
    """Results of the next cases.

    Attributes:
        stop: The place up to which they go.
        checked: One result for each part.
        lost: Workers that were lost since the last step.
    """

    stop: int
    checked: tuple[T_co, ...]
    lost: tuple[WorkerLost, ...] = ()


@dataclass(frozen=True, eq=False)
class Done(Generic[T_co]):
    """What came of a piece of work.

    Attributes:
        checked: One result for each part.
        worker: Who did it.
        made_with: Its versions of all that the result depends on; see
            `crosscheck.run.sweep.checkpoint`.
    """

    checked: tuple[T_co, ...]
    worker: str
    made_with: Mapping[str, str]


class Source(Protocol[T_co]):
    """Where results come from."""

    def __call__(
        self, start: int, stop_at: float | None = None, /
    ) -> Generator[Step[T_co], None, None]:
        """Results from a place on, in order.

        Args:
            start: The place.
            stop_at: When no more of them are wanted, by `time.monotonic`; ``None`` for never.
        """


class Work(Protocol[T_co]):
    """A sweep, cut at places into pieces that any worker may do, and do again.

    Its methods are sent to workers, and it with them.
    """

    @property
    def places(self) -> int:
        """Where it ends."""

    def steps(self, start: int) -> Iterator[tuple[int, int]]:
        """(first place, last place) of each step from place ``start`` on, cut alike always."""

    def open(self) -> None:
        """Import what `do` needs, in the process that is to do it; not counted in its deadline."""

    def do(self, first: int, last: int) -> Done[T_co]:
        """Check what is between two places.

        Args:
            first: A place.
            last: A place.
        """

    def described(self, first: int, last: int) -> str:
        """The cases between two places, for a person."""

    def quarantine(
        self, frameworks: Sequence[Framework], deadline: float
    ) -> AbstractContextManager[Callable[[int, int], tuple[T_co, ...]]]:
        """Checks what is between two places, come what may.

        Args:
            frameworks: Opened here, for their names.
            deadline: Seconds that a framework has.
        """


@dataclass(frozen=True)
class _Piece:
    """The cases between two places."""

    first: int
    last: int
    attempt: int = 1


def coordinated(
    work: Work[T],
    frameworks: Sequence[Framework],
    made_with: Mapping[str, str],
    executor: Executor,
    *,
    slots: int,
    deadline: float,
    losses: Callable[[], Sequence[WorkerLost]] = lambda: (),
) -> Source[T]:
    """Results of a sweep whose work is done by an executor.

    Args:
        work: The sweep.
        frameworks: Opened here.
        made_with: The versions here; a worker that has others is refused.
        executor: Who does the work.
        slots: How many pieces of work it does at a time.
        deadline: Seconds that a framework has in quarantine; to those of `Work.do` the executor
            sees itself.
        losses: Workers that were lost, and their work done again, without the executor having
            said so through a future; each is told once.
    """

    def source(start: int, stop_at: float | None = None, /) -> Generator[Step[T], None, None]:
        todo = deque[_Piece]()
        coming = work.steps(start)
        running: dict[Future[Done[T]], _Piece] = {}
        ready: dict[int, Done[T]] = {}
        lost: list[WorkerLost] = []
        place = start
        with work.quarantine(frameworks, deadline) as checked_apart:
            try:
                while place < work.places:
                    while len(running) < 2 * slots and len(ready) < _WAITING:
                        if not todo:
                            todo.extend(_Piece(*each) for each in _next(coming))
                        if not todo:
                            break
                        piece = todo.popleft()
                        future = executor.submit(work.do, piece.first, piece.last)
                        running[future] = piece
                    left = None if stop_at is None else max(0.0, stop_at - time.monotonic())
                    done = wait(running, left, return_when=FIRST_COMPLETED).done
                    if stop_at is not None and not done:
                        return  # what is under way is given up
                    for future in done:
                        piece = running.pop(future)
                        try:
                            ready[piece.first] = _same_versions(future.result(), made_with)
                        except CrosscheckError:
                            raise
                        except (Exception, CancelledError) as error:
                            lost.append(_lost(error, work.described(piece.first, piece.last)))
                            if piece.attempt < _ATTEMPTS and not _is_final(error):
                                again = _Piece(piece.first, piece.last, piece.attempt + 1)
                                todo.appendleft(again)
                            elif _is_internal(error):
                                raise
                            else:
                                checked = checked_apart(piece.first, piece.last)
                                ready[piece.first] = Done(checked, "quarantine", made_with)
                    lost.extend(losses())
                    while place in ready:
                        ended = ready.pop(place)
                        ((_, place),) = _next(work.steps(place))
                        yield Step(place, ended.checked, tuple(lost))
                        lost = []
            finally:
                for future in running:
                    future.cancel()

    return source


def _next(coming: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    """The next step, if there is one."""
    found = next(coming, None)
    return [] if found is None else [found]


def _lost(error: BaseException, cases: str) -> WorkerLost:
    if isinstance(error, WorkerLostError):
        return WorkerLost(error.worker, error.what, cases)
    return WorkerLost("a worker", named(error, 300), cases)


def _same_versions(done: Done[T], made_with: Mapping[str, str]) -> Done[T]:
    """What a worker has done, if it has what is here.

    Raises:
        UsageError: It has other versions.
    """
    difference = changed(made_with, done.made_with)
    if difference:
        raise UsageError(
            f"{done.worker} has other versions, here and there: {difference}; "
            f"install the same everywhere"
        )
    return done


def _is_final(error: BaseException) -> bool:
    """Whether the executor has tried several times by itself, as Dask does."""
    return type(error).__name__ == "KilledWorker"


def _is_internal(error: BaseException) -> bool:
    """Whether the same error again says that the program is wrong, not the worker."""
    names = {base.__name__ for base in type(error).__mro__}
    lost = {"WorkerLostError", "MemoryError", "BrokenExecutor", "KilledWorker", "CancelledError"}
    return not names & (lost | {"TimeoutError", "OSError", "CommClosedError"})
