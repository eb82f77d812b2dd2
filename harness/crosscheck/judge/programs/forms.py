"""What open decisions do to an exact gradient: a constant and a linear form for every number.

The gradient's program is linear in cotangents, and its other operands are values of the loss's
program, which no decision changes. At an open decision v let s₋ and s₊ be the slopes on its two
sides, g_v the cotangent that comes to it, and

    p_v = λ_v g_v,        so that it passes on        s₋ g_v + (s₊ - s₋) p_v.

With the p_v as unknowns every cotangent is a constant plus a form in those that come before it, and
so is every entry of the gradient. Two products that are decided at one place have one λ; if their
cotangents are proportional, as a weight's and its input's are, one unknown stands for both.

All on rationals. Here is the system; `crosscheck.judge.programs.influence` and
`crosscheck.judge.programs.explanation` ask it questions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Decision, Place
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.network.exact import rational_of
from crosscheck.network.names import LOSS
from crosscheck.numbers.multilinear import fraction
from crosscheck.numbers.piecewise import Piecewise, evaluated
from crosscheck.program.exact import OnExact
from crosscheck.program.graph import Shape
from crosscheck.program.rules import rule_of
from crosscheck.tools.budget import Budget

__all__ = ["Forms", "Unknown", "slopes_around"]


@dataclass(frozen=True)
class Unknown:
    """p_v of an open decision.

    Attributes:
        decision: Which one.
        form: g_v: the constant, then a coefficient for each unknown there is room for.
    """

    decision: Decision
    form: tuple[Any, ...]


@dataclass(eq=False)
class _Form:
    """Numbers that are forms: an object array with the constants and coefficients in front."""

    parts: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.parts.shape[1:])


class _OnForms:
    """The verbs of a gradient's program on plain rationals and forms."""

    def __init__(self, forms: Forms) -> None:
        self._plain = OnExact(rational_of)
        self._forms = forms

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._plain, name)

        def linear(*operands: Any) -> Any:
            unwrapped = [each.parts if isinstance(each, _Form) else each for each in operands]
            found = verb(*unwrapped)
            return _Form(found) if any(isinstance(each, _Form) for each in operands) else found

        return linear

    def add(self, a: Any, b: Any) -> Any:
        if isinstance(a, _Form) == isinstance(b, _Form):
            return _Form(a.parts + b.parts) if isinstance(a, _Form) else a + b
        form, plain = (a, b) if isinstance(a, _Form) else (b, a)
        shape = np.broadcast_shapes(form.shape, np.shape(plain))
        parts = np.array(np.broadcast_to(form.parts, (len(form.parts), *shape)))
        parts[0] = parts[0] + plain
        return _Form(parts)

    def difference(self, a: Any, b: Any) -> Any:
        if not isinstance(a, _Form) and not isinstance(b, _Form):
            return a - b
        minus = _Form(-b.parts) if isinstance(b, _Form) else -b
        return self.add(a, minus)

    def select(self, site: int, z: Any, factor: Any, function: Piecewise) -> Any:
        return self._forms.decided(site, z, factor, function)

    def largest(self, site: int, a: Any, factor: Any) -> Any:
        return self._forms.tied(site, a, factor)

    def broadcast(self, a: Any, shape: Shape) -> Any:
        if isinstance(a, _Form):
            return _Form(np.broadcast_to(a.parts, (len(a.parts), *shape)))
        return self._plain.broadcast(a, shape)


