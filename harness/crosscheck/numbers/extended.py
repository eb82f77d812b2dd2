"""Numbers that may be infinite or NaN: what kinds a value can be of, and where a finite one lies.

For every entry an `Extended` holds

    may     which of four kinds a framework's value can be of: finite, +inf, -inf, NaN,
    finite  an `Enclosure` of the value *if it is finite*, by the rules for an exponent range
            that has no upper end.

Both hold for sums in any order, with or without fused multiply-add, flushing or not, with every
operation rounded to the dtype or more finely, so also with accumulators of a wider range.

**Why a finite value has the bound of an unbounded range.** Without an upper end to the exponents
an evaluation is as in `crosscheck.numbers.enclosure`, less its clause on overflow. With Ω as the
upper end a rounded result beyond Ω becomes an infinity (IEEE 754-2019, 7.4), and that is so where
the unbounded one is beyond Ω. An infinity stays one in a sum, or becomes NaN (6.1, 7.2). So a sum
that is finite never overflowed and equals that of the unbounded range.

**Where it lies.** What is between two operations may be held in a wider format than the dtype, by
a compiler that fuses them or by code that computes in float64 and rounds once. Then it may be
finite beyond Ω, though no further out than the largest float64 number, to which enclosures are
cut. What is returned is a number of the dtype: at most Ω, or an infinity (`Extended.returned`).

**Formats without infinity.** There what rounds beyond Ω becomes NaN, which stays one in a sum as an
infinity does. In between, where a wider format holds it, it may also be an infinity of that. So
wherever an infinity may come from overflow NaN is possible as well, and in what is returned an
infinity is NaN.

What kinds products and sums can be of: `crosscheck.numbers.kinds`.

**Numbers beyond float64.** Products of float64 numbers reach Ω². Where the sum of the terms'
magnitudes comes near the end of the range, the operation is repeated on operands times 2^-540
(2^-8, or less, for sums), which loses at most 2^-1074 in each, allowed for in r; then cut; then
scaled back. Where that was needed nothing counts as exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.bounded import Center
from crosscheck.numbers.closing import WIDEST, closed, ends_of, shrunk
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.endless import end_of
from crosscheck.numbers.formats import Format
from crosscheck.numbers.kinds import Factor, Flags, Kinds, Sum, multiplied
from crosscheck.numbers.model import Model

__all__ = ["Extended", "OpenExtended", "kinds_of_products", "placed", "positive", "products_of"]

_AT_ONCE = 2**20
"""Terms whose kinds are looked at together."""


class Extended:
    """An array of numbers that may be infinite or NaN.

    Attributes:
        finite: Encloses the finite values; exactly zero where there are none.
        may: Which kinds each number can be of.
    """

    __array_ufunc__ = None

    def __init__(self, finite: Enclosure, may: Kinds) -> None:
        self.finite = finite
        self.may = may

    @classmethod
    def of(cls, model: Model, values: Array) -> Extended:
        """Data: numbers that are known exactly, of any kind.

        Args:
            model: From `model_of`.
            values: Float64 numbers of the format, which may be infinite or NaN.
        """
        finite = np.isfinite(values)
        may = Kinds(finite, np.isposinf(values), np.isneginf(values), np.isnan(values))
        return cls(Enclosure.of(model, np.where(finite, values, 0.0)), may)

    @property
    def model(self) -> Model:
        """The arithmetic, without an upper end."""
        return self.finite.model

    @property
    def end(self) -> float:
        """Ω of the dtype."""
        return end_of(self.model.format)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.finite.shape

    @property
    def low(self) -> Array:
        """Lower bound on the finite values, float64."""
        return self._ends[0]

    @property
    def high(self) -> Array:
        """Upper bound, likewise."""
        return self._ends[1]

    @cached_property
    def _ends(self) -> tuple[Array, Array]:
        low, high = ends_of(self.finite)
        return np.maximum(low, -WIDEST), np.minimum(high, WIDEST)

    @property
    def vanishes(self) -> Any:
        """Where a finite value can be zero, or be read as zero."""
        least = self.model.least
        low, high = self._ends
        return self.may.finite & (low < least) & (high > -least)

    @property
    def returned(self) -> Extended:
        """The same numbers in the dtype: no finite one is beyond Ω."""
        form = self.model.format
        end = end_of(form)
        may = self._overflowing(form).may
        within = (self.low <= end) & (self.high >= -end)
        may = may._replace(finite=may.finite & within)
        return Extended(self.finite, may if form.has_infinity else may.without_infinities())

    def map(self, function: Callable[[Any], Any]) -> Extended:
        """The same numbers in another arrangement."""
        return Extended(self.finite.rearranged(function), self.may.map(function))

    def swapaxes(self, first: int, second: int) -> Extended:
        """As NumPy's."""
        return self.map(lambda array: array.swapaxes(first, second))

    def __getitem__(self, index: Any) -> Extended:
        return self.map(lambda array: array[index])

    # -- the reference's operators ---------------------------------------------------------

    def __matmul__(self, other: Extended) -> OpenExtended:
        left, right = self._multiplicand, other._multiplicand
        terms, arithmetic = left.shape[-1], self.model.arithmetic
        up = positive(left.high) @ positive(right.high)
        up = up + positive(-left.low) @ positive(-right.low)
        down = positive(left.high) @ positive(-right.low)
        down = down + positive(-left.low) @ positive(right.high)
        flags = _flags_of_products(left, right, up.shape)
        return OpenExtended(
            left.finite @ right.finite,
            shrunk(left.finite, -540) @ shrunk(right.finite, -540) if left.model.wide else None,
            -1080,
            Sum(*flags, up, down, terms),
            None if arithmetic is None else end_of(arithmetic.accumulator),
        )

    @property
    def _multiplicand(self) -> Extended:
        """This with the infinities to which it may be rounded before it is multiplied."""
        arithmetic = self.model.arithmetic
        if arithmetic is None or arithmetic.multiplicand is None:
            return self
        return self._overflowing(arithmetic.multiplicand)

    def _overflowing(self, form: Format) -> Extended:
        """This with an infinity as well where a finite number may be beyond the Ω of ``form``."""
        may, end = self.may, end_of(form)
        up, down = may.finite & (self.high > end), may.finite & (self.low < -end)
        return Extended(self.finite, may._replace(plus=may.plus | up, minus=may.minus | down))

    def __mul__(self, other: Extended) -> Extended:
        """Entry by entry; the square of a number is never negative."""
        if other is self:
            size = np.maximum(np.abs(self.low), np.abs(self.high))
            may = self.may
            may = Kinds(may.finite, may.plus | may.minus, np.zeros_like(may.nan), may.nan)
            up, down = size * size, np.zeros_like(size)
        else:
            may = kinds_of_products(self, other)
            up, down = products_of(self, other)
        found = Sum.of(may.map(lambda array: array[None]), 0, up, down, 1)
        scaled = None
        if self.model.wide:
            scaled = shrunk(self.finite, -540) * shrunk(other.finite, -540)
        return OpenExtended(self.finite * other.finite, scaled, -1080, found).closed

    def sum(self, axis: int | tuple[int, ...]) -> OpenExtended:
        """Any-order sum over one axis or several."""
        axes = axis if isinstance(axis, tuple) else (axis,)
        terms = int(np.prod([self.shape[one] for one in axes]))
        up, down = positive(self.high).sum(axis), positive(-self.low).sum(axis)
        power = -8 - terms.bit_length()
        return OpenExtended(
            self.finite.sum(axis),
            shrunk(self.finite, power).sum(axis) if self.model.wide else None,
            power,
            Sum.of(self.may, axis, up, down, terms),
        )

    def __add__(self, other: Extended) -> OpenExtended:
        return self[..., None].sum(-1) + other

    def __neg__(self) -> Extended:
        finite = self.finite
        c: Any = finite.c
        may = self.may
        return Extended(
            Enclosure(finite.model, -c, finite.r, finite.e),
            Kinds(may.finite, may.minus, may.plus, may.nan),
        )


