"""What is known of the cases of one part of a sweep, from the first batch to the counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.cases.stream.generate import Block
from crosscheck.cases.stream.memory import idle
from crosscheck.cases.stream.settings import BLOCK, Part, Settings
from crosscheck.frameworks.base import Framework
from crosscheck.judge.certificates import Certificate
from crosscheck.judge.vacuity import Seen, seen_by
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.network.composed import AnyGradients
from crosscheck.network.dense import Case
from crosscheck.numbers.arrays import Array
from crosscheck.run.certified import Certifications, certifications_of
from crosscheck.run.events import CaseChecked, SweepChecked
from crosscheck.run.sweep.answers import Answer
from crosscheck.run.sweep.counts import AGREES, KINDS, NAMES, counted
from crosscheck.run.sweep.sampled import Sample, sample
from crosscheck.run.sweep.steps import Steps

__all__ = ["Checked", "Record"]

_OPEN = -1
_LOCAL = str(Certificate.LOCAL)
_UNCOMPARED = (Kind.NONFINITE, Kind.UNSUPPORTED, Kind.CRASHED, Kind.TIMED_OUT)


@dataclass(frozen=True, eq=False)
class Checked:
    """What is to be told of a part.

    Attributes:
        summary: The counts.
        cases: Every case with a verdict other than AGREES, in order.
        failing: How many of them fail.
        cut: Whether the part ends early, with as many failing cases as are wanted at the most,
            or with a framework that was given up on.
    """

    summary: SweepChecked
    cases: tuple[CaseChecked, ...]
    failing: int
    cut: bool = False


class Record:
    """The verdicts on the cases of a part, by their positions in its block.

    Attributes:
        part: The part.
        last: The position before which cases are counted.
        cut: Whether that is before the end of the part.
    """

    def __init__(self, part: Part, settings: Settings, frameworks: Sequence[Framework]) -> None:
        self.part = part
        self._settings, self._frameworks = settings, frameworks
        self._offset = part.start // BLOCK * BLOCK
        self._first, self.last = part.start - self._offset, part.stop - self._offset
        self.cut = False
        self._codes = np.full((len(frameworks), BLOCK), _OPEN, dtype=np.int8)
        free: list[tuple[Any, Array]] = idle("record", len(frameworks))
        self._agrees, self._bounds = free.pop() if free else _fresh(len(frameworks))
        self._families = np.zeros(BLOCK, dtype=np.int8)
        self._cases: list[CaseChecked] = []
        self._samples: list[Sample] = []
        self._failing = 0
        self._steps: list[list[Steps]] = [[] for _ in frameworks]
        self._alone: list[list[Verdict]] = [[] for _ in frameworks]

    def room(self, made: Block) -> tuple[Any, Array]:
        """Where it is noted, of a whole batch, which cases AGREE, and error / bound there.

        Returns:
            Bool and float64, of shape (frameworks, cases), with whatever is in them.
        """
        here = slice(made.first, made.first + made.batch.count)
        return self._agrees[:, here], self._bounds[:, here]

    def ask(self, made: Block) -> None:
        """Note what the bounds check of the cases of a batch that are asked this."""
        derivations = [framework.derivation for framework in self._frameworks]
        self._samples += sample(self.part, self._offset // BLOCK, made, derivations)

    def take(self, made: Block, answers: Sequence[Answer]) -> list[int]:
        """Note what is known of a whole batch, after `room` has been filled.

        Args:
            made: The batch.
            answers: What the frameworks make of it.

        Returns:
            The positions of the cases that are to be looked at by themselves, in order.
        """
        count = made.batch.count
        here = slice(made.first, made.first + count)
        codes, agrees = self._codes[:, here], self._agrees[:, here]
        self._families[here] = made.families
        plain = not any(each.verdict or each.by_case or each.upto < BLOCK for each in answers)
        plain &= all(each.steps is None for each in answers)
        if answers and plain and agrees.all():  # nearly always
            codes[:] = AGREES
            return []
        np.copyto(codes, AGREES, where=agrees)
        for row, each in enumerate(answers):
            if each.verdict is not None:
                codes[row] = KINDS.index(each.verdict.kind)
            if each.steps is not None:
                self._steps[row].append(each.steps)
                codes[row, np.array([*each.steps.others], dtype=np.int64) - made.first] = _OPEN
            if each.by_case:
                known = np.fromiter(each.by_case, dtype=np.int64) - made.first
                codes[row, known[(known >= 0) & (known < count)]] = _OPEN
        upto = min(each.upto for each in answers) if answers else BLOCK
        self.cut, self.last = self.cut or upto < self.last, min(upto, self.last)
        left = np.flatnonzero((codes < 0).any(axis=0)) + made.first
        found: list[int] = left[(left >= self._first) & (left < self.last)].tolist()
        told = any(each.verdict is not None for each in answers)
        if told and self.part.start == made.first == 0 and found[:1] != [0]:
            found.insert(0, 0)  # what a framework says of every case is told once
        return found

    def agrees(self, row: int, position: int) -> bool:
        """Whether framework number ``row`` is known to AGREE on a case, whatever its steps are."""
        return bool(self._agrees[row, position])

    def settle(
        self,
        position: int,
        verdicts: Sequence[Verdict],
        case: Case,
        reference: Callable[[], AnyGradients],
    ) -> None:
        """Note the verdicts on a case that was looked at by itself.

        Args:
            position: Of the case; cases come in order.
            verdicts: One for each framework.
            case: The case.
            reference: Gives its gradient, where that is to be told; see `CaseChecked`.
        """
        for row, verdict in enumerate(verdicts):
            if not self._steps[row]:  # of the batch: else what they say is counted there
                self._alone[row].append(verdict)
            if self._codes[row, position] == _OPEN and verdict.kind is Kind.AGREES:
                self._bounds[row, position] = verdict.worst.bounds if verdict.worst else 0.0
            self._codes[row, position] = KINDS.index(verdict.kind)
        if all(verdict.is_plain for verdict in verdicts):
            return
        family = NAMES[self._families[position]]
        address = self._settings.address(self.part.shape, self._offset + position)
        allow = self._settings.allow
        label = f"{family}; {address}"
        checked = CaseChecked("sweep", label, case, reference(), tuple(verdicts), allow=allow)
        self._cases.append(checked)
        self._failing += any(fails(verdict, allow) for verdict in verdicts)
        if self._failing >= self._settings.max_failures:
            self.last, self.cut = position + 1, True

    def checked(self) -> Checked:
        """What is to be told, once no case is open any more; then the record is used up."""
        counts = counted(self._codes, self._bounds, self._families, self._first, self.last)
        names = [framework.name for framework in self._frameworks]
        summary = SweepChecked(
            widths=self.part.shape.network.widths,
            rows=self.part.shape.rows,
            dtype=self.part.shape.dtype,
            count=self.last - self._first,
            smooth=counts.smooth,
            kinds=dict(zip(names, map(_by_name, counts.kinds), strict=True)),
            spreads=dict(zip(names, counts.spreads, strict=True)),
            seen={name: self._seen(row) for row, name in enumerate(names)},
            certified={name: self._certified(row) for row, name in enumerate(names)},
        )
        idle("record", len(self._frameworks)).append((self._agrees, self._bounds))
        return Checked(summary, tuple(self._cases), self._failing, self.cut)

    def _certified(self, row: int) -> Mapping[str, Certifications]:
        """What certificates beyond the a-priori one said of the cases that are counted."""
        found = dict(certifications_of(self._alone[row]))
        for steps in self._steps[row]:
            told = steps.certifications(self._first, self.last)
            found[_LOCAL] = found.get(_LOCAL, Certifications()) + told
        return found

    def _seen(self, row: int) -> Seen:
        """What is checked of the cases that were asked and that framework ``row`` answered."""
        derivation = self._frameworks[row].derivation
        return seen_by(
            each
            for each in self._samples
            if each.derivation == derivation
            and self._first <= each.position < self.last
            and KINDS[self._codes[row, each.position]] not in _UNCOMPARED
        )


def _fresh(rows: int) -> tuple[Any, Array]:
    return np.empty((rows, BLOCK), dtype=bool), np.empty((rows, BLOCK))


def _by_name(kinds: NDArray[np.int64]) -> dict[str, dict[Kind, int]]:
    """Family to verdict to number of cases, without those that there are none of.

    Args:
        kinds: (families, verdicts), by number.
    """
    found: dict[str, dict[Kind, int]] = {}
    for name, row in zip(NAMES, kinds.tolist(), strict=True):
        if any(row):
            found[name] = {kind: count for kind, count in zip(KINDS, row, strict=True) if count}
    return found
