"""The terms of a sum in any order, and the bounds on its error that follow from them.

Derived in `crosscheck.numbers.enclosure`: *Any-order sum of products*, *Exactness certificate*,
*Overflow* and *Rounding of the bounds themselves*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers import grains
from crosscheck.numbers.arrays import Array, condensed
from crosscheck.numbers.bounded import Bounded, Center
from crosscheck.numbers.double_double import PRODUCT_UNDERFLOW, UNIT, DoubleDouble, high
from crosscheck.numbers.grains import NONE_FITS
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model
from crosscheck.numbers.rounding import (
    NO_GRAIN,
    growth,
    or_infinity,
    tiny,
    up,
)

__all__ = ["Terms"]

_WITHOUT_OVERFLOW = 2.0**1000
"""A few numbers below this have a sum in float64."""


_MANY = 2**20
"""Additions of which nothing is lost by leaving the reference's error out."""


@dataclass(frozen=True, eq=False)
class Terms:
    """What is known of the terms of sums; float64 arrays of the sums' shape, if not said otherwise.

    Attributes:
        model: The arithmetic.
        own: Σ of what the operands' r contribute.
        carried: Σ of what the operands' e contribute.
        total: M, the sum of the magnitudes of all terms.
        rounded: The part of M that is products, which are rounded before they are added.
        products: n, how many products can differ from zero.
        addends: m, how many further addends can differ from zero.
        flushed: Σ of what reading operands as zero can lose.
        all_exact: Where every operand that counts is exact, bool.
        least_grain: Smallest exponent of a lowest set bit over all terms, where it matters; whole
            numbers.
        depth: Length of the longest sum formed in computing these numbers.
        rounds: Whether products are rounded before they are added.
    """

    model: Model
    own: Array
    carried: Array
    total: Array
    rounded: Array
    products: Array
    addends: Array
    flushed: Array
    all_exact: Any
    least_grain: Any
    depth: int
    rounds: bool = True

    @classmethod
    def of_products(
        cls, left: Bounded, right: Bounded, product: np.ufunc, depth: int, *, rounds: bool = True
    ) -> Terms:
        """Of sums of products.

        Args:
            left: The left operand.
            right: The right operand.
            product: How arrays are multiplied, `np.matmul` or, for ``depth`` 1, `np.multiply`.
            depth: How many products are added.
            rounds: Whether a product is rounded before it is added.
        """
        left_counts, right_counts = left.reach > 0, right.reach > 0
        total = product(left.reach, right.reach)
        nothing = np.broadcast_to(0.0, total.shape)
        products = _counted(left_counts, right_counts, product, depth, total.shape)
        exact: Any = np.broadcast_to(True, total.shape)
        if not (left.is_data and right.is_data):
            inexact: Any = nothing
            if not left.is_data:
                inexact = product(~left.exact * 1.0, right_counts * 1.0)
            if not right.is_data:
                inexact = inexact + product(left_counts * 1.0, ~right.exact * 1.0)
            exact = inexact == 0
        flushed: Array = nothing
        if left.model.flush:
            flushed = product(left.lost_by_reading, right.reach)
            flushed = flushed + product(left.reach, right.lost_by_reading)
        grain: Any = np.broadcast_to(NO_GRAIN, total.shape)
        if (exact & (products > 0)).any():
            if product is np.multiply:
                grain = left.grain + right.grain
            else:
                grain = grains.of_products(left, right, total, depth)
        own = carried = nothing
        if not (left.is_data and np.isfinite(right.reach).all()):
            own, carried = product(left.r, right.size), product(left.e, right.reach)
        if not (right.is_data and np.isfinite(left.size).all()):
            own = own + product(left.size, right.r)
            carried = carried + product(left.size, right.e)
        return cls(
            left.model,
            own=own,
            carried=carried,
            total=total,
            rounded=total if rounds else nothing,
            products=products,
            addends=nothing,
            flushed=flushed,
            all_exact=exact,
            least_grain=grain,
            depth=depth,
            rounds=rounds,
        )

    @classmethod
    def of_addends(cls, numbers: Bounded, axis: int | tuple[int, ...]) -> Terms:
        """Of sums over one axis or several."""
        axes = axis if isinstance(axis, tuple) else (axis,)
        depth = int(np.prod([numbers.shape[one] for one in axes]))
        total = numbers.reach.sum(axis)
        own = carried = nothing = np.zeros_like(total)
        exact: Any = np.broadcast_to(True, total.shape)
        if not numbers.is_data:
            own, carried = numbers.r.sum(axis), numbers.e.sum(axis)
            exact = numbers.exact.all(axis)
        addends = np.count_nonzero(numbers.reach, axis) * 1.0
        grain: Any = np.broadcast_to(NO_GRAIN, total.shape)
        if (exact & (addends > 0)).any():
            grain = grains.of_addends(numbers, total, axis, depth)
        return cls(
            numbers.model,
            own=own,
            carried=carried,
            total=total,
            rounded=nothing,
            products=nothing,
            addends=addends,
            flushed=numbers.lost_by_reading.sum(axis) if numbers.model.flush else nothing,
            all_exact=exact,
            least_grain=grain,
            depth=depth,
        )

    def map(self, reshape: Callable[[Any], Any]) -> Terms:
        """Those of the same sums in another arrangement."""
        return Terms(
            self.model,
            own=reshape(self.own),
            carried=reshape(self.carried),
            total=reshape(self.total),
            rounded=reshape(self.rounded),
            products=reshape(self.products),
            addends=reshape(self.addends),
            flushed=reshape(self.flushed),
            all_exact=reshape(self.all_exact),
            least_grain=reshape(self.least_grain),
            depth=self.depth,
            rounds=self.rounds,
        )

    def and_one(self, other: Bounded) -> Terms:
        """And one more addend; it is broadcast."""
        exact = self.all_exact & (other.exact | (other.reach == 0))
        grain = self.least_grain
        if exact.any() and np.any(condensed(grain) != NONE_FITS):
            grain = np.minimum(grain, other.grain)
        return replace(
            self,
            own=self.own + other.r,
            carried=self.carried + other.e,
            total=self.total + other.reach,
            addends=self.addends + (other.reach > 0),
            flushed=self.flushed + other.lost_by_reading if self.model.flush else self.flushed,
            all_exact=exact,
            least_grain=grain,
            depth=self.depth + 1,
        )

    def joined(self, other: Terms) -> Terms:
        """And those of another sum."""
        shape = np.broadcast_shapes(self.total.shape, other.total.shape)

        def with_it(operation: np.ufunc, mine: Any, its: Any) -> Any:
            found = operation(condensed(mine), condensed(its))
            return found if np.shape(found) == shape else np.broadcast_to(found, shape)

        return Terms(
            self.model,
            own=with_it(np.add, self.own, other.own),
            carried=with_it(np.add, self.carried, other.carried),
            total=with_it(np.add, self.total, other.total),
            rounded=with_it(np.add, self.rounded, other.rounded),
            products=with_it(np.add, self.products, other.products),
            addends=with_it(np.add, self.addends, other.addends),
            flushed=with_it(np.add, self.flushed, other.flushed),
            all_exact=with_it(np.logical_and, self.all_exact, other.all_exact),
            least_grain=with_it(np.minimum, self.least_grain, other.least_grain),
            depth=self.depth + other.depth,
            rounds=self.rounds or other.rounds,
        )

    def some_of_any(self, c: Array) -> Array | None:
        """Less than `error_of_any`, for a small part of the time; ``None`` where that is not so.

        In the notation of `crosscheck.numbers.enclosure`: E >= u K M, and the other bound is at
        least L + u (N - 1) P with L >= u Σ V A and P >= ½ (M + |s|). Both are at least

            u (Σ V A + ½ (N - 1) (M + |s|)),

        as K >= N - 1, and N if there are products. The reference's r, which |c| may differ from |s|
        by, and rounding are below 2^-30 of M. It is 0 where the sum may be exact for everybody, and
        nothing is said of sums of which one may overflow.

        Args:
            c: The reference's value, float64.
        """
        additions = np.maximum(self.products + (self.addends - 1.0), 0.0)
        many = float(additions.max(initial=0.0))
        if self.model.flush or many > _MANY:
            return None
        most = float(self.total.max(initial=0.0)) + (many + 1.0) * self.model.least
        theta = float(growth(self.model.roundoff, many + 1.0))
        if not most * (1.0 + theta) * (1.0 + 2.0**-30) < self.model.format.largest:
            return None
        room = (1.0 - 2.0**-29) * self.model.roundoff * self.rounded
        half = (0.5 - 2.0**-30) * self.model.roundoff
        room = room + half * additions * (self.total + np.abs(c))
        may_be_exact = self.least_grain > NONE_FITS
        return np.where(may_be_exact, 0.0, room) if may_be_exact.any() else room

    @cached_property
    def additions(self) -> Array:
        """N - 1, how many additions make the sum."""
        return np.maximum(self.products + self.addends - 1, 0)

    @cached_property
    def factors(self) -> Array:
        """K, the most roundings that any term can pass."""
        return self.additions + (self.products > 0) if self.rounds else self.additions

    @cached_property
    def certain(self) -> Any:
        """The exactness certificate."""
        nothing = (self.products + self.addends) == 0
        exact = self.all_exact & (self.flushed == 0) if self.model.flush else self.all_exact
        if not (exact & ~nothing).any():
            return nothing
        # Exponents beyond float64's are clipped towards the side that certifies less.
        grain = np.clip(self.least_grain, -1100, 900)
        precision = self.model.precision
        with np.errstate(under="ignore"):
            # M itself is a rounded sum: 4 + 2^-51 must not pass for 4.
            magnitude = up(self.total, self.depth + 2)
            fits = magnitude <= np.ldexp(1.0, np.minimum(grain + precision, 1023))
            fine = np.ldexp(1.0, grain) >= self.model.least
        return (exact & fits & fine) | nothing

    def error_of_reference(self, c: Center) -> Array:
        """r of the sum as a whole, from the reference's value of it."""
        wide = isinstance(c, DoubleDouble)
        unit, lost = (UNIT, PRODUCT_UNDERFLOW) if wide else (2.0**-53, TINY)
        theta = growth(unit, self.factors + 2)
        r = self.own + theta * self.total + tiny((2.0 * (lost / TINY + 2.0)) * self.products)
        some = (self.factors > 0) | (self.products > 0)
        r = np.where(some, up(r, self.depth + 8) + 2 * TINY, self.own)
        return np.where(self.certain, 0.0, or_infinity(r))

    def error_of_any(self, c: Center, r: Array) -> Array:
        """e of the sum as a whole, from the reference's value of it and `error_of_reference`.

        In float64 a product's ½η rounds to 0 here (`Model.underflow`). n products need n ½η (1 + θ)
        for it, and lose n η in ``carried`` and 1½η in what is multiplied below: less than the
        2 (n + 1) η that are added, as θ < ½.
        """
        model = self.model
        theta = growth(model.roundoff, self.factors)
        if model.flush:
            absolute = (self.products + self.additions) * model.least + self.flushed
        else:
            absolute = self.products * model.underflow
        in_any_order = theta * self.total + (1.0 + theta) * absolute
        node_by_node = leaves = model.roundoff * self.rounded + absolute
        if self.additions.any() or not self.total.max() < _WITHOUT_OVERFLOW:
            exact_sum = np.abs(high(c)) + r + self.carried
            partial = 0.5 * (self.total + exact_sum) + leaves
            with np.errstate(invalid="ignore"):  # no addition of what may overflow: 0 · ∞
                added = model.roundoff * self.additions * (partial + in_any_order)
            node_by_node = leaves + added
        rounding = np.fmin(in_any_order, node_by_node)
        e = up(self.carried + rounding, self.depth + 12) + tiny(2 * (self.products + 1))
        some = (self.factors > 0) | (self.products > 0)
        e = np.where(some | (self.flushed > 0) if model.flush else some, e, self.carried)
        fits = up(self.total + in_any_order, self.depth + 8) < model.format.largest
        return np.where(fits, np.where(self.certain, 0.0, or_infinity(e)), np.inf)


def _counted(
    left: NDArray[np.bool_],
    right: NDArray[np.bool_],
    product: np.ufunc,
    depth: int,
    shape: tuple[int, ...],
) -> Array:
    """How many products can differ from zero, where those of both operands are marked.

    Whole numbers below 2^24 are added exactly in float32, in any order and in half the time.
    """
    every = left.all(), right.all()
    if all(every):
        return np.broadcast_to(float(depth), shape)
    if product is np.matmul and every[1]:
        return np.broadcast_to(np.count_nonzero(left, axis=-1)[..., :, None] * 1.0, shape)
    if product is np.matmul and every[0]:
        return np.broadcast_to(np.count_nonzero(right, axis=-2)[..., None, :] * 1.0, shape)
    if depth >= 2**24:
        return np.asarray(product(left * 1.0, right * 1.0))
    found = product(left.astype(np.float32), right.astype(np.float32))
    return np.asarray(found, dtype=np.float64)
