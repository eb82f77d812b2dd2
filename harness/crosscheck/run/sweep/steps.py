"""What the local certificate says of the cases of a batch of a sweep, in little memory.

**Which gradient.** A certificate speaks of one gradient, so the bounds through the whole network
and those of the steps have to be asked of the same one. The fast road of a sweep is compiled, and
writes dense layers in another formulation: it has no steps to show, and what is watched in its
place need not have its bits. So a sweep with steps asks a framework whose mode shows them in this
mode itself, by its adapter, twice: plainly, which is the answer, and watched, which has to return
the same bits. Where a case has others, its steps are discarded, and that is said of this case.

A batch is watched whole, since a framework's rounding may depend on the size of a batch and on the
place in it. It is judged in pieces: bounds take some hundred bytes for each number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.cases.stream.generate import Block
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import watch
from crosscheck.frameworks.refusals import Refused
from crosscheck.judge.certificates import (
    CERTIFICATES,
    NOT_FINITE,
    Certificate,
    with_local,
    without_steps,
)
from crosscheck.judge.local.check import Check, OfCase
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.verdict import Verdict
from crosscheck.network.dense import Gradients
from crosscheck.numbers.arrays import Array
from crosscheck.run.again import differing
from crosscheck.run.answers import OTHER_BITS, UNSEEN
from crosscheck.run.certified import Certifications

__all__ = ["Steps", "are_shown", "steps_of_batch"]

_NUMBERS = 65_536
"""Numbers in cases that are judged together."""
_LEAST = 16
"""So many are, however large."""


@dataclass(frozen=True, eq=False)
class Steps:
    """What is said of consecutive cases of a block.

    Attributes:
        first: The position of the first case.
        records: How many steps a case has.
        compared: How many numbers of them were compared, of each case.
        unbounded: (C,): how many of these have no bound.
        worst: (C,): the largest error / bound.
        is_gradual: (C,): where gradual underflow explains every step.
        is_read: (C,): where λ was read at a breakpoint.
        left_out: (C,): where nothing is said, since there are numbers that are not finite.
        others: By position, all that is said of finite cases that something else explains, or
            nothing, or that are not told from wrong ones.
        notes: By position, why there are no steps.
    """

    first: int
    records: int
    compared: int
    unbounded: NDArray[np.int64]
    worst: Array
    is_gradual: NDArray[np.bool_]
    is_read: NDArray[np.bool_]
    left_out: NDArray[np.bool_]
    others: Mapping[int, OfCase]
    notes: Mapping[int, str]

    @classmethod
    def of(cls, positions: range, checks: Iterable[Check], notes: Mapping[int, str]) -> Steps:
        """What is said of the cases at some positions, by checks of one piece after the other."""
        count, at = len(positions), 0
        unbounded, worst = np.zeros(count, dtype=np.int64), np.zeros(count)
        is_gradual, is_read, left_out = np.ones((3, count), dtype=bool)
        others: dict[int, OfCase] = {}
        records = compared = 0
        for check in checks:
            records, compared = check.records, check.compared()
            here = slice(at, at + len(check.left_out))
            unbounded[here], worst[here] = check.unbounded_of_each, check.worst
            is_gradual[here], is_read[here] = check.explained[0], check.is_read
            left_out[here] = check.left_out
            plain = check.explained[0] & ~check.is_untold
            for index in np.flatnonzero(~plain & ~check.left_out).tolist():
                position = positions[at + index]
                if position not in notes:
                    others[position] = check.of(index)
            at = here.stop
        first = positions.start
        return cls(
            first, records, compared, unbounded, worst, is_gradual, is_read, left_out, others, notes
        )

    def together(self, verdict: Verdict, position: int) -> Verdict:
        """A verdict on the case at a position, and what is said of its steps."""
        if position in self.notes:
            return without_steps(verdict, self.notes[position])
        at = position - self.first
        if not 0 <= at < len(self.worst):
            return verdict
        plain = OfCase(
            self.records,
            self.compared,
            int(self.unbounded[at]),
            float(self.worst[at]),
            bool(self.left_out[at]),
            None,
            (),
            bool(self.is_gradual[at]),
            bool(self.is_read[at]),
        )
        return with_local(verdict, self.others.get(position, plain))

    def certifications(self, first: int, last: int) -> Certifications:
        """What is said of the cases from one position to another, in numbers."""
        here = slice(max(first - self.first, 0), max(last - self.first, 0))
        count = len(self.worst[here])
        within = range(max(first, self.first), min(last, self.first + len(self.worst)))
        said = np.ones(count, dtype=bool)
        said[[at - within.start for at in within if at in self.notes]] = False
        finite = said & ~self.left_out[here]
        inside = finite.copy()
        wrong = [at for at in self.others if at in within and self.others[at].wrong is not None]
        inside[[at - within.start for at in wrong]] = False
        notes: dict[str, int] = {NOT_FINITE: int((said & ~finite).sum())}
        for at in within:
            if at in self.notes:
                notes[self.notes[at]] = notes.get(self.notes[at], 0) + 1
        return Certifications(
            count,
            int(inside.sum()),
            len(wrong),
            self.compared * int(finite.sum()),
            int(self.unbounded[here][finite].sum()),
            float(self.worst[here][inside].max(initial=0.0)),
            tuple((note, number) for note, number in notes.items() if number),
            sum(1 for at in self.others if at in within and self.others[at].untold),
        )


def are_shown(framework: Framework, command: str) -> bool:
    """Whether steps are asked for: by the command, of a mode that shows them."""
    shows = framework.mode in framework.watched_modes
    return Certificate.LOCAL in CERTIFICATES[command, shows]


def steps_of_batch(framework: Framework, made: Block, given: Gradients, positions: range) -> Steps:
    """What the local certificate says of some cases of a batch.

    Args:
        framework: In a mode that shows its steps.
        made: The batch.
        given: What the same mode returned for it, plainly.
        positions: Of the cases, one after the other.
    """
    stack = made.batch.case()
    recorded = watch(framework, stack)
    if isinstance(recorded, Refused):
        note = f"{UNSEEN}: {recorded.reason}"
        return Steps.of(positions, [], dict.fromkeys(positions, note))
    others = differing(given, recorded.given)
    notes = {at: OTHER_BITS for at in positions if others[at - made.first]}
    step = max(_LEAST, _NUMBERS // stack.numbers_each)
    first, last = positions.start - made.first, positions.stop - made.first
    pieces = (slice(at, min(at + step, last)) for at in range(first, last, step))
    checks = (LocalJudge(stack[piece]).check(recorded[piece]) for piece in pieces)
    return Steps.of(positions, checks, notes)