@dataclass(eq=False)
class Forms:
    """The system of one case.

    Args:
        enclosed: A single finite case.
        budget: What building it may take.

    Attributes:
        unknowns: The p_v, those above first.
        outputs: Name of each array of the gradient to its forms, (1 + unknowns, …).

    Raises:
        Exhausted: It takes more.
    """

    enclosed: EnclosedProgram
    budget: Budget
    unknowns: list[Unknown] = field(default_factory=list)
    outputs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        decisions = self.enclosed.decisions
        self._at: dict[Place, Decision] = {each.place: each for each in decisions}
        selects = self._count_selects()
        self._room = 1 + sum(selects.get(place.node, 0) for place in self._at)
        program, values = self.enclosed.program, dict(self.enclosed.exact_values)
        arithmetic = _OnForms(self)
        for number in program.needed:
            if number in values:
                continue
            node = program.nodes[number]
            self.budget.spend(self._room * (math.prod(node.shape) + 1))
            if node.op == "contract":
                inner = program.nodes[node.inputs[0]].shape[-1]
                self.budget.spend(self._room * math.prod(node.shape) * inner)
            operands = [values[each] for each in node.inputs]
            values[number] = rule_of(node.op).value(arithmetic, node, operands)
        count = 1 + len(self.unknowns)
        self.outputs = {
            name: self._whole(values[number], self.enclosed.case.shapes[name])[:count]
            for name, number in program.outputs.items()
            if name != LOSS
        }

    def _count_selects(self) -> dict[int, int]:
        found: dict[int, int] = {}
        program = self.enclosed.program
        for number in program.needed:
            node = program.nodes[number]
            if node.op in ("select", "largest"):
                found[node.inputs[0]] = found.get(node.inputs[0], 0) + 1
        return found

    def _whole(self, value: Any, shape: Shape) -> Any:
        if isinstance(value, _Form):
            return value.parts
        parts = np.full((self._room, *shape), rational_of(Fraction(0)), dtype=object)
        parts[0] = value
        return parts

    def decided(self, site: int, z: Any, factor: Any, function: Piecewise) -> Any:
        """f'(z) ∘ factor, with an unknown where it is open."""
        plain = OnExact(rational_of)
        here = [place for place in self._at if place.node == site]
        if not isinstance(factor, _Form):
            found = plain.select(site, z, factor, function)
            if not here:
                return found
            factor = _Form(self._whole(factor, np.shape(factor)))
        parts = np.array(plain.select(site, z, factor.parts, function), dtype=object)
        for place in here:
            left, right = slopes_around(function, self._at[place], z[place.index])
            at: Any = (slice(None), *place.index)
            comes = tuple(factor.parts[at])
            passed = left * factor.parts[at]
            known, scale = self._unknown(place, comes)
            if known is not None:
                passed = np.array(passed)
                passed[1 + known] += (right - left) * scale
            parts[at] = passed
        return _Form(parts)

    def tied(self, site: int, a: Any, factor: Any) -> Any:
        """What goes to the largest of a, with an unknown for each member of a tie but the last.

        A member is sent p_v = λ_v g_v of the g_v that is left to it, and the last one the rest.
        """
        windows = {at: each for (node, at), each in self.enclosed.windows.items() if node == site}
        plain = OnExact(rational_of)
        if not isinstance(factor, _Form):
            if not windows:
                return plain.largest(site, a, factor)
            factor = _Form(self._whole(factor, np.shape(factor)))
        parts = np.array(plain.largest(site, a, factor.parts), dtype=object)
        for window, members in windows.items():
            here: Any = (slice(None), *window)
            rest = np.array(factor.parts[(*here, 0)], dtype=object)
            parts[here] = rest[0] * 0
            for each in members[:-1]:
                known, scale = self._unknown(each.place, tuple(rest))
                if known is not None:
                    parts[(1 + known, *each.place.index)] = scale
                    rest[1 + known] -= scale
            parts[(*here, members[-1].place.index[-1])] = rest
        return _Form(parts)

    def _unknown(self, place: Place, comes: tuple[Any, ...]) -> tuple[int | None, Any]:
        """The number of p_v for what comes to a decision, and how many times it p_v counts."""
        if not any(comes):
            return None, 0
        for number, each in enumerate(self.unknowns):
            if each.decision.place == place:
                ratio = _ratio(comes, each.form)
                if ratio is not None:
                    return number, ratio
        self.unknowns.append(Unknown(self._at[place], comes))
        return len(self.unknowns) - 1, rational_of(Fraction(1))


def slopes_around(function: Piecewise, decision: Decision, value: Any) -> tuple[Any, Any]:
    """The slopes s₋ and s₊ of the pieces on the two sides of the breakpoint, at the exact value."""
    point = fraction(value)
    if decision.breakpoint in function.breakpoints:
        k = function.breakpoints.index(decision.breakpoint)
        pieces = function.derivative.pieces[k : k + 2]
        left, right = (evaluated(piece, point) for piece in pieces)
    else:
        k = sum(each < point for each in function.breakpoints)
        left = right = evaluated(function.derivative.pieces[k], point)
    return rational_of(left), rational_of(right)


def _ratio(one: Sequence[Any], other: Sequence[Any]) -> Any:
    """c with one = c · other, or ``None``."""
    at = next(i for i, value in enumerate(other) if value != 0)
    c = one[at] / other[at]
    same = all(a == c * b for a, b in zip(one, other, strict=True))
    return c if same else None
