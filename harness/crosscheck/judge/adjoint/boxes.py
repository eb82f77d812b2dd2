"""A program over a box: each value's ball and rounding error, and the derivatives by all of them.

See `crosscheck.judge.adjoint` for what is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.decisions import Place
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure, OpenSum
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model
from crosscheck.numbers.rounding import or_infinity, up
from crosscheck.numbers.scaling import scaled
from crosscheck.program.derive import Use, shares
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.graph import Program
from crosscheck.program.rules import rule_of

__all__ = ["Box", "Position", "Terms"]

_STAYS_OPEN = frozenset(
    {"add", "times_constants", "broadcast", "expand", "squeeze", "transpose", "take", "scatter"}
)
"""The primitives that take a sum which is open, before it is rounded."""

_SEED = "∂"
"""What the inputs for cotangents begin with: no array's name does."""

_AT_ONCE = 2**21
"""Of so many numbers the derivatives by them are held at the same time."""


class _OnBalls(OnEnclosures):
    """Enclosures with whatever may be decided enclosed, all of it."""

    def largest(self, site: int, a: Enclosure, factor: Enclosure) -> Enclosure:
        """See `Arithmetic`: where the largest is not certain, all weights in [0, 1]."""
        could = self._could_be_largest(a)
        certain = could.sum(axis=-1, keepdims=True) == 1
        half = np.where(could & ~certain, 0.5, 0.0)
        chosen = np.where(could & certain, 1.0, half)
        # A framework takes a factor or leaves it, or takes a share of it: one product.
        shape = np.broadcast_shapes(factor.shape, a.shape)
        return scaled(self._repeated(factor, shape), chosen, half)


Position: TypeAlias = tuple[str, tuple[int, ...]]
"""Name of a result, and the index of an entry in it; of a scalar ``()``."""


class Terms(NamedTuple):
    """What rounding can do to some entries of a result.

    Attributes:
        bound: Σ_i l_i sup |∂v_out/∂v_i|, one for each entry.
        per_use: The same with each use of a value rounded by itself.
        expected: The root of the sum of the squares of the terms of ``bound``; no bound.
    """

    bound: Array
    per_use: Array
    expected: Array