class OpenExtended(Extended):
    """A sum that takes more addends with ``+`` and is closed when first used."""

    def __init__(
        self,
        enclosure: Enclosure,
        scaled: Enclosure | None,
        power: int,
        terms: Sum,
        end: float | None = None,
    ) -> None:
        self._enclosure, self._scaled, self._power, self._terms = enclosure, scaled, power, terms
        self._end = end
        self._closed: Extended | None = None

    def __add__(self, other: Extended) -> OpenExtended:
        up, down = positive(other.high), positive(-other.low)
        one = Sum.of(other.may.map(lambda array: array[None]), 0, up, down, 1)
        scaled = self._scaled
        if scaled is not None:
            scaled = scaled + shrunk(other.finite, self._power)
        terms = self._terms + one
        return OpenExtended(self._enclosure + other.finite, scaled, self._power, terms, self._end)

    @property
    def closed(self) -> Extended:
        """The sum as numbers."""
        if self._closed is None:
            enclosure, scaled, terms = self._enclosure, self._scaled, self._terms
            self._closed = Extended(
                *closed(enclosure, scaled, self._power, terms, overflow=self._end)
            )
        return self._closed

    @property
    def finite(self) -> Enclosure:  # type: ignore[override]
        """Encloses the finite values."""
        return self.closed.finite

    @property
    def may(self) -> Kinds:  # type: ignore[override]
        """Which kinds each number can be of."""
        return self.closed.may

    @property
    def model(self) -> Model:
        """The arithmetic, without an upper end."""
        return self._enclosure.model


