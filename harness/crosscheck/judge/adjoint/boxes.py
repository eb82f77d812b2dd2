"""A program over a box: each value's ball, and its rounding error.

See `crosscheck.judge.adjoint` for what is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.decisions import Place
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.balls import Ball
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure, OpenSum
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.rounding import or_infinity, up
from crosscheck.numbers.scaling import scaled
from crosscheck.numbers.sides import sides_of
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import evaluate
from crosscheck.program.graph import Program
from crosscheck.program.rules import rule_of

__all__ = ["Box", "ball_of"]

_STAYS_OPEN = frozenset(
    {"add", "times_constants", "broadcast", "expand", "squeeze", "transpose", "take", "scatter"}
)
"""The primitives that take a sum which is open, before it is rounded."""


class _OnBalls(OnEnclosures):
    """Enclosures with whatever is not decided enclosed, all of it."""

    def select(self, site: int, z: Enclosure, factor: Enclosure, function: Piecewise) -> Enclosure:
        """See `Arithmetic`: λ speaks of one jump, and of none where several are open."""
        if site not in self.decisions:
            return super().select(site, z, factor, function)
        sides = sides_of(z, function)
        jumps = [k for k, jumps_there in enumerate(function.derivative.jumps) if jumps_there]
        number = sum(((sides.first <= k) & (k < sides.last) for k in jumps), np.zeros(z.shape))
        free = self.any_slope[site] | (number > 1)
        whole = OnEnclosures(self.model, self.decisions, any_slope={**self.any_slope, site: free})
        return whole.select(site, z, factor, function)

    def largest(self, site: int, a: Enclosure, factor: Enclosure) -> Enclosure:
        """See `Arithmetic`: where the largest is not certain, all weights in [0, 1]."""
        could = self.could_be_largest(a)
        certain = could.sum(axis=-1, keepdims=True) == 1
        half = np.where(could & ~certain, 0.5, 0.0)
        chosen = np.where(could & certain, 1.0, half)
        # A framework takes a factor or leaves it, or takes a share of it: one product.
        shape = np.broadcast_shapes(factor.shape, a.shape)
        return scaled(self._repeated(factor, shape), chosen, half)


class Box:
    """A program on balls that hold every evaluation in some arithmetic.

    Args:
        program: The program.
        model: The arithmetic that frameworks are held to; not a named one.
        arrays: The inputs by name, of a single case; those that nothing is decided upon may have
            an axis in front.
        slopes: λ at some of the sites, between the slopes on either side of the first breakpoint
            that is open; wherever else a slope is open any may be taken.

    Attributes:
        balls: Of each node a ball (c, R, 0) that holds all evaluations.
        rounding: Of each node l, which bounds its own rounding error over the box.
    """

    def __init__(
        self,
        program: Program,
        model: Model,
        arrays: Mapping[str, Array],
        slopes: Mapping[Place, float] | None = None,
    ) -> None:
        assert model.arithmetic is None
        self.program, self.model, self._arrays = program, model, arrays
        self._decisions, self._free = _decided(program, slopes or {})
        arithmetic = _OnBalls(model, self._decisions, any_slope=self._free)
        names = {number: name for name, number in program.inputs.items()}
        self.balls: dict[int, Enclosure] = {}
        self.rounding: dict[int, Array] = {}
        self._open: dict[int, OpenSum] = {}
        self._slopes: dict[tuple[int, Piecewise, bool], Ball] = {}
        with np.errstate(all="ignore"):
            for number in program.needed:
                node = program.nodes[number]
                if node.op == "input":
                    found = Enclosure.of(model, arrays[names[number]])
                else:
                    operands = [self._operand(number, each) for each in node.inputs]
                    found = rule_of(node.op).value(arithmetic, node, operands)
                if node.op == "either":
                    found = self._in_another_way(number, found, arithmetic)
                if isinstance(found, OpenSum):
                    self._open[number] = found
                self.rounding[number] = found.e
                self.balls[number] = found if found.is_data else ball_of(model, found)

    def _in_another_way(self, number: int, one: Enclosure, arithmetic: OnEnclosures) -> Enclosure:
        """A number that may be computed in another way, with what rounding may do on that way.

        What it is computed from is in the box; from there its errors are carried along. The first
        way has been charged node by node.
        """
        first, other = self.program.nodes[number].inputs
        border = self._charged(first)
        held: dict[int, Enclosure] = {}
        for inner in Program(self.program.nodes, {}, {"": other}).needed:
            if inner not in border:
                each = self.program.nodes[inner]
                x = [held[k] if k in held else self._operand(inner, k) for k in each.inputs]
                held[inner] = rule_of(each.op).value(arithmetic, each, x)
        e = np.maximum(one.e, held[other].e) if other in held else one.e
        return Enclosure(self.model, one.c, one.r, np.broadcast_to(e, one.shape))

    def _charged(self, node: int) -> set[int]:
        """What it depends on by the ways whose values are charged one by one."""
        found: set[int] = set()
        waiting = [node]
        while waiting:
            number = waiting.pop()
            if number not in found:
                found.add(number)
                each = self.program.nodes[number]
                waiting += each.inputs[:1] if each.op == "either" else each.inputs
        return found

    @cached_property
    def reference(self) -> Mapping[str, Enclosure]:
        """The results as the reference has them: r holds what is not decided, and its rounding."""
        with np.errstate(all="ignore"):
            arithmetic = _OnBalls(self.model, self._decisions, any_slope=self._free)
            data = {name: Enclosure.of(self.model, each) for name, each in self._arrays.items()}
            return evaluate(self.program, arithmetic, data)

    def _operand(self, consumer: int, number: int) -> Enclosure:
        if self.is_open(consumer, number):
            return self._open[number]
        return self.balls[number]

    def is_open(self, consumer: int, number: int) -> bool:
        """Whether a consumer takes a sum as it is, before it is rounded."""
        return number in self._open and self.program.nodes[consumer].op in _STAYS_OPEN

    @cached_property
    def rounds(self) -> frozenset[int]:
        """The nodes that can have a rounding error."""
        return frozenset(number for number, error in self.rounding.items() if error.any())

    @cached_property
    def _narrow(self) -> Model:
        """A model whose centres are float64, which is all that derivatives need."""
        form = self.model.format
        precision = min(form.precision, 26)
        return replace(self.model, format=replace(form, name="narrow", precision=precision))

    @cached_property
    def known(self) -> Mapping[int, Ball]:
        """The balls with float64 centres."""
        return {number: self.narrow(ball) for number, ball in self.balls.items()}

    @staticmethod
    def narrow(ball: Enclosure) -> Ball:
        """A ball with a float64 centre that holds one with any centre."""
        r = ball.r
        if isinstance(ball.c, DoubleDouble):
            r = np.where(ball.c.low == 0.0, r, up(r + np.abs(ball.c.low), 1))
        return Ball(ball.high, r)

    def slope(self, site: int, function: Piecewise, *, of_value: bool) -> Ball:
        """f' at a site, for every evaluation in the box.

        Args:
            site: The site.
            function: f.
            of_value: Whether it is that of a value f(z), for which any slope that the box allows
                is taken, also where it is decided which one a gradient is made of.
        """
        key = site, function, of_value
        if key not in self._slopes:
            z, one = self._with_ones(site)
            if of_value:
                arithmetic = _OnBalls(self._narrow, any_slope={site: np.ones(z.shape, bool)})
            else:
                arithmetic = _OnBalls(self._narrow, self._decisions, any_slope=self._free)
            with np.errstate(all="ignore"):
                found = arithmetic.select(site, z, one, function)
            self._slopes[key] = Ball(found.high, found.r)
        return self._slopes[key]

    def weights(self, site: int) -> Ball:
        """What the entries along the last axis are weighed with, the largest of which is taken."""
        a, one = self._with_ones(site)
        found = _OnBalls(self._narrow).largest(site, a, one)
        return Ball(found.high, found.r)

    def _with_ones(self, site: int) -> tuple[Enclosure, Enclosure]:
        ball = self.known[site]
        z = Enclosure(self._narrow, ball.c, ball.r, np.zeros_like(ball.r))
        return z, Enclosure.of(self._narrow, np.ones(ball.shape))


def _decided(
    program: Program, slopes: Mapping[Place, float]
) -> tuple[dict[int, Array], dict[int, NDArray[np.bool_]]]:
    """λ by sites, and where none is given."""
    sites = {node.inputs[0] for node in program.nodes if node.op == "select"}
    free = {site: np.ones(program.nodes[site].shape, dtype=bool) for site in sites}
    decisions: dict[int, Array] = {}
    for place, value in slopes.items():
        if place.node not in free:
            continue
        whole = decisions.setdefault(place.node, np.zeros(program.nodes[place.node].shape))
        whole[place.index] = value
        free[place.node][place.index] = False
    return decisions, free


def ball_of(model: Model, value: Enclosure) -> Enclosure:
    """Everything that a value can be, as a ball (c, R, 0)."""
    radius = np.where(value.e == 0.0, value.r, up(value.r + value.e, 1))
    return Enclosure(model, value.c, or_infinity(radius), np.zeros_like(radius))
