"""Work that has cost two workers their lives: which framework does it, and on which case.

Here each framework is asked for the batches of one block, in a process that may die. Where it
does, or hangs, the framework is asked for that block's cases one by one. So what kills or hangs
becomes the verdict CRASHED or TIMED_OUT of one framework on one case, and everything else is
checked as ever.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from types import TracebackType
from typing import Any

from crosscheck.cases.stream.settings import BLOCK, Part, Settings
from crosscheck.frameworks.base import Framework
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.run.sweep.answers import Answer
from crosscheck.run.sweep.check import batches_of, judged
from crosscheck.run.sweep.record import Checked
from crosscheck.run.sweep.work import ask_batches, ask_case, opened
from crosscheck.workers.pool import ProcessExecutor
from crosscheck.workers.process import WorkerDied, WorkerHung, WorkerLostError

__all__ = ["ENDED", "Quarantine", "kind_of_loss"]

ENDED = "the process"
"""How the details of verdicts begin that were found out here."""

_MOST = 5
"""Cases of one block that may each end a process; then the framework is given up on."""


class Quarantine:
    """Checks parts with each framework at arm's length.

    Args:
        settings: The sweep.
        frameworks: Opened here, for their names; they are not asked for anything.
        deadline: Seconds that a framework has for a block, and for a case.
    """

    def __init__(
        self, settings: Settings, frameworks: Sequence[Framework], deadline: float
    ) -> None:
        self._settings, self._frameworks = settings, frameworks
        self._deadline = deadline
        self._pool: ProcessExecutor | None = None

    def __enter__(self) -> Quarantine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def check(self, part: Part) -> Checked:
        """`crosscheck.run.sweep.check.check_part`, come what may."""
        answers = [self._ask(part, framework) for framework in self._frameworks]
        with closing(batches_of(part, self._settings)) as batches:
            asked = zip(batches, zip(*answers, strict=False), strict=False)
            return judged(part, self._settings, self._frameworks, asked)

    def _ask(self, part: Part, framework: Framework) -> Iterable[Answer]:
        """Answers for one batch after the other."""
        try:
            found: list[Answer] = self._run(ask_batches, part, framework.name)
        except WorkerLostError as error:
            return itertools.repeat(self._one_by_one(part, framework, error))
        return found

    def _one_by_one(self, part: Part, framework: Framework, error: WorkerLostError) -> Answer:
        names = (framework.name, framework.formulation, framework.mode)
        first, last = part.start % BLOCK, (part.stop - 1) % BLOCK + 1
        found: dict[int, Verdict] = {}
        deaths = 0
        for position in range(first, last):
            try:
                found[position] = self._run(ask_case, part, framework.name, position)
            except WorkerLostError as lost:
                deaths += 1
                found[position] = Verdict(*names, kind_of_loss(lost), detail=f"{ENDED} {lost.what}")
                if deaths == _MOST:
                    return Answer(None, by_case=found, upto=position + 1)
        if not deaths:
            detail = (
                f"{ENDED} {error.what}, on the block of cases {part.start // BLOCK * BLOCK} to "
                f"{(part.start // BLOCK + 1) * BLOCK - 1}; on none of them alone"
            )
            found[first] = Verdict(*names, kind_of_loss(error), detail=detail)
        return Answer(None, by_case=found)

    def _run(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self._pool is None:
            self._pool = ProcessExecutor(
                1, deadline=self._deadline, first=partial(opened, self._settings)
            )
        future: Future[Any] = self._pool.submit(function, self._settings, *arguments)
        return future.result()


def kind_of_loss(error: WorkerLostError) -> Kind:
    """The verdict on what ended a process, or made it hang."""
    assert isinstance(error, WorkerDied | WorkerHung)
    return Kind.TIMED_OUT if isinstance(error, WorkerHung) else Kind.CRASHED
