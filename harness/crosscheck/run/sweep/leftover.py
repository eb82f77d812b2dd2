"""Cases of a sweep that no batch decides: collected, and judged a few at a time.

What is judged together takes a fraction of the time that each case takes by itself, and there is
about one such case in thousands. So they wait until there are enough of them, or the last batch
is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from crosscheck.cases.stream.generate import Block
from crosscheck.cases.stream.settings import Settings
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.refusals import Refused
from crosscheck.judge.door import Answer as Given
from crosscheck.judge.door import Question, judge_rest
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.network.batch import Batch
from crosscheck.network.dense import Case, Gradients
from crosscheck.run.answers import of_the_whole, verdict_of
from crosscheck.run.sweep.answers import Answer
from crosscheck.run.sweep.record import Record
from crosscheck.run.sweep.steps import Steps

__all__ = ["LeftOver"]

_NUMBERS = 65_536
"""Numbers in cases that wait together: enclosures of them take hundreds of bytes for each."""
_LEAST = 16
"""So many cases may wait, however large."""


@dataclass(frozen=True, eq=False)
class _Waiting:
    """Cases of one batch.

    Attributes:
        record: Where their verdicts go.
        positions: Of the cases, in order.
        cases: The cases.
        answers: Of the frameworks, on the batch, without its gradients, which need memory.
        given: The gradients at these cases.
        silent: By number of a framework why it failed on the batch, until it fails on a case.
        steps: Of the frameworks, of the whole batch: little beside the cases.
    """

    record: Record
    positions: list[int]
    cases: Batch
    answers: Sequence[Answer]
    given: list[Gradients | None]
    silent: dict[int, Refused]
    steps: Sequence[Steps | None]

    @property
    def kind(self) -> tuple[object, ...]:
        """What cases that are judged together have in common."""
        return self.record.part.shape, *(
            None if each is None else tuple(array.shape[1:] for _, array in each.entries())
            for each in self.given
        )


@dataclass(frozen=True, eq=False)
class _Group:
    """Cases of several batches that are judged together.

    Attributes:
        stack: The cases.
        question: What the judge is asked of them.
        rows: By number of a framework that of its answer, if it has given one.
    """

    stack: Case
    question: Question
    rows: dict[int, int]


class LeftOver:
    """Cases to be looked at by themselves, in the order in which they are handed in.

    Args:
        settings: The sweep.
        frameworks: As in the answers.
    """

    def __init__(self, settings: Settings, frameworks: Sequence[Framework]) -> None:
        self._settings, self._frameworks = settings, frameworks
        self._waiting: list[_Waiting] = []
        self._numbers = 0

    def add(
        self, record: Record, made: Block, answers: Sequence[Answer], positions: list[int]
    ) -> None:
        """Hand in cases of one batch, which need not be kept; they may be judged at once."""
        if not positions:
            return
        batch, chosen = made.batch, np.array(positions) - made.first

        def take(array: Any) -> Any:
            return array.take(chosen, axis=0)

        given = [
            each.given.map(take)
            if each.given is not None and each.given.has_cases(batch.count)
            else None
            for each in answers
        ]
        bare = [replace(each, given=None, steps=None) for each in answers]
        steps = [each.steps for each in answers]
        silent = {row: each.refused for row, each in enumerate(answers) if each.refused}
        self._waiting.append(
            _Waiting(record, positions, batch.map(take), bare, given, silent, steps)
        )
        self._numbers += len(positions) * record.part.shape.numbers
        count = sum(len(each.positions) for each in self._waiting)
        if self._numbers > _NUMBERS and count >= _LEAST:
            self.settle()

    def __contains__(self, record: object) -> bool:
        """Whether cases of ``record`` wait."""
        return any(each.record is record for each in self._waiting)

    def settle(self) -> None:
        """Judge all that wait, in order, until a record is cut."""
        waiting, self._waiting, self._numbers = self._waiting, [], 0
        places = self._together(waiting)
        for each in waiting:
            group, first = places[id(each)]
            for at, position in enumerate(each.positions, start=first):
                if each.record.cut and position >= each.record.last:
                    return
                self._look_at(each, position, group, at)

    def _together(self, waiting: Sequence[_Waiting]) -> dict[int, tuple[_Group, int]]:
        """What can be said of several cases at once: by batch its group and its place there."""
        kinds: dict[tuple[object, ...], list[_Waiting]] = {}
        for each in waiting:
            kinds.setdefault(each.kind, []).append(each)
        found = {}
        for members in kinds.values():
            group = self._group(members)
            first = 0
            for each in members:
                found[id(each)] = group, first
                first += len(each.positions)
        return found

    def _group(self, members: Sequence[_Waiting]) -> _Group:
        stack = members[0].cases.map(_joined, *(each.cases for each in members[1:])).case()
        rows: dict[int, int] = {}
        answers: list[Given] = []
        for row, framework in enumerate(self._frameworks):
            given = [found for each in members if (found := each.given[row]) is not None]
            if given:  # of all of them, or of none: see `_Waiting.kind`
                rows[row] = len(answers)
                answers.append(Given(given[0].map(_joined, *given[1:]), framework.derivation))
        places = [(each.record, position) for each in members for position in each.positions]
        agrees = np.array(
            [[record.agrees(row, position) for record, position in places] for row in rows],
            dtype=bool,
        ).reshape(len(rows), len(places))
        return _Group(stack, judge_rest(stack, answers, agrees), rows)

    def _look_at(self, waiting: _Waiting, position: int, group: _Group, at: int) -> None:
        case, question = group.stack[at], group.question
        verdicts = []
        for row, (framework, answer) in enumerate(
            zip(self._frameworks, waiting.answers, strict=True)
        ):
            names = (framework.name, framework.formulation, answer.mode or framework.mode)
            told = answer.by_case.get(position, answer.verdict)
            if waiting.record.agrees(row, position):
                verdict = Verdict(*names, Kind.AGREES)
            elif told is not None:
                verdict = told
            elif row not in group.rows:
                verdict = verdict_of(framework, case, question, at, self._settings.command)
            else:
                found = question.verdict(group.rows[row], at)
                verdict = replace(found, framework=names[0], formulation=names[1], mode=names[2])
            if (steps := waiting.steps[row]) is not None:
                verdict = steps.together(verdict, position)
            verdicts.append(verdict)
        self._tell_of_batch(waiting, position, verdicts)
        waiting.record.settle(position, verdicts, case, partial(question.reference, at))

    def _tell_of_batch(self, waiting: _Waiting, position: int, verdicts: list[Verdict]) -> None:
        """Have the last case say that a framework failed on the batch, where no case has."""
        for row, refused in list(waiting.silent.items()):
            if fails(verdicts[row], self._settings.allow):
                del waiting.silent[row]
            elif position == waiting.positions[-1]:
                whole = f"its batch of {waiting.record.part.shape.batch:,} cases"
                verdicts[row] = of_the_whole(verdicts[row], refused, whole)


def _joined(*arrays: Any) -> Any:
    """Arrays one after the other, as float64, without loss."""
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
        return np.concatenate(arrays, dtype=np.float64)