def placed(
    model: Model, count: int, shape: tuple[int, ...], parts: Sequence[tuple[Any, Extended]]
) -> Extended:
    """A stack of arrays put together from parts; what is in none of them can be anything.

    Args:
        model: From `model_of`.
        count: How many arrays.
        shape: Of each.
        parts: Positions in a flattened array, and the numbers there, of shape (count, positions).
    """
    size = int(np.prod(shape))
    high, low, r = np.zeros((3, count, size))
    e = np.full((count, size), WIDEST)
    may = Kinds(*(np.ones((count, size), dtype=bool) for _ in Kinds._fields))
    for at, numbers in parts:
        finite = numbers.finite
        high[:, at], r[:, at], e[:, at] = finite.high, finite.r, finite.e
        if isinstance(finite.c, DoubleDouble):
            low[:, at] = finite.c.low
        for whole, part in zip(may, numbers.may, strict=True):
            whole[:, at] = part

    def shaped(array: Any) -> Any:
        return array.reshape(count, *shape)

    c: Center = DoubleDouble(shaped(high), shaped(low)) if model.wide else shaped(high)
    return Extended(Enclosure(model, c, shaped(r), shaped(e)), may.map(shaped))


def positive(values: Array) -> Array:
    """max(v, 0)."""
    return np.maximum(values, 0.0)


def products_of(left: Extended, right: Extended) -> tuple[Array, Array]:
    """Upper bounds on the positive and on the negative part of products, entry by entry."""
    up = positive(left.high) * positive(right.high)
    up = np.maximum(up, positive(-left.low) * positive(-right.low))
    down = positive(left.high) * positive(-right.low)
    return up, np.maximum(down, positive(-left.low) * positive(right.high))


def _factor(numbers: Extended) -> Factor:
    may = numbers.may
    return Factor(
        *may, numbers.vanishes, may.finite & (numbers.high > 0), may.finite & (numbers.low < 0)
    )


def kinds_of_products(left: Extended, right: Extended) -> Kinds:
    """The kinds of products, entry by entry, less overflow."""
    return multiplied(_factor(left), _factor(right))


def _flags_of_products(left: Extended, right: Extended, shape: tuple[int, ...]) -> Flags:
    """`Sum.over` the products that a matrix product adds.

    Products of two plain numbers are finite and add nothing; only those positions j are looked
    at where some v_ij or some a_jk is not plain.
    """
    odd = ~left.may.plain.all(axis=tuple(range(left.may.plain.ndim - 1)))
    count = right.may.plain.ndim
    others = tuple(axis for axis in range(count) if axis != count - 2)
    odd = np.flatnonzero(odd | ~right.may.plain.all(axis=others))
    yes, no = np.ones(shape, dtype=bool), np.zeros(shape, dtype=bool)
    found: Flags = (yes, yes, yes, no, no, no, np.zeros(shape, dtype=np.int64))
    if not odd.size:
        return found
    v, a = _factor(left[..., odd]), _factor(right[..., odd, :])
    step = max(1, _AT_ONCE // max(1, int(np.prod(shape))))
    for start in range(0, odd.size, step):
        rows = (..., slice(None), slice(start, start + step), None)
        columns = (..., None, slice(start, start + step), slice(None))
        terms = multiplied(
            Factor(*(array[rows] for array in v)), Factor(*(array[columns] for array in a))
        )
        more = Sum.over(terms, -2)
        found = (
            found[0] & more[0],
            found[1] & more[1],
            found[2] & more[2],
            found[3] | more[3],
            found[4] | more[4],
            found[5] | more[5],
            found[6] + more[6],
        )
    return found
