"""Handing out a sweep to an executor, and bringing the results into the order of the cases.

Any `concurrent.futures.Executor` will do whose workers have the same packages. A piece of work
whose worker is lost is handed out once more. If that worker is lost too, the work is done in
`crosscheck.run.sweep.quarantine`, where what kills workers is found out. Nothing is tried for ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass

from crosscheck.cases.stream.settings import Settings, Shape
from crosscheck.frameworks.base import Framework
from crosscheck.run.events import WorkerLost
from crosscheck.run.sweep.checkpoint import changed
from crosscheck.run.sweep.engine import Source, Step, steps
from crosscheck.run.sweep.pool import WorkerLostError
from crosscheck.run.sweep.quarantine import Quarantine
from crosscheck.run.sweep.work import Done, do
from crosscheck.tools.errors import CrosscheckError, UsageError

__all__ = ["coordinated", "described"]

_ATTEMPTS = 2
_WAITING = 64
"""Results that may wait for an earlier one."""


@dataclass(frozen=True)
class _Piece:
    """The cases between two places."""

    first: int
    last: int
    attempt: int = 1


def coordinated(
    settings: Settings,
    frameworks: Sequence[Framework],
    made_with: Mapping[str, str],
    executor: Executor,
    *,
    slots: int,
    deadline: float,
    watched: bool,
    losses: Callable[[], Sequence[WorkerLost]] = lambda: (),
) -> Source:
    """Results of a sweep whose work is done by an executor.

    Args:
        settings: The sweep.
        frameworks: Opened here.
        made_with: The versions here; a worker that has others is refused.
        executor: Who does the work.
        slots: How many pieces of work it does at a time.
        deadline: Seconds that a piece of work may take.
        watched: Whether the executor sees to the deadline itself.
        losses: Workers that were lost, and their work done again, without the executor having
            said so through a future; each is told once.
    """

    def source(start: int) -> Iterator[Step]:
        todo = deque[_Piece]()
        coming = steps(settings, start)
        running: dict[Future[Done], _Piece] = {}
        ready: dict[int, Done] = {}
        lost: list[WorkerLost] = []
        place = start
        with Quarantine(settings, frameworks, deadline) as quarantine:
            try:
                while place < settings.places:
                    while len(running) < 2 * slots and len(ready) < _WAITING:
                        if not todo:
                            todo.extend(_Piece(*each) for each in _next(coming))
                        if not todo:
                            break
                        piece = todo.popleft()
                        own = None if watched else deadline
                        future = executor.submit(do, settings, piece.first, piece.last, own)
                        running[future] = piece
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        piece = running.pop(future)
                        try:
                            ready[piece.first] = _same_versions(future.result(), made_with)
                        except CrosscheckError:
                            raise
                        except (Exception, CancelledError) as error:
                            lost.append(_lost(error, settings, piece))
                            if piece.attempt < _ATTEMPTS and not _is_final(error):
                                again = _Piece(piece.first, piece.last, piece.attempt + 1)
                                todo.appendleft(again)
                            elif _is_internal(error):
                                raise
                            else:
                                parts = settings.parts(piece.first, piece.last)
                                checked = tuple(quarantine.check(part) for part in parts)
                                ready[piece.first] = Done(checked, "quarantine", made_with)
                    lost.extend(losses())
                    while place in ready:
                        done = ready.pop(place)
                        ((_, place),) = _next(steps(settings, place))
                        yield Step(place, done.checked, tuple(lost))
                        lost = []
            finally:
                for future in running:
                    future.cancel()

    return source


def _next(coming: Iterator[tuple[int, int]]) -> list[tuple[int, int]]:
    """The next step, if there is one."""
    found = next(coming, None)
    return [] if found is None else [found]


def _lost(error: BaseException, settings: Settings, piece: _Piece) -> WorkerLost:
    cases = described(settings, piece.first, piece.last)
    if isinstance(error, WorkerLostError):
        return WorkerLost(error.worker, error.what, cases)
    words = " ".join(str(error).split())
    return WorkerLost("a worker", f"{type(error).__name__}: {words}"[:300], cases)


def described(settings: Settings, first: int, last: int) -> str:
    """The cases between two places, for a person."""
    spans: dict[Shape, tuple[int, int]] = {}
    for part in settings.parts(first, last):
        spans[part.shape] = (spans.get(part.shape, (part.start, 0))[0], part.stop)
    return "; ".join(
        f"cases {start:,} to {stop - 1:,} ({' '.join(shape.words())})"
        for shape, (start, stop) in spans.items()
    )


def _same_versions(done: Done, made_with: Mapping[str, str]) -> Done:
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
