"""Numbers for a gradient, marked entry by entry: right, wrong, or too coarse to tell.

A number stands for an interval of float64 numbers, mostly for one of them
(`crosscheck.numbers.written`). It is right if one of these is inside its derived bound: then
somebody who computed rightly, in any order of summation, can have written it; and if none is,
nobody can. Of an interval and a bound the number nearest to the middle of the bound decides, and
that gradient is what the judge is asked about. Where the data are exact the bound is 0 and the
interval alone is left.

At a kink the numbers may be those of any slope. What is stated exactly is left to the judge, who
reads slopes. Of rounded numbers those of the conventions λ = 0, 1 and ½ are tried; where none of
them gives the numbers, a rounded number that depends on λ is not marked, since another λ may give
it.

Neither is a number that says nothing: where the right one is not zero, and zero is among what the
written digits stand for, or as good as the right one by its bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.decisions import GateClass, Place
from crosscheck.judge.door import Answer, Question
from crosscheck.judge.enclosed import Enclosed, leaves_bound
from crosscheck.judge.kinks.influence import gates_with
from crosscheck.judge.kinks.slopes import CONVENTIONS
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.network.composed import AnyGradients
from crosscheck.network.given import Given, partial_gradients
from crosscheck.network.names import label
from crosscheck.numbers.model import Model

__all__ = ["AnyEnclosed", "Mark", "Marked", "MarkedEntry", "marked"]

AnyEnclosed: TypeAlias = Enclosed | EnclosedProgram
Slopes: TypeAlias = Mapping[Place, float]

_MINE = ("yours", "", "")
_NOT_TOLD = "at its kinks other slopes than 0, 1 and ½ may give what is rounded here"


class Mark(StrEnum):
    """What is said of a number."""

    RIGHT = "right"
    DIGITS = "right, to its digits"
    UNTOLD = "says nothing"
    WRONG = "wrong"


@dataclass(frozen=True)
class MarkedEntry:
    """A number, and what is said of it.

    Attributes:
        array: The name of its array.
        index: Its place there.
        text: As it was written.
        reference: The right one in float64, at the slopes of `Marked.slopes`.
        mark: What is said.
    """

    array: str
    index: tuple[int, ...]
    text: str
    reference: float
    mark: Mark

    @property
    def name(self) -> str:
        """Of the entry."""
        return label(self.array, self.index)


@dataclass(frozen=True, eq=False)
class Marked:
    """All numbers that were given, marked.

    Attributes:
        given: The numbers.
        entries: Each of them, in the order of the gradient.
        verdict: What the judge says of them together.
        enclosed: The case in the arithmetic of its dtype.
        slopes: λ at its open decisions with which the numbers were marked.
        bounds: The gradient on enclosures, at these slopes, by name.
    """

    given: Given
    entries: tuple[MarkedEntry, ...]
    verdict: Verdict
    enclosed: AnyEnclosed
    slopes: Slopes
    bounds: Mapping[str, Any]

    @property
    def failed(self) -> bool:
        """Whether a number is wrong."""
        return fails(self.verdict)

    def wrong(self, name: str) -> NDArray[np.bool_]:
        """Which numbers of an array are wrong."""
        found = np.zeros(self.given.values[name].shape, dtype=bool)
        for each in self.entries:
            if each.array == name:
                found[each.index] = each.mark is Mark.WRONG
        return found


def marked(given: Given, question: Question) -> Marked:
    """Numbers given for the gradient of the single finite case that ``question`` is about."""
    judge = question.judge()
    case = judge.case
    enclosed: AnyEnclosed = judge.enclosed(Model(judge.format))
    tried: list[tuple[int, int, Slopes, Mapping[str, Any], Verdict]] = []
    for slopes in _slopes(enclosed):
        bounds = dict(_gradients(enclosed, slopes).entries())
        nearest = given.nearest_to(bounds)
        answer = Answer(partial_gradients(case, nearest), names=_MINE)
        verdict = question.another(answer)
        if not fails(verdict):
            entries = tuple(_entries(given, bounds, explained=True))
            return Marked(given, entries, verdict, enclosed, slopes, bounds)
        left = sum(int(leaves_bound(bounds[name], each).sum()) for name, each in nearest.items())
        tried.append((left, len(tried), slopes, bounds, verdict))
    _, _, slopes, best, verdict = min(tried, key=lambda each: each[:2])
    entries = tuple(_entries(given, best, others=[each[3] for each in tried]))
    if not any(each.mark is Mark.WRONG for each in entries) and len(tried) > 1:
        verdict = replace(verdict, kind=Kind.UNDECIDED, detail=_NOT_TOLD)
    return Marked(given, entries, verdict, enclosed, slopes, best)


def _slopes(enclosed: AnyEnclosed) -> Iterator[Slopes]:
    """What is tried at the open decisions: the exact side, and at kinks one convention for all."""
    decisions = enclosed.open_gates if isinstance(enclosed, Enclosed) else enclosed.decisions
    for slope in CONVENTIONS if decisions else (0.0,):
        yield {
            each.place: float(each.side) if each.gate is GateClass.UNDECIDED else slope
            for each in decisions
        }


def _gradients(enclosed: AnyEnclosed, slopes: Slopes) -> AnyGradients:
    if isinstance(enclosed, Enclosed):
        return enclosed.gradients(gates_with(enclosed, slopes))
    return enclosed.gradients(dict(slopes))


def _entries(
    given: Given,
    bounds: Mapping[str, Any],
    *,
    explained: bool = False,
    others: Sequence[Mapping[str, Any]] = (),
) -> Iterator[MarkedEntry]:
    """Each number with its mark.

    Args:
        given: The numbers.
        bounds: What they are held to.
        explained: Whether the judge has nothing against them.
        others: What else they have been held to, at other slopes.
    """
    nearest = given.nearest_to(bounds)
    for name, bound in bounds.items():
        if name not in given.values:
            continue
        low, high = given.low[name], given.high[name]
        right, room = bound.high, bound.bound
        rounded = low < high
        wrong = leaves_bound(bound, nearest[name]) & (not explained)
        other_digits = rounded & leaves_bound(bound, given.values[name])
        idle = rounded & (low <= 0) & (high >= 0) & (right != 0)
        idle = idle | ((room > 0) & (np.abs(right) <= room))
        open_to_slopes = np.zeros(low.shape, dtype=bool)
        for other in others:
            open_to_slopes = open_to_slopes | (other[name].high != right)
        idle = np.where(wrong, rounded & open_to_slopes, idle)
        for index in np.ndindex(*low.shape):
            mark = Mark.DIGITS if other_digits[index] else Mark.RIGHT
            if idle[index]:
                mark = Mark.UNTOLD
            elif wrong[index]:
                mark = Mark.WRONG
            text = str(given.texts[name][index]) or _plain(float(given.values[name][index]))
            yield MarkedEntry(name, index, text, float(right[index]), mark)


def _plain(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) <= 2**53 else repr(value)
