"""Gradients that are finite differences, told by their truncation.

A difference quotient of J with step h in entry k,

    (J(x + h e_k) - J(x - h e_k)) / 2h,    (J(x + h e_k) - J(x)) / h,    (J(x) - J(x - h e_k)) / h,

is a number of its own, no rounding of the derivative: it is enclosed as such, from enclosures of J
at the moved arguments, which are those that the case's dtype has. What was given is told to be one
if all that is wrong lies in these enclosures, in every failing case, and if somewhere the
derivative itself does not: the step is so large that what the quotient is off by can be seen.
Where the step is small and its rounding errors hide that, nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from crosscheck.judge.causes.search import Failing
from crosscheck.judge.enclosed import leaves_bound
from crosscheck.network.names import LOSS
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.program.enclosures import OnEnclosures, moved
from crosscheck.program.evaluate import evaluate
from crosscheck.program.floats import OnFloats

__all__ = ["Difference", "find_difference"]

Quotient = Literal["central", "forward", "backward"]

_QUOTIENTS: tuple[Quotient, ...] = ("central", "forward", "backward")
_STEPS = (*(Fraction(1, 10**k) for k in range(1, 9)), *(Fraction(1, 2**k) for k in range(1, 28)))
_MOST_CASES = 6
_MOST_ENTRIES = 64
_MOST_TRIED = 3


@dataclass(frozen=True)
class Difference:
    """A finite difference in place of a derivative.

    Attributes:
        names: The derivatives that are wrong.
        quotient: Which one.
        step: h.
    """

    names: tuple[str, ...]
    quotient: Quotient
    step: Fraction

    def explains(self, failing: Failing) -> bool:
        """Whether all that is wrong in a case is such a difference."""
        return all(
            not leaves_bound(self._enclosed(failing, name), failing.derivatives[name]).any()
            for name in failing.wrong
        )

    def tells(self, failing: Failing) -> bool:
        """Whether some derivative is none of these differences, so that they can be told."""
        return any(
            leaves_bound(self._enclosed(failing, name), failing.editor.right[name]).any()
            for name in failing.wrong
        )

    def _enclosed(self, failing: Failing, name: str) -> Enclosure:
        """The difference quotients by all entries of an array."""
        shape = failing.case.shapes[name]
        up, down, width = self._moved(failing, name)
        arrays = {n: np.broadcast_to(a, (2 * len(up), *a.shape)) for n, a in failing.case.entries()}
        arrays[name] = np.concatenate([up, down])
        program, model = failing.case.program, failing.model
        arithmetic = OnEnclosures(model)
        with np.errstate(all="ignore"):
            given = {n: Enclosure.of(model, array) for n, array in arrays.items()}
            loss = evaluate(program, arithmetic, given)[LOSS]
            values = Enclosure(model, loss.c, loss.r, loss.e)
            one, two = (_part(values, slice(k, k + len(up))) for k in (0, len(up)))
            found = arithmetic.times(arithmetic.difference(one, two), (1 / width,))
            whole = Enclosure(model, found.c, found.r, found.e)
            return moved(whole, lambda array: array.reshape(shape))

    def _moved(self, failing: Failing, name: str) -> tuple[Array, Array, Fraction]:
        """An array moved up and down in each of its entries, and how far these are apart."""
        form = format_of(failing.case.dtype)
        array = dict(failing.case.entries())[name]
        step = float(form.round(np.asarray(float(self.step))))
        moves = step * np.eye(array.size).reshape(array.size, *array.shape)
        plain = np.broadcast_to(array, moves.shape)
        up = plain if self.quotient == "backward" else form.round(plain + moves)
        down = plain if self.quotient == "forward" else form.round(plain - moves)
        return up, down, Fraction(step) * (2 if self.quotient == "central" else 1)

    def distance(self, failing: Failing) -> float:
        """How far what is wrong is from these differences, in float64."""
        total = 0.0
        program = failing.case.program
        for name in sorted(failing.wrong):
            up, down, width = self._moved(failing, name)
            given = failing.derivatives[name].ravel()
            arrays = dict(failing.case.entries())
            for k in range(len(up)):
                ends = [
                    evaluate(program, OnFloats(), {**arrays, name: end[k]})[LOSS]
                    for end in (up, down)
                ]
                total += abs(float(ends[0] - ends[1]) / float(width) - float(given[k]))
        return total if np.isfinite(total) else np.inf


def _part(values: Enclosure, part: slice) -> Enclosure:
    return moved(values, lambda array: array[part])


def find_difference(failing: Sequence[Failing]) -> Difference | None:
    """The finite difference that what was given is in all cases; ``None`` if it is none.

    Args:
        failing: Cases with what was returned for them.
    """
    fitting = [each for each in failing if each.wrong and _entries(each) <= _MOST_ENTRIES]
    cases = sorted(fitting, key=_entries)[:_MOST_CASES]
    if not cases or len(fitting) < len(failing):
        return None
    names = tuple(name for name in cases[0].derivatives if any(name in c.wrong for c in cases))
    told = [Difference(names, quotient, step) for step in _STEPS for quotient in _QUOTIENTS]
    with np.errstate(all="ignore"):
        nearest = sorted(told, key=lambda each: each.distance(cases[0]))[:_MOST_TRIED]
        for each in nearest:
            if all(map(each.explains, cases)) and any(map(each.tells, cases)):
                return each
    return None


def _entries(failing: Failing) -> int:
    return sum(failing.derivatives[name].size for name in failing.wrong)
