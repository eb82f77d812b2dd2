"""The verbs of programs on enclosures, and every slope between extremes at once.

What is taken, scattered, repeated, and the largest of several: 1,015,808 tries a rule gave at most
1.0000 of the bound (`crosscheck.studies.adversary`).
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.differentiable import Elementary
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.elementary_values import box_of, elementary_of
from crosscheck.numbers.enclosure import Enclosure, OpenSum
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.piecewise_slopes import slope_of
from crosscheck.numbers.piecewise_values import value_of
from crosscheck.numbers.rounding import NO_GRAIN, up
from crosscheck.numbers.scaling import scaled, times_constants
from crosscheck.numbers.sides import Sides, sides_of
from crosscheck.numbers.updates import mean_by_updates, squares_by_updates
from crosscheck.program.arithmetic import Decisions, leading
from crosscheck.program.graph import Shape
from crosscheck.program.places import Places
from crosscheck.program.sweeps import Formed

__all__ = ["OnEnclosures", "cleared", "moved"]


@dataclass
class OnEnclosures:
    """Enclosures, in the arithmetic of a model.

    Attributes:
        model: The arithmetic that frameworks are held to.
        decisions: λ at the open sites.
        pairs: The piece on the left of the jump that λ speaks of, where that is not the first.
        any_slope: Sites to where every slope between the extremes is enclosed at once.
        formed: What was formed of which values (`crosscheck.program.alternatives`).
        takes_first: Of a number that may be computed in several ways the first is enclosed alone.
    """

    model: Model
    decisions: Decisions = field(default_factory=dict)
    pairs: Mapping[int, NDArray[np.int64]] = field(default_factory=dict)
    any_slope: Mapping[int, NDArray[np.bool_]] = field(default_factory=dict)
    formed: Formed = field(default_factory=dict, repr=False)
    takes_first: bool = False

    def filled(self, value: float, shape: Shape) -> Enclosure:
        """See `Arithmetic`."""
        return Enclosure.of(self.model, np.full(shape, value))

    def add(self, a: Enclosure, b: Enclosure) -> Enclosure:
        """See `Arithmetic`; two open sums become one, whose order nobody knows."""
        a, b = _open(a), _open(b)
        shape = np.broadcast_shapes(a.c.shape, b.c.shape)
        return _spread(a, shape).joined(_spread(b, shape))

    def difference(self, a: Enclosure, b: Enclosure) -> Enclosure:
        """See `Arithmetic`."""
        shape = np.broadcast_shapes(a.shape, b.shape)
        return self._repeated(a, shape) - self._repeated(b, shape)

    def mul(self, a: Enclosure, b: Enclosure) -> Enclosure:
        """See `Arithmetic`."""
        shape = np.broadcast_shapes(a.shape, b.shape)
        return self._repeated(a, shape) * self._repeated(b, shape)

    def times(self, a: Enclosure, constants: tuple[Fraction, ...]) -> Enclosure:
        """See `Arithmetic`."""
        return times_constants(a, constants)

    def contract(self, a: Enclosure, b: Enclosure) -> Enclosure:
        """See `Arithmetic`.

        Where a named arithmetic may be used or not, the exact value q is still that of the product
        in it. What the dtype's own arithmetic returns lies within r' + e' of c', its enclosure's
        centre, and so within |q - c'| + r' + e' of q.
        """
        found = a @ b
        if not self.model.is_partial:
            return found
        own = a @ b.spared()
        apart = np.abs(found.high - own.high) + (own.r + own.e) + found.r
        return Enclosure(self.model, found.c, found.r, np.maximum(found.e, up(apart, 4)))

    def sum(self, a: Enclosure, axes: tuple[int, ...], keep: bool) -> Enclosure:
        """See `Arithmetic`."""
        found = a.sum(axes if len(axes) > 1 else axes[0])
        if not keep:
            return found
        for axis in reversed(axes):  # counted from the last: those behind have to be there
            found = self.expand(found, axis)
        return found

    def broadcast(self, a: Enclosure, shape: Shape) -> Enclosure:
        """See `Arithmetic`."""
        if a.is_data:
            _ = a.grain  # of few numbers, rather than of each of their copies
        return self._repeated(a, (*leading(a, shape), *shape))

    def expand(self, a: Enclosure, axis: int) -> Enclosure:
        """See `Arithmetic`."""
        return moved(a, lambda array: np.expand_dims(array, axis))

    def squeeze(self, a: Enclosure, axis: int) -> Enclosure:
        """See `Arithmetic`."""
        return moved(a, lambda array: np.squeeze(array, axis))

    def transpose(self, a: Enclosure) -> Enclosure:
        """See `Arithmetic`."""
        return moved(a, lambda array: np.swapaxes(array, -1, -2))

    def take(self, a: Enclosure, indices: Places, source: Shape, shape: Shape) -> Enclosure:
        """See `Arithmetic`; a sum that is open stays open."""
        lead = leading(a, source)

        def chosen(array: Any) -> Any:
            found = array.reshape(*lead, math.prod(source))[..., indices.array]
            return found.reshape((*lead, *shape))

        found = moved(a, chosen)
        if indices.is_there is None:
            return found
        return cleared(found, indices.is_there.reshape(shape))

    def scatter(self, a: Enclosure, indices: Places, source: Shape, shape: Shape) -> Enclosure:
        """See `Arithmetic`: a sum for each place, of the entries that go there.

        Where these are sums that are open, all their terms are added up in any order, as the
        derivative of a convolution by its input adds them.
        """
        lead, size = leading(a, source), math.prod(shape)
        table = indices.by_place(size)
        width = len(table) // size
        gathered = self.take(a, table, source, (size, width))
        if isinstance(gathered, OpenSum):
            each = [gathered.map(operator.itemgetter((..., k))) for k in range(width)]
            total = functools.reduce(OpenSum.joined, each)
        else:
            total = gathered.open_sum(-1)
        return moved(total, lambda array: array.reshape((*lead, *shape)))

    def piecewise(self, z: Enclosure, function: Piecewise) -> Enclosure:
        """See `Arithmetic`."""
        return value_of(z, function)

    def select(self, site: int, z: Enclosure, factor: Enclosure, function: Piecewise) -> Enclosure:
        """See `Arithmetic`."""
        sides = sides_of(z, function)
        slopes = function.derivative
        decided = self.decisions.get(site)
        decided = np.zeros(z.shape) if decided is None else np.broadcast_to(decided, z.shape)
        slope = slope_of(z, slopes, sides, decided, self.pairs.get(site))
        free = self.any_slope.get(site)
        if free is None or not (free & sides.open).any():
            return _if_known(z.e, scaled(factor, slope.value, slope.r, slope.e, slope.lost))
        low, high, r, e = self._extremes(z, slopes, sides)
        free = free & sides.open & (low < high)
        return _if_known(z.e, self._hull(factor, slope, free, low, high, r, e))

    def _extremes(
        self, z: Enclosure, slopes: Piecewise, sides: Sides
    ) -> tuple[Array, Array, Array, Array]:
        """The least and the largest slope of all pieces that z can be in, and their errors."""
        low, high = np.full(z.shape, np.inf), np.full(z.shape, -np.inf)
        r, e = np.zeros((2, *z.shape))
        for piece in range(len(slopes.pieces)):
            here = (sides.first <= piece) & (piece <= sides.last)
            if not here.any():
                continue
            only = Sides(*(np.full(z.shape, piece) for _ in range(3)))
            one = slope_of(z, slopes, only, np.zeros(z.shape))
            low = np.where(here, np.minimum(low, one.value), low)
            high = np.where(here, np.maximum(high, one.value), high)
            r = np.where(here, np.maximum(r, one.r), r)
            e = np.where(here, np.maximum(e, one.e), e)
        return low, high, r, e

    @staticmethod
    def _hull(
        factor: Enclosure,
        slope: Any,
        free: NDArray[np.bool_],
        low: Array,
        high: Array,
        r: Array,
        e: Array,
    ) -> Enclosure:
        """Every s ∘ q with s between low and high where that is free; r covers the choice.

        A framework errs as for the slope of the largest size, times a number that rounds.
        """
        middle = np.where(free, 0.5 * (low + high), slope.value)
        center = scaled(
            factor, middle, np.where(free, r, slope.r), np.where(free, e, slope.e), slope.lost
        )
        size = np.maximum(np.abs(low), np.abs(high)) * float(np.nextafter(1.0, 0.0))
        worst = scaled(factor, np.where(free, size, 0.0), np.where(free, r, 0.0), e, slope.lost)
        half = 0.5 * (high - low)
        reach = np.where(free & (factor.reach > 0), half * factor.size, 0.0)
        some = free & (factor.reach > 0)
        found_r = np.where(some, (reach + center.r + worst.r) * (1.0 + 2.0**-48), center.r)
        found_e = np.where(some, worst.e * (1.0 + 2.0**-48), center.e)
        return Enclosure(factor.model, center.c, found_r, found_e)

    def elementary(self, x: Enclosure, function: Elementary, order: int, row: str) -> Enclosure:
        """See `Arithmetic`."""
        return elementary_of(x, function, order, row)

    def either(self, a: Enclosure, b: Enclosure) -> Enclosure:
        """See `Arithmetic`: both hold one exact number, and the larger e holds each way."""
        shape = np.broadcast_shapes(a.shape, b.shape)
        a, b = (self._repeated(each, shape) for each in (a, b))
        return Enclosure(self.model, a.c, a.r, np.maximum(a.e, b.e))

    def updated(self, a: Enclosure, axis: int, order: int) -> Enclosure:
        """See `Arithmetic` and `crosscheck.numbers.updates`."""
        mean = self.times(self.sum(a, (axis,), True), (Fraction(1, a.shape[axis]),))
        if order == 1:
            return mean_by_updates(a, mean, axis)
        centred = self.difference(a, mean)
        return squares_by_updates(a, self.sum(self.mul(centred, centred), (axis,), True), axis)

    def total(self, e: Enclosure, d: Enclosure) -> Enclosure:
        """See `Arithmetic`.

        A sum of what is not negative is not below any of its terms, rounded or not. One of them is
        e^d for a d that is 0, for a framework 0 within its bound, and errs by N roundings, or is
        lost where it may be below the smallest normal number.
        """
        found = self.sum(e, (-1,), True)
        best = np.argmax(d.high, axis=-1)[..., None]
        least = np.take_along_axis(np.minimum(box_of(d).low, 0.0), best, axis=-1)
        rounding = self.model.roundings("exp", 0) * self.model.roundoff
        lost = self.model.format.smallest_normal
        found.floor = np.maximum(np.exp(least) * (1.0 - rounding - 2.0**-40) - lost, 0.0)
        return found

    def maximum(self, a: Enclosure) -> Enclosure:
        """See `Arithmetic`: |max â - max a| <= max |â - a|."""
        best = np.argmax(a.high, axis=-1)[..., None]

        def chosen(array: Any) -> Any:
            return np.take_along_axis(array, best, axis=-1)[..., 0]

        c = a.c.map(chosen) if isinstance(a.c, DoubleDouble) else chosen(a.c)
        e = (a.e + a.lost_by_reading).max(axis=-1)
        alone = self.could_be_largest(a).sum(axis=-1) == 1
        low = np.abs(a.c.low).max(axis=-1) if isinstance(a.c, DoubleDouble) else 0.0
        r = np.where(alone, chosen(a.r), (2.0 * a.r.max(axis=-1) + 2.0 * low) * (1.0 + 2.0**-50))
        return Enclosure(self.model, c, r, np.where(alone, chosen(a.e + a.lost_by_reading), e))

    def detached(self, a: Enclosure) -> Enclosure:
        """See `Arithmetic`."""
        return a

    def vanishing(self, a: Enclosure, s: Enclosure) -> Enclosure:
        """See `Arithmetic`.

        A framework has ŝ with |ŝ| <= e(s), as s is 0, and sends it to the entries that it takes for
        the largest, whole or in parts. A part is no larger than the whole, rounded or not, as the
        whole is a number of the dtype. So e(s) holds at every entry that could be the largest, the
        rest has 0, and nothing has to be decided about ties. Where ŝ may be no number 0 ŝ may be
        none either.
        """
        shape = np.broadcast_shapes(a.shape, s.shape)
        e = up(s.e + s.lost_by_reading, 1) if self.model.flush else s.e
        could = np.broadcast_to(self.could_be_largest(a), shape) | np.isinf(e)
        zero = np.zeros(shape)
        found = Enclosure(self.model, self.filled(0.0, shape).c, zero, np.where(could, e, zero))
        return _if_known(a.e.max(axis=-1, keepdims=True), found)

    def largest(self, site: int, a: Enclosure, factor: Enclosure) -> Enclosure:
        """See `Arithmetic`; weights are decided where the largest is not certain.

        A weight that is no power of two is formed, which rounds once, or is a quotient with the
        factor, which does too.
        """
        tied = self.tied(a)
        chosen: Array = self.first_largest(a)
        weights = self.decisions.get(site)
        if weights is not None:
            chosen = np.where(tied, weights, chosen)
        free = self.any_slope.get(site)
        r = e = np.zeros(())
        if free is not None:
            free = free & tied
            chosen, r = np.where(free, 0.5, chosen), np.where(free, 0.5, 0.0)
        formed = ~np.isin(np.frexp(chosen)[0], (0.0, 0.5))
        if free is not None:
            formed |= free
        if formed.any():
            r = r + np.where(formed, 2.0**-50 * chosen, 0.0)
            e = np.where(formed, self.model.roundoff * (chosen + r), 0.0)
        shape = np.broadcast_shapes(factor.shape, a.shape)
        found = scaled(self._repeated(factor, shape), chosen, r, e)
        return _if_known(a.e.max(axis=-1, keepdims=True), found)

    @classmethod
    def tied(cls, a: Enclosure) -> NDArray[np.bool_]:
        """Which entries may be the largest, where several may."""
        could = cls.could_be_largest(a)
        return np.asarray(could & (could.sum(axis=-1, keepdims=True) > 1))

    @staticmethod
    def first_largest(a: Enclosure) -> Array:
        """1.0 at the entry that is the largest by the reference, the first of those; else 0.0."""
        first = np.arange(a.shape[-1]) == np.argmax(a.high, axis=-1)[..., None]
        return np.asarray(first * 1.0)

    @staticmethod
    def could_be_largest(a: Enclosure) -> NDArray[np.bool_]:
        """Which entries some evaluation can have as its largest."""
        room = a.margin + a.lost_by_reading if a.model.flush else a.margin
        low = (a.high - room).max(axis=-1, keepdims=True)
        return np.asarray(a.high + room >= low)

    @staticmethod
    def _repeated(a: Enclosure, shape: tuple[int, ...]) -> Enclosure:
        if a.shape == shape:
            return a
        return moved(a, lambda array: np.broadcast_to(array, shape))


def moved(a: Enclosure, change: Callable[[Any], Any]) -> Enclosure:
    """The same numbers in another arrangement; a sum that is open stays open."""

    def either(array: Any) -> Any:
        return array.map(change) if isinstance(array, DoubleDouble) else change(array)

    return a.map(either) if isinstance(a, OpenSum) else a.rearranged(either)


def cleared(a: Enclosure, kept: NDArray[np.bool_]) -> Enclosure:
    """The same numbers, and zero, which everyone has exactly, where they are not kept.

    Args:
        a: Numbers; a sum that is open stays open, and has no terms where it is not kept.
        kept: Of a shape that broadcasts with theirs.
    """

    def either(array: Any, nothing: Any = 0.0) -> Any:
        return np.where(kept, array, nothing)

    def center(c: Any) -> Any:
        return (
            DoubleDouble(either(c.high), either(c.low))
            if isinstance(c, DoubleDouble)
            else either(c)
        )

    if isinstance(a, OpenSum):
        terms = replace(
            a.terms.map(either),
            all_exact=either(a.terms.all_exact, True),
            least_grain=either(a.terms.least_grain, NO_GRAIN),
        )
        return OpenSum(center(a.c), terms)
    lost = a.lost_by_reading
    e = up(a.e + lost, 1) if lost.any() else a.e
    found = Enclosure(a.model, center(a.c), either(a.r), either(e))
    found.is_data = a.is_data and not lost.any()
    return found


def _open(a: Enclosure) -> OpenSum:
    return a if isinstance(a, OpenSum) else moved(a, lambda array: array[..., None]).open_sum(-1)


def _spread(a: OpenSum, shape: tuple[int, ...]) -> OpenSum:
    if a.c.shape == shape:
        return a
    found = moved(a, lambda array: np.broadcast_to(array, shape))
    assert isinstance(found, OpenSum)
    return found


def _if_known(e: Array, found: Enclosure) -> Enclosure:
    """What was decided by numbers that err by ``e``: nothing by those that may be NaN."""
    unknown = np.isinf(e)
    if not unknown.any():
        return found
    return Enclosure(found.model, found.c, found.r, np.where(unknown, np.inf, found.e))
