"""Cases of a sweep that no batch decides: collected, and judged a few at a time.

What is judged together takes a fraction of the time that each case takes by itself, and there is
about one such case in thousands. So they wait until there are enough of them, or the last batch
is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.batch import chosen_gradients, has_all_cases
from harness.compare import Judge
from harness.crosscheck import verdict_of
from harness.frameworks.base import Framework
from harness.network import Case, Gradients
from harness.sweep.answers import Answer
from harness.sweep.generate import Block
from harness.sweep.record import Record
from harness.sweep.settings import Settings
from harness.together import judged_together
from harness.verdict import Kind, Verdict

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
        stack: The cases.
        answers: Of the frameworks, on the batch.
        given: The gradients in them at these cases.
    """

    record: Record
    positions: list[int]
    stack: Case
    answers: Sequence[Answer]
    given: list[Gradients | None]

    @property
    def kind(self) -> tuple[object, ...]:
        """What cases that are judged together have in common."""
        return self.record.part.shape, *(
            None if each is None else tuple(np.shape(array)[1:] for _, array in each.entries())
            for each in self.given
        )


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
        chosen = np.array(positions) - made.first
        given = [
            chosen_gradients(each.given, chosen)
            if each.given is not None and has_all_cases(each.given, made.batch.count)
            else None
            for each in answers
        ]
        stack = made.batch.case(chosen)
        self._waiting.append(_Waiting(record, positions, stack, answers, given))
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
        together = self._together(waiting)
        for each in waiting:
            for at, position in enumerate(each.positions):
                if each.record.cut and position >= each.record.last:
                    return
                self._look_at(each, at, position, together.get((id(each), at)))

    def _together(self, waiting: Sequence[_Waiting]) -> dict[tuple[int, int], _Known]:
        """What can be said of several cases at once, by batch and number within it."""
        groups: dict[tuple[object, ...], list[_Waiting]] = {}
        for each in waiting:
            groups.setdefault(each.kind, []).append(each)
        found = {}
        for group in groups.values():
            rows = [
                row
                for row, framework in enumerate(self._frameworks)
                if framework.derivation == "reverse" and group[0].given[row] is not None
            ]
            if not rows:
                continue
            given = [_joined_gradients([each.given[row] for each in group]) for row in rows]
            places = [(id(each), at) for each in group for at in range(len(each.positions))]
            answers = judged_together(_joined_cases([each.stack for each in group]), given)
            for place, judged in zip(places, answers, strict=True):
                if judged is not None:
                    verdicts = dict(zip(rows, judged.verdicts, strict=True))
                    found[place] = _Known(verdicts, judged.reference)
        return found

    def _look_at(self, waiting: _Waiting, at: int, position: int, known: _Known | None) -> None:
        case = waiting.stack[at]
        judge = Judge(case)
        verdicts = []
        for row, (framework, answer) in enumerate(
            zip(self._frameworks, waiting.answers, strict=True)
        ):
            names = (framework.name, framework.formulation, answer.mode or framework.mode)
            given = waiting.given[row]
            told = answer.by_case.get(position, answer.verdict)
            verdict = known.verdicts.get(row) if known is not None else None
            if waiting.record.agrees(row, position):
                verdict = Verdict(*names, Kind.AGREES)
            elif told is not None:
                verdict = told
            elif given is None:
                verdict = verdict_of(framework, case, judge)
            elif verdict is not None:
                verdict = replace(verdict, framework=names[0], formulation=names[1], mode=names[2])
            else:
                verdict = judge.verdict(
                    given[at],
                    framework=names[0],
                    formulation=names[1],
                    mode=names[2],
                    derivation=framework.derivation,
                )
            verdicts.append(verdict)
        reference = judge.reference if known is None else known.reference
        waiting.record.settle(position, verdicts, case, reference)


@dataclass(frozen=True, eq=False)
class _Known:
    """What `judged_together` says of a case.

    Attributes:
        verdicts: By number of the framework; ``None`` where it says nothing.
        reference: The reference's gradient.
    """

    verdicts: dict[int, Verdict | None]
    reference: Gradients


def _joined_cases(stacks: Sequence[Case]) -> Case:
    """Stacks of one shape, one after the other."""
    first = stacks[0]
    return Case(
        first.network,
        tuple(map(np.concatenate, zip(*(each.weights for each in stacks), strict=True))),
        tuple(map(_joined, zip(*(each.biases for each in stacks), strict=True))),
        np.concatenate([each.x for each in stacks]),
        np.concatenate([each.y for each in stacks]),
        first.dtype,
    )


def _joined_gradients(stacks: Sequence[Any]) -> Gradients:
    """Gradients of stacks of one shape, one after the other."""
    return Gradients(
        np.concatenate([each.loss for each in stacks]),
        tuple(map(np.concatenate, zip(*(each.weights for each in stacks), strict=True))),
        tuple(map(_joined, zip(*(each.biases for each in stacks), strict=True))),
        np.concatenate([each.x for each in stacks]),
    )


def _joined(arrays: Sequence[Any]) -> Any:
    return None if arrays[0] is None else np.concatenate(arrays)
