"""Arrays of double-double numbers: unevaluated sums of two float64, about 106 bits.

Building blocks, each exact unless it over- or underflows (Dekker 1971; Knuth, TAOCP 2, 4.2.2):

    two_sum(a, b)   = (s, t)   s = fl(a + b),  s + t = a + b
    two_prod(a, b)  = (p, t)   p = fl(a · b),  p + t = a · b

and on top of them the double-word operations of Joldes, Muller and Popescu, *Tight and
rigorous error bounds for basic building blocks of double-word arithmetic*, ACM TOMS 44 (2017).
With v = 2^-53 their relative errors are at most

    sum (algorithm 6)       3 v² / (1 - 4 v)
    product (algorithm 10)  7 v²

both below `UNIT` = 2^-102 = 16 v². The sum's bound holds under cancellation too. Sums do not
suffer from underflow. A product loses at most ½η in each of the four products that make it up
(η = 2^-1074), so at most `PRODUCT_UNDERFLOW` = 2η.

A product here works on the significands alone and puts the exponents back last, so that
neither the splitting of large numbers overflows nor that of small ones loses bits.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from crosscheck.numbers.arrays import Array

__all__ = ["PRODUCT_UNDERFLOW", "UNIT", "DoubleDouble", "high", "two_prod", "two_sum"]

UNIT = 2.0**-102
PRODUCT_UNDERFLOW: float = struct.unpack("<d", (2).to_bytes(8, "little"))[0]
"""2^-1073, by its bits; see `crosscheck.numbers.ieee.TINY`."""

_SPLITTER = 2.0**27 + 1.0

_AT_ONCE = 2**14
"""So many products are formed together, since each call of NumPy costs more than some of them."""


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """``(s, t)`` with ``s = fl(a + b)`` and ``s + t = a + b`` exactly."""
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


def _fast_two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """`two_sum` for ``|a| >= |b|`` or ``a = 0``."""
    total = a + b
    return total, b - (total - a)


def two_prod(a: Array, b: Array) -> tuple[Array, Array]:
    """``(p, t)`` with ``p = fl(a · b)`` and ``p + t = a · b``, up to underflow of either."""
    left, left_exponent = np.frexp(a)
    right, right_exponent = np.frexp(b)
    product = left * right
    big = _SPLITTER * left
    left_high = big - (big - left)
    left_low = left - left_high
    big = _SPLITTER * right
    right_high = big - (big - right)
    right_low = right - right_high
    error = (
        (left_high * right_high - product) + left_high * right_low + left_low * right_high
    ) + left_low * right_low
    exponent = left_exponent + right_exponent
    return np.ldexp(product, exponent), np.ldexp(error, exponent)


class DoubleDouble:
    """An array of double-double numbers ``high + low`` with ``high = fl(high + low)``.

    Supports what the reference's formulas need: ``+ - @``, the product with another such
    array, the product with and the quotient by plain numbers, `sum`, `swapaxes`, indexing.

    Attributes:
        high: Float64 array.
        low: Float64 array of the same shape.
    """

    __array_ufunc__ = None

    def __init__(self, high: Array, low: Array | None = None) -> None:
        self.high = high
        self.low = np.zeros_like(high) if low is None else low

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.high.shape

    def __add__(self, other: DoubleDouble) -> DoubleDouble:
        high, middle = two_sum(self.high, other.high)
        low, lowest = two_sum(self.low, other.low)
        high, middle = _fast_two_sum(high, middle + low)
        return DoubleDouble(*_fast_two_sum(high, middle + lowest))

    def __neg__(self) -> DoubleDouble:
        return DoubleDouble(-self.high, -self.low)

    def __sub__(self, other: DoubleDouble) -> DoubleDouble:
        return self + (-other)

    def __mul__(self, other: DoubleDouble) -> DoubleDouble:
        high, low = two_prod(self.high, other.high)
        low = low + (self.high * other.low + self.low * other.high)
        return DoubleDouble(*_fast_two_sum(high, low))

    def __rmul__(self, factor: Array | float) -> DoubleDouble:
        return self * DoubleDouble(np.asarray(factor, dtype=np.float64))

    def __truediv__(self, divisor: int) -> DoubleDouble:
        # One Newton step on the float64 quotient: with q = fl(high / k) the remainder
        # (high - q k) is exact by two_prod, so that q + fl(remainder + low) / k errs by a few v².
        quotient = self.high / divisor
        product, error = two_prod(quotient, np.float64(divisor))  # type: ignore[arg-type]
        remainder = ((self.high - product) - error) + self.low
        return DoubleDouble(*_fast_two_sum(quotient, remainder / divisor))

    def __matmul__(self, other: DoubleDouble) -> DoubleDouble:
        depth = self.shape[-1]
        size = self.high.size // depth * other.shape[-1]  # of the result, or about that
        if size * depth > _AT_ONCE:
            terms = (self[..., :, k, None] * other[..., None, k, :] for k in range(depth))
        else:
            products = self.swapaxes(-1, -2)[..., None] * other[..., None, :]
            terms = (products[..., k, :, :] for k in range(depth))
        return reduce(DoubleDouble.__add__, terms)

    def sum(self, axis: int | tuple[int, ...]) -> DoubleDouble:
        """Sum over one axis, or over the last two."""
        if isinstance(axis, tuple):
            result = self
            for one in sorted(axis):  # negative axes, outermost first: the rest keep their numbers
                result = result.sum(one)
            return result
        high, low = np.moveaxis(self.high, axis, 0), np.moveaxis(self.low, axis, 0)
        total = DoubleDouble(high[0], low[0])
        for k in range(1, len(high)):
            total = total + DoubleDouble(high[k], low[k])
        return total

    def swapaxes(self, first: int, second: int) -> DoubleDouble:
        """As NumPy's."""
        return DoubleDouble(self.high.swapaxes(first, second), self.low.swapaxes(first, second))

    def __getitem__(self, index: Any) -> DoubleDouble:
        return DoubleDouble(self.high[index], self.low[index])

    def map(self, change: Callable[[Array], Array]) -> DoubleDouble:
        """The same numbers in another arrangement."""
        return DoubleDouble(change(self.high), change(self.low))


def high(values: Array | DoubleDouble) -> Array:
    """Values rounded to float64."""
    return values.high if isinstance(values, DoubleDouble) else values
