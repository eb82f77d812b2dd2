"""A choice by a comparison with a constant, as a function that has a kink there.

    where(r > c, A, B)

is a decision of its own wherever r may be c. If A and B are polynomials of r, or of what r is made
of, that meet at c, it is one piecewise polynomial, exactly (`crosscheck.frontends.forms`). If they
are other functions of r alone, entry by entry, with A(c) = B(c), it is

    A(max(r, c)) + B(min(r, c)) - A(c),

of which one of the first two terms is A(c) = B(c) everywhere, and both have their kink at r = c.
What is neither is none of these: the choice is made by the numbers of this case.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.frontends import verbs
from crosscheck.frontends.forms import (
    Form,
    between,
    folded,
    form_of,
    merged,
    written,
)
from crosscheck.frontends.verbs import number_of
from crosscheck.numbers.piecewise import evaluated
from crosscheck.numbers.scaling import nearest
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Var
from crosscheck.program.rules import rule_of

__all__ = ["COMPARISONS", "Test", "kinked"]

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
    "eq": operator.eq,
    "ne": operator.ne,
}
_TURNED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge", "eq": "eq", "ne": "ne"}


@dataclass(frozen=True)
class Test:
    """A comparison of numbers with a constant, entry by entry.

    Attributes:
        x: The numbers.
        name: Of the comparison, x on its left.
        bound: The constant.
    """

    x: Var
    name: str
    bound: Fraction

    @classmethod
    def of(cls, name: str, one: Var, two: Var) -> Test | None:
        """A comparison, if one of its sides is a constant and the other none."""
        numbers = number_of(one), number_of(two)
        if numbers[1] is not None and numbers[0] is None:
            return cls(one, name, numbers[1])
        if numbers[0] is not None and numbers[1] is None:
            return cls(two, _TURNED[name], numbers[0])
        return None

    def negated(self) -> Test:
        """What is true where this is not; of numbers that are none both are false."""
        other = {"gt": "le", "ge": "lt", "lt": "ge", "le": "gt", "eq": "ne", "ne": "eq"}
        return Test(self.x, other[self.name], self.bound)

    def is_met(self, number: Fraction) -> bool:
        """Whether a number meets it."""
        return bool(COMPARISONS[self.name](number, self.bound))


def kinked(test: Test, yes: Var, no: Var) -> Var | None:
    """``yes`` where the test is met, else ``no``, with a kink; ``None`` if that is none.

    Args:
        test: What is chosen by.
        yes: Of the test's shape, or a constant.
        no: Likewise.
    """
    if test.name in ("eq", "ne"):
        return None
    sides = []
    for each in (yes, no):
        number = number_of(each)
        if number is not None:
            ones = each.graph.ones(test.x.shape)
            each = ones.times(number) if number else each.graph.zeros(test.x.shape)
        if each.shape != test.x.shape:
            return None
        sides.append(each)
    return _polynomial(test, *sides) or _of_two(test, *sides)


def _polynomial(test: Test, yes: Var, no: Var) -> Var | None:
    """The choice as one piecewise polynomial."""
    root: Var | None = test.x
    while root is not None:
        forms = [form_of(each, root) for each in (test.x, yes, no)]
        if all(each is not None for each in forms):
            found = _chosen(test, *forms)  # type: ignore[arg-type]
            if found is not None:
                return found if isinstance(found, Var) else root.piecewise(found)
        root = _beneath(root)
    return None


def _beneath(x: Var) -> Var | None:
    """What a value is made of with constants alone."""
    if x.node.op not in ("times_constants", "piecewise", "add", "difference"):
        return None
    operands = [Var(x.graph, each) for each in x.node.inputs]
    rest = [each for each in operands if number_of(each) is None]
    return rest[0] if len(rest) == 1 and rest[0].shape == x.shape else None


def _chosen(test: Test, of: Form, yes: Form, no: Form) -> Any:
    breaks = {*of.breakpoints, *yes.breakpoints, *no.breakpoints}
    blur = Fraction(0)
    for point in between(of.breakpoints):
        constant, slope, *more = (*of.piece(point), Fraction(0), Fraction(0))[:3]
        if any(more):
            return None
        if slope:
            root = (test.bound - constant) / slope
            breaks.add(root)
            if of.roundings:
                blur = max(blur, (abs(slope * root) + abs(constant)) / abs(slope))
    ordered = tuple(sorted(breaks))
    pieces = tuple(
        (yes if test.is_met(evaluated(of.piece(point), point)) else no).piece(point)
        for point in between(ordered)
    )
    roundings = max(yes.roundings, no.roundings, of.roundings)
    whole = merged(Form(ordered, pieces, roundings))
    if whole is None or not whole.breakpoints:
        return None
    return written(whole, blur)


_ENTRYWISE = frozenset({"add", "difference", "mul", "times_constants", "piecewise", "elementary"})


def _of_two(test: Test, yes: Var, no: Var) -> Var | None:
    """The choice as a sum of both sides, each up to the bound."""
    above, below = (yes, no) if test.name in ("gt", "ge") else (no, yes)
    x, bound = test.x, test.bound
    if not (_is_entrywise(above, x) and _is_entrywise(below, x)):
        return None
    ends = [_at(each, x, nearest(bound)) for each in (above, below)]
    if ends[0] != ends[1]:
        return None
    exact = [form_of(each, x) for each in (above, below)]
    values = [evaluated(each.piece(bound), bound) for each in exact if each is not None]
    if ends[0] and not values:
        return None
    found = _with(above, x, folded(verbs.with_constant(x, bound, 1)))
    found = found + _with(below, x, folded(verbs.with_constant(x, bound, -1)))
    if not ends[0]:
        return found
    end = verbs.constant(x.graph, np.full(x.shape, nearest(values[0])))
    return None if end is None else found - end


def _is_entrywise(y: Var, x: Var) -> bool:
    if y == x or number_of(y) is not None:
        return True
    if y.shape != x.shape or y.node.op not in _ENTRYWISE:
        return False
    return all(_is_entrywise(Var(y.graph, each), x) for each in y.node.inputs)


def _at(y: Var, x: Var, number: float) -> float:
    """The value of a function of x at a number."""
    if y == x:
        return number
    known = number_of(y)
    if known is not None:
        return nearest(known)
    operands = [np.array(_at(Var(y.graph, each), x, number)) for each in y.node.inputs]
    return float(rule_of(y.node.op).value(OnFloats(), y.node, operands))


def _with(y: Var, x: Var, other: Var) -> Var:
    """A function of x, of another number in its place."""
    if y == x:
        return other
    if number_of(y) is not None:
        return y
    operands = [_with(Var(y.graph, each), x, other) for each in y.node.inputs]
    return folded(y.graph.apply(y.node.op, operands, y.shape, **y.node.settings))
