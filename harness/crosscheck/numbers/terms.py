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

from crosscheck.numbers.arrays import Array, blocks, condensed
from crosscheck.numbers.bounded import Bounded, Center
from crosscheck.numbers.double_double import PRODUCT_UNDERFLOW, UNIT, DoubleDouble, high
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model
from crosscheck.numbers.rounding import (
    NO_GRAIN,
    growth,
    least_sums,
    lowest_bit,
    lowest_powers,
    or_infinity,
    tiny,
    up,
)

__all__ = ["Terms"]

_WITHOUT_OVERFLOW = 2.0**1000
"""A few numbers below this have a sum in float64."""


_NONE_FITS = np.int32(-(1 << 20))
"""An exponent so small that no sum but 0 is below what it allows."""
_MANY = 2**20
"""Additions of which nothing is lost by leaving the reference's error out."""

_LARGE = 2**17
"""Products in sums, from which on it pays to ask whether their grains are wanted."""
_SOME = 2**13
"""Addends in sums, from which on it does."""
_FEW = (8, 64)
"""Terms of each sum of which that is asked, and then of those that are open still."""


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
                grain = _grains(left, right, total, depth)
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
            grain = _grains_of_addends(numbers, total, axis, depth)
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
        if exact.any() and np.any(condensed(grain) != _NONE_FITS):
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
        may_be_exact = self.least_grain > _NONE_FITS
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


def _grains(left: Bounded, right: Bounded, total: Array, depth: int) -> Any:
    """The least grain of the terms of each matrix product, where it can matter.

    An exactness certificate needs M <= 2^(p+g), g the least grain of all terms, which is no more
    than that of a few: M > 2^(p+g') for the g' of these says the same of g, and of whatever is
    added to the sum later, since M grows by that and g does not. Only sums that a few terms leave
    open are looked at whole; the others get an exponent that certifies nothing.
    """
    if total.size * depth < _LARGE or not (left.is_data and right.is_data):
        return least_sums(left.grain, right.grain)
    is_open = _may_be_certain(left, right, total, depth)
    if not is_open.any():
        return np.broadcast_to(_NONE_FITS, total.shape)
    found = np.full(total.shape, _NONE_FITS)
    for terms in (*(each for each in _FEW if each < depth), depth):
        few = slice(None, None, depth // terms)
        one, other = left.high[..., few], right.high[..., few, :]
        if 8 * np.count_nonzero(is_open) > total.size:
            grain = least_sums(lowest_bit(one), lowest_bit(other))[is_open]
        else:
            *lead, row, column = np.nonzero(is_open)
            lines = _lowest_of_lines(one, total.shape[:-1], (*lead, row))
            turned = other.swapaxes(-1, -2)
            lines = lines + _lowest_of_lines(turned, _turned(total.shape), (*lead, column))
            grain = lines.min(axis=-1, initial=2 * NO_GRAIN)
        allowed = np.minimum(np.clip(grain, -1100, 900) + left.model.precision, 1023)
        is_left = ~(total[is_open] > np.ldexp(1.0, allowed))
        found[is_open] = np.where(is_left, grain, _NONE_FITS)
        is_open[is_open] = is_left
        if one.shape[-1] == depth or not is_open.any():
            break
    return found


def _grains_of_addends(
    numbers: Bounded, total: Array, axis: int | tuple[int, ...], depth: int
) -> Any:
    """The least grain of the terms of sums; that of the largest lowest bit may say enough."""
    if numbers.is_data and total.size * depth >= _SOME:
        most = np.ldexp(lowest_powers(numbers.high).max(axis), numbers.model.precision)
        if ((total > most) | (total == 0)).all():
            return np.broadcast_to(_NONE_FITS, total.shape)
    return numbers.grain.min(axis)


def _may_be_certain(left: Bounded, right: Bounded, total: Array, depth: int) -> NDArray[np.bool_]:
    """Which sums may have a certificate by the largest of the lowest set bits alone.

    A sum that is not 0 has a product that is not, and the grain of that is no more than those of
    the largest lowest bits in its row of the left operand and its column of the right one. A few
    terms do as well, if one of them is no product with zero: if there is a factor in the row, and
    none in the column is zero. Where the product of two bits underflows it is below η, as the grain
    is then.
    """
    few = slice(None, None, max(1, depth // _FEW[0]))
    rows, columns = lowest_powers(left.high[..., few]), lowest_powers(right.high[..., few, :])
    if (columns > 0).all():
        rows = np.where((rows > 0).any(axis=-1), rows.max(axis=-1), np.inf)
        columns = columns.max(axis=-2)
    elif (rows > 0).all():
        columns = np.where((columns > 0).any(axis=-2), columns.max(axis=-2), np.inf)
        rows = rows.max(axis=-1)
    else:
        rows, columns = (
            lowest_powers(left.high).max(axis=-1),
            lowest_powers(right.high).max(axis=-2),
        )
    rows = np.broadcast_to(np.ldexp(rows, left.model.precision)[..., :, None], total.shape)
    columns = np.broadcast_to(columns[..., None, :], total.shape)
    found = np.empty(total.shape, dtype=bool)
    with np.errstate(invalid="ignore"):  # ∞ where a lowest bit is not known, which 0 is times
        for block in blocks(total.shape):
            here = total[block]
            found[block] = ~(here > rows[block] * columns[block])
            if found[block].any():
                found[block] &= here != 0
    return found


def _lowest_of_lines(array: Array, lead: tuple[int, ...], index: Any) -> Any:
    """The lowest bits in some of the lines, of these or of all, whichever are fewer."""
    if len(index[-1]) * array.shape[-1] < array.size:
        return lowest_bit(_lines(array, lead)[index])
    return _lines(lowest_bit(array), lead)[index]


def _lines(array: Any, lead: tuple[int, ...]) -> Any:
    """``array``, with the axes in front that its rows have in the product."""
    return np.broadcast_to(array, (*lead, array.shape[-1]))


def _turned(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1])
