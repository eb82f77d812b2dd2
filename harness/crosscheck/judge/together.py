"""Verdicts on many cases at once, each of which is finite and has at most one open gate.

Nearly all that a sweep leaves to be looked at by itself is of this kind.
`crosscheck.judge.compare.Judge` spends milliseconds on each such case, most of them on calling
NumPy for a handful of numbers. Here the same formulas run on the whole stack:

    forward pass on enclosures, signs           once for each case
    backward pass, down to the open gate        once for each case, with gate 0 there
    slopes that each gradient shows             `crosscheck.judge.kinks.slopes`: mostly one
    backward pass, from there on                once for each case and slope
    is every entry of the gradient contained?   for the first such slope, that is the verdict

What this does not explain is not judged here, but left to `Judge`: there may be another slope, or
another arithmetic, or it is wrong. So is a gate whose slope can hardly be seen. What it does
explain has the verdict that `Judge` gives. Of cases that hold NaN or infinity the gradient's
classes of numbers are told, and nothing is compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crosscheck.judge.branches import Stack
from crosscheck.judge.entries import ratio_of
from crosscheck.judge.kinks.readings import reading_of
from crosscheck.judge.returned import Answers, Part
from crosscheck.judge.vacuity import side_by_side
from crosscheck.judge.verdict import Entry, Validity, Verdict, kind_of
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.names import EntryName
from crosscheck.numbers.bounded import distance
from crosscheck.numbers.ieee import in_ieee_arithmetic

__all__ = ["Judged", "judged_together"]


@dataclass(frozen=True, eq=False)
class Judged:
    """What is said of one case.

    Attributes:
        verdicts: Of each framework, without names; ``None`` where it is to be asked of `Judge`.
        reference: The reference's gradient in float64, as `Judge.reference`.
        smooth: Whether the case is finite, can not overflow, and has no open gate, so that where
            there is no verdict gradual underflow does not explain the gradient.
    """

    verdicts: tuple[Verdict | None, ...]
    reference: Gradients
    smooth: bool


@in_ieee_arithmetic
def judged_together(case: Case, given: Sequence[Gradients]) -> list[Judged | None]:
    """What `Judge.verdict` says of the cases of a stack, but for those with several open gates.

    Args:
        case: A stack of C cases.
        given: Of each framework, losses and gradients of all of them as it computes them in
            reverse mode, in float64 or what they can be converted to without loss.

    Returns:
        One answer for each case; ``None`` where it is not finite or has several open gates.
    """
    with np.errstate(all="ignore"):
        stack = Stack(case)
        answers = Answers.of(given, stack.parts, stack.ours)
        stack.descend(answers)
        verdicts: list[list[Verdict | None]] = [[] for _ in range(len(case.x))]
        found, overflowing = _explained(stack, answers)
        for framework in answers.number:
            for index, number in enumerate(framework):
                verdicts[index].append(found.get(number))
        smooth = stack.ours & (stack.layers == 0)
        smooth[sorted(overflowing)] = False
        return [
            Judged(tuple(verdicts[index]), stack.reference(index), bool(smooth[index]))
            if is_ours
            else None
            for index, is_ours in enumerate(stack.ours.tolist())
        ]


def _explained(stack: Stack, answers: Answers) -> tuple[dict[int, Verdict], set[int]]:
    """The verdicts on the answers that lie within all bounds, by position.

    And the cases of which something may overflow; there are no verdicts on them.
    """
    answer, branch = stack.attempts(answers)
    if not len(answer):
        return {}, set()
    used, branch = np.unique(branch, return_inverse=True)
    bounds, values = stack.bounds(used), answers.values[answer]
    errors, rooms = distance(values, bounds.c[branch]), bounds.bound[branch]
    endless = np.any(np.isinf(bounds.bound), axis=1)[branch]
    contained = np.all(errors <= rooms, axis=1) & ~endless
    explained, which = np.unique(answer[contained], return_index=True)  # by the first attempt
    which = np.flatnonzero(contained)[which]
    if len(which) < len(answer):  # seldom
        branch = branch[which]
        values, errors, rooms = values[which], errors[which], rooms[which]
    ratios, every = ratio_of(errors, rooms), np.arange(len(which))
    worst = ratios.argmax(axis=1)
    reference, error = bounds.high[branch, worst], errors[every, worst]
    form = stack.enclosed.model.format
    columns = (
        values[every, worst],
        reference,
        error,
        rooms[every, worst],
        ratios[every, worst],
        error / form.ulp(np.minimum(np.abs(reference), form.largest)),
    )
    entries = zip(worst.tolist(), *(column.tolist() for column in columns), strict=True)
    slopes = stack.slopes[used[branch]].tolist()
    gates = stack.gates(np.unique(answers.case[explained]).tolist())
    arrays = side_by_side(bounds.high, bounds.bound, stack.parts)
    found = {}
    for row, (at, slope, (position, *entry), of) in enumerate(
        zip(explained.tolist(), slopes, entries, branch.tolist(), strict=True)
    ):
        index = int(answers.case[at])
        readings = (reading_of(gates[index], slope, answers.effect[at]),) if index in gates else ()
        validity: tuple[Validity, ...] = ()
        if index in gates:
            known = answers.effect[at], values[row], rooms[row]
            validity = stack.validity(gates[index], index, slope, *known)
        found[at] = Verdict(
            "",
            "",
            "",
            kind_of(readings),
            worst=Entry(_label(stack.parts, position), *entry),
            gates=readings,
            validity=validity,
            checked=arrays[of][0],
            unchecked=arrays[of][1],
        )
    return found, set(answers.case[answer[endless]].tolist())


def _label(parts: Sequence[Part], entry: int) -> str:
    """The name of an entry, as in `Entry`."""
    name, start, shape = next(part for part in reversed(parts) if part[1] <= entry)
    index = np.unravel_index(entry - start, shape)
    return str(EntryName.of(name, index))
