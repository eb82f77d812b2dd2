"""Intervals of float64, and functions of analysis on them.

A number q is held by [low, high] if low <= q <= high. Each operation is done at the ends, and its
results are moved outwards by more than they can be off: IEEE 754's by one number, those of NumPy
and of the C library, which `crosscheck.numbers.analysis` says err by at most 8 roundings of 2^-53,
by 2^-49 of their size. What comes out holds f(q) for every q of the operands, and is wider than
needed where an operand is used twice; where the operand is narrow, as a value with its rounding
error is, that is little. Where nothing is known it is [-∞, ∞].

R. E. Moore, R. B. Kearfott and M. J. Cloud, *Introduction to Interval Analysis*, SIAM 2009, 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.numbers.analysis import FLOATS, Analysis
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.ieee import TINY

__all__ = ["INTERVALS", "Interval"]

_WIDER = 2.0**-49
_PERIODS = 2.0**20
"""From so large an argument on nothing is said of sines: it is not reduced well enough."""


class Interval:
    """An array of intervals.

    Attributes:
        low: Float64 array.
        high: Float64 array of the same shape, at no entry below ``low``.
    """

    __array_ufunc__ = None

    def __init__(self, low: Any, high: Any) -> None:
        unknown = np.isnan(low) | np.isnan(high)
        self.low: Array = np.where(unknown, -np.inf, low)
        self.high: Array = np.where(unknown, np.inf, high)

    @property
    def size(self) -> Array:
        """The largest |q|."""
        return np.asarray(np.maximum(np.abs(self.low), np.abs(self.high)))

    @property
    def least(self) -> Array:
        """The smallest |q|."""
        found = np.maximum(np.maximum(self.low, -self.high), 0.0)
        return np.asarray(found)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __add__(self, other: Any) -> Interval:
        other = _interval(other)
        return _next(self.low + other.low, self.high + other.high)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Interval:
        return self + (-_interval(other))

    def __rsub__(self, other: Any) -> Interval:
        return _interval(other) + (-self)

    def __mul__(self, other: Any) -> Interval:
        if isinstance(other, int | float) and other in (0, 1):
            return Interval(self.low * other, self.high * other)
        other = _interval(other)
        products = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        unknown = np.any(np.isnan(products), axis=0)
        low, high = np.minimum.reduce(products), np.maximum.reduce(products)
        return _next(np.where(unknown, np.nan, low), np.where(unknown, np.nan, high))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Interval:
        other = _interval(other)
        through_zero = (other.low <= 0.0) & (other.high >= 0.0)
        ends = 1.0 / np.where(through_zero, np.nan, [other.high, other.low])
        return self * _next(ends[0], ends[1])

    def __rtruediv__(self, other: Any) -> Interval:
        return _interval(other) / self


def _interval(number: Any) -> Interval:
    return number if isinstance(number, Interval) else Interval(float(number), float(number))


def _next(low: Array, high: Array) -> Interval:
    """Ends that were rounded to nearest."""
    return Interval(np.nextafter(low, -np.inf), np.nextafter(high, np.inf))


def _wider(low: Array, high: Array) -> Interval:
    """Ends that a library computed."""
    return Interval(
        low - (np.abs(low) * _WIDER + TINY),
        high + (np.abs(high) * _WIDER + TINY),
    )


def _rising(function: Callable[[Array], Array]) -> Callable[[Any, Interval], Interval]:
    return lambda self, x: _wider(function(x.low), function(x.high))


class _Intervals:
    """See the module; arguments and results are intervals."""

    def number(self, value: Fraction) -> Interval:
        near = value.numerator / value.denominator
        exact = Fraction(near) == value
        return _interval(near) if exact else _next(np.array(near), np.array(near))

    def pi(self) -> Interval:
        return _next(np.array(math.pi), np.array(math.pi))

    exp = _rising(np.exp)
    expm1 = _rising(np.expm1)
    sqrt = _rising(np.sqrt)
    log = _rising(np.log)
    log1p = _rising(np.log1p)
    tanh = _rising(np.tanh)
    erf = _rising(FLOATS.erf)
    normal = _rising(FLOATS.normal)
    sigmoid = _rising(FLOATS.sigmoid)
    softplus = _rising(FLOATS.softplus)

    def power(self, x: Interval, exponent: Fraction) -> Interval:
        whole = exponent.denominator == 1
        if whole and exponent.numerator % 2 == 0:
            x = self.absolute(x)
        ends = [FLOATS.power(end, exponent) for end in (x.low, x.high)]
        if exponent < 0:
            ends.reverse()
            through_zero = (x.low <= 0.0) & (x.high >= 0.0)
            ends = [np.where(through_zero, np.nan, end) for end in ends]
        return _wider(ends[0], ends[1])

    def sech2(self, x: Interval) -> Interval:
        return _wider(FLOATS.sech2(x.size), FLOATS.sech2(x.least))

    def sin(self, x: Interval) -> Interval:
        quarter = self.pi() * 0.5
        return self.cos(x - quarter)

    def cos(self, x: Interval) -> Interval:
        ends = [np.cos(x.low), np.cos(x.high)]
        low, high = np.minimum(*ends), np.maximum(*ends)
        # cos is 1 at 2 k π and -1 at (2 k + 1) π.
        wide = (x.size > _PERIODS) | (x.high - x.low >= 6.0)
        slack = 2.0**-30
        first, last = (x.low / (2 * math.pi)) - slack, (x.high / (2 * math.pi)) + slack
        high = np.where(wide | (np.floor(last) >= np.ceil(first)), 1.0, high)
        low = np.where(wide | (np.floor(last - 0.5) >= np.ceil(first - 0.5)), -1.0, low)
        found = _wider(low, high)
        return Interval(np.maximum(found.low, -1.0), np.minimum(found.high, 1.0))

    def damped(self, decaying: Interval, growing: Interval) -> Interval:
        found = decaying * growing
        nothing = (decaying.low == 0.0) & (decaying.high == 0.0)
        # What is next to 0 has been moved away from it, and says nothing beside infinity.
        return Interval(np.where(nothing, 0.0, found.low), np.where(nothing, 0.0, found.high))

    def absolute(self, x: Interval) -> Interval:
        return Interval(x.least, x.size)

    def larger(self, x: Interval, y: Any) -> Interval:
        y = _interval(y)
        return Interval(np.maximum(x.low, y.low), np.maximum(x.high, y.high))

    def choose(
        self, x: Interval, left: Callable[[Any], Any], right: Callable[[Any], Any]
    ) -> Interval:
        a, b = _interval(left(x)), _interval(right(x))
        low = np.where(x.high <= 0, a.low, np.where(x.low > 0, b.low, np.minimum(a.low, b.low)))
        high = np.where(
            x.high <= 0, a.high, np.where(x.low > 0, b.high, np.maximum(a.high, b.high))
        )
        return Interval(low, high)


INTERVALS: Analysis = _Intervals()
"""Intervals of float64."""