class Box:
    """A program on balls that hold every evaluation in some arithmetic.

    Args:
        program: The program.
        model: The arithmetic that frameworks are held to; not a named one.
        arrays: The inputs by name, of a single case.
        slopes: λ at some of the sites; wherever else a slope is open any may be taken.

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
        self.program, self.model = program, model
        self._decisions, self._free = _decided(program, slopes or {})
        arithmetic = _OnBalls(model, self._decisions, any_slope=self._free)
        names = {number: name for name, number in program.inputs.items()}
        self.balls: dict[int, Enclosure] = {}
        self.rounding: dict[int, Array] = {}
        self._open: dict[int, OpenSum] = {}
        with np.errstate(all="ignore"):
            for number in program.needed:
                node = program.nodes[number]
                if node.op == "input":
                    found = Enclosure.of(model, arrays[names[number]])
                else:
                    operands = [self._operand(number, each) for each in node.inputs]
                    found = rule_of(node.op).value(arithmetic, node, operands)
                if isinstance(found, OpenSum):
                    self._open[number] = found
                self.rounding[number] = found.e
                self.balls[number] = found if found.is_data else _ball(model, found)

    def _operand(self, consumer: int, number: int) -> Enclosure:
        if self._is_open(consumer, number):
            return self._open[number]
        return self.balls[number]

    def _is_open(self, consumer: int, number: int) -> bool:
        """Whether a consumer takes a sum as it is, before it is rounded."""
        return number in self._open and self.program.nodes[consumer].op in _STAYS_OPEN

    @cached_property
    def _rounds(self) -> frozenset[int]:
        """The nodes that can have a rounding error."""
        return frozenset(number for number, error in self.rounding.items() if error.any())

    @cached_property
    def _narrow(self) -> Model:
        """A model whose centres are float64, which is all that derivatives need."""
        form = self.model.format
        precision = min(form.precision, 26)
        return replace(self.model, format=replace(form, name="narrow", precision=precision))

    @cached_property
    def _known(self) -> dict[int, Enclosure]:
        """The balls with float64 centres."""
        found = {}
        for number, ball in self.balls.items():
            r = ball.r
            if isinstance(ball.c, DoubleDouble):
                r = np.where(ball.c.low == 0.0, r, up(r + np.abs(ball.c.low), 1))
            found[number] = Enclosure(self._narrow, ball.high, r, np.zeros_like(r))
        return found

    def terms(self, positions: Sequence[Position]) -> Terms:
        """What rounding can do to entries of results, of shape (K,).

        Args:
            positions: Of K entries; those of one result side by side take less time.
        """
        numbers = sum(each.r.size for each in self.balls.values())
        step = max(1, _AT_ONCE // numbers)
        found = [
            self._some_terms(positions[start : start + step])
            for start in range(0, len(positions), step)
        ]
        columns = zip(*(each for each in found), strict=True)
        return Terms(*(np.concatenate(each) for each in columns))

    def _some_terms(self, positions: Sequence[Position]) -> Terms:
        program, count = self.program, len(positions)
        seeds = self._seeds(positions)
        derived, uses = _shares(program, tuple(seeds), self._rounds)
        sent: dict[int, list[Enclosure]] = {}
        for name, seed in seeds.items():
            sent.setdefault(program.outputs[name], []).append(seed)
        with np.errstate(all="ignore"):
            values = self._derivatives(derived, uses, seeds)
            for (consumer, at), share in uses.items():
                number = program.nodes[consumer].inputs[at]
                if not self._is_open(consumer, number):
                    sent.setdefault(number, []).append(values[share])
            bound, per_use, squares = np.zeros((3, count))
            for number, each in sent.items():
                if number not in self._rounds:
                    continue
                together, apart, square = _term(self.rounding[number], each)
                bound, per_use, squares = bound + together, per_use + apart, squares + square
            return Terms(
                or_infinity(up(bound, len(sent))),
                or_infinity(up(per_use, len(sent))),
                or_infinity(np.sqrt(squares)),
            )

    def _seeds(self, positions: Sequence[Position]) -> dict[str, Enclosure]:
        """The cotangents of the results: 1 at the entry that is looked at, 0 elsewhere."""
        program, found = self.program, {}
        for name in dict.fromkeys(name for name, _ in positions):
            shape = program.nodes[program.outputs[name]].shape
            seeds = np.zeros((len(positions), *shape))
            for k, (each, index) in enumerate(positions):
                if each == name:
                    seeds[(k, *index)] = 1.0
            # Not known exactly, or it would be asked of each product whether it is exact.
            found[name] = Enclosure(self._narrow, seeds, 2.0**-100 * seeds, np.zeros_like(seeds))
        return found

    def _derivatives(
        self, derived: Program, uses: Mapping[Use, int], seeds: Mapping[str, Enclosure]
    ) -> dict[int, Enclosure]:
        """Every node that the derivatives need, on balls.

        The slope of a value is any that its box allows, also where it was decided which one a
        gradient is made of.
        """
        whole = _OnBalls(self._narrow, any_slope=dict.fromkeys(self._free, np.ones((), bool)))
        decided = _OnBalls(self._narrow, self._decisions, any_slope=self._free)
        of_values = {
            share
            for (consumer, _), share in uses.items()
            if self.program.nodes[consumer].op == "piecewise"
        }
        for share in tuple(of_values):  # to which a factor that is constant may have been put
            if derived.nodes[share].op == "times_constants":
                of_values.update(derived.nodes[share].inputs)
        found = dict(self._known)
        for name, seed in seeds.items():
            found[derived.inputs[_SEED + name]] = seed
        for number in derived.needed:
            if number in found:
                continue
            node = derived.nodes[number]
            arithmetic = whole if number in of_values else decided
            value = rule_of(node.op).value(arithmetic, node, [found[each] for each in node.inputs])
            r = np.where(np.isfinite(value.c), value.r, np.inf)
            found[number] = Enclosure(self._narrow, value.c, r, np.zeros_like(r))
        return found


def _decided(
    program: Program, slopes: Mapping[Place, float]
) -> tuple[dict[int, Array], dict[int, NDArray[np.bool_]]]:
    """λ by sites, and where none is given."""
    sites = {node.inputs[0] for node in program.nodes if node.op == "select"}
    free = {site: np.ones(program.nodes[site].shape, dtype=bool) for site in sites}
    decisions: dict[int, Array] = {}
    for place, value in slopes.items():
        whole = decisions.setdefault(place.node, np.zeros(program.nodes[place.node].shape))
        whole[place.index] = value
        free[place.node][place.index] = False
    return decisions, free


def _ball(model: Model, value: Enclosure) -> Enclosure:
    radius = np.where(value.e == 0.0, value.r, up(value.r + value.e, 1))
    return Enclosure(model, value.c, or_infinity(radius), np.zeros_like(radius))


def _term(rounding: Array, sent: Sequence[Enclosure]) -> tuple[Array, Array, Array]:
    """Σ over entries of l |all that is sent down|, of l Σ |what each use sends|, of squares."""
    whole: Any = sent[0].high
    radius: Any = sent[0].r
    for each in sent[1:]:
        whole, radius = whole + each.high, radius + each.r
    sizes = [np.abs(each.high) + each.r for each in sent]
    apart: Array = sum(sizes[1:], sizes[0])
    depth = 4 * len(sent)
    # What adding up the centres rounds is less than 2^-53 of all their sizes each time.
    together = up(np.abs(whole) + radius + (len(sent) - 1) * 2.0**-52 * apart, depth)
    apart = up(apart, depth)
    axes, size = tuple(range(1, apart.ndim)), rounding.size + 4
    terms = rounding * np.minimum(together, apart)
    lost = np.count_nonzero((rounding != 0.0) & (apart != 0.0), axis=axes) * TINY
    return (
        up(terms.sum(axis=axes), size) + lost,
        up((rounding * apart).sum(axis=axes), size) + lost,
        (terms * terms).sum(axis=axes),
    )


@lru_cache(maxsize=512)
def _shares(
    program: Program, outputs: tuple[str, ...], nodes: frozenset[int]
) -> tuple[Program, Mapping[Use, int]]:
    return shares(program, {name: _SEED + name for name in outputs}, nodes)
