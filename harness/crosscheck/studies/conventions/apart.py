"""Conventions measured in processes that may die: which of them it is, and all the others.

They are measured in parts, those of one framework, mode and unit together. A part whose process
dies or hangs is measured once more, one convention at a time; so what does it is found out, and
said, and costs no other its row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import dataclass, field
from typing import TypeAlias

from crosscheck.frameworks.isolated import MOST, kind_of_loss
from crosscheck.frameworks.refusals import NOT_ASKED
from crosscheck.judge.verdict import Kind
from crosscheck.studies.conventions.table import Key, Row
from crosscheck.workers.pool import ProcessExecutor
from crosscheck.workers.process import WorkerLostError

__all__ = ["Found", "measured_apart"]

Measure: TypeAlias = Callable[[Sequence[Key]], "Found"]


@dataclass(frozen=True)
class Found:
    """What came of some conventions.

    Attributes:
        rows: Those that were measured.
        lost: Of the others, what became of the framework.
    """

    rows: Mapping[Key, Row] = field(default_factory=dict)
    lost: Mapping[Key, str] = field(default_factory=dict)


def measured_apart(
    keys: Iterable[Key], measure: Measure, jobs: int, deadline: float | None
) -> Generator[Found, None, None]:
    """What comes of each part, as it comes.

    Args:
        keys: Of all conventions.
        measure: Measures some of one framework; called in another process.
        jobs: How many processes.
        deadline: Seconds for each convention.
    """
    pool = ProcessExecutor(jobs, deadline=None)
    try:
        yield from _Measuring(pool, measure, deadline).all(keys)
    finally:
        pool.shutdown(cancel_futures=True)  # after an interrupt nobody waits for the rest


@dataclass(eq=False)
class _Part:
    """Conventions that are measured together.

    Attributes:
        keys: Which.
        whole: Those of the part that was lost before, with these among them; ``None`` at first.
    """

    keys: Sequence[Key]
    whole: _Whole | None = None


@dataclass(eq=False)
class _Whole:
    """A part that was lost, as it is measured one by one.

    Attributes:
        what: What became of it.
        left: How many of its conventions are not done.
        lost: Whether one of them was lost.
    """

    what: str
    left: int
    lost: bool = False


class _Measuring:
    def __init__(self, pool: ProcessExecutor, measure: Measure, deadline: float | None) -> None:
        self._pool, self._measure, self._deadline = pool, measure, deadline
        self._running: dict[Future[Found], _Part] = {}
        self._losses: Counter[str] = Counter()

    def all(self, keys: Iterable[Key]) -> Generator[Found, None, None]:
        # The parts of one mode; the last first, since JAX compiles every one of its own.
        parts: dict[tuple[str, str, str], list[Key]] = defaultdict(list)
        for key in reversed(list(keys)):
            parts[key.framework, key.mode, key.unit].append(key)
        for part in parts.values():
            self._submit(_Part(part))
        while self._running:
            for future in wait(self._running, return_when=FIRST_COMPLETED).done:
                yield self._taken(future, self._running.pop(future))

    def _submit(self, part: _Part) -> None:
        seconds = None if self._deadline is None else self._deadline * len(part.keys)
        future = self._pool.submit_within(seconds, self._measure, part.keys)
        self._running[future] = part

    def _taken(self, future: Future[Found], part: _Part) -> Found:
        try:
            found = future.result()
        except CancelledError:
            return self._not_asked(part)
        except WorkerLostError as error:
            found = self._lost(part, error)
        whole = part.whole
        if whole is None:
            return found
        whole.left -= 1
        whole.lost |= bool(found.lost)
        if whole.left or whole.lost:
            return found
        (key,) = part.keys
        return Found(lost={key: f"{whole.what}; measured alone, none of them does"})

    def _lost(self, part: _Part, error: WorkerLostError) -> Found:
        first = part.keys[0]
        what = f"{kind_of_loss(error)}: the process {error.what}"
        self._losses[first.framework] += 1
        if self._losses[first.framework] >= MOST:
            for future, other in self._running.items():
                if other.keys[0].framework == first.framework:
                    future.cancel()
        elif len(part.keys) > 1:
            together = f"{what}, on {len(part.keys)} conventions of {first.mode}, {first.unit}"
            whole = _Whole(together, len(part.keys))
            for key in part.keys:
                self._submit(_Part([key], whole))
            return Found()
        return Found(lost=dict.fromkeys(part.keys, what))

    def _not_asked(self, part: _Part) -> Found:
        cost = self._losses[part.keys[0].framework]
        words = f"{Kind.CRASHED}: {NOT_ASKED}: it has cost {cost} processes"
        return Found(lost=dict.fromkeys(part.keys, words))
