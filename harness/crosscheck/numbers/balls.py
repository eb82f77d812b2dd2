"""Balls: arrays of numbers, each known to within a radius, in float64.

A ball (c, r) holds every q with |q - c| <= r. Of numbers q in (c, r) and p in (d, s)

    q + p  is within  r + s               of c + d,
    q p    is within  |c| s + r (|d| + s) of c d,

and sums of products likewise, with products of matrices (Rump, *Fast and parallel interval
arithmetic*, BIT 39, 1999, in the form of midpoints and radii). The centre is rounded: with
v = 2^-53 a sum of n products errs by at most ((1 + v)^n - 1) Σ |c_j d_j| in any order and with or
without fused multiply-adds (Higham, section 3.1), n additions and products of others by as many
roundings of theirs. Each product that underflows loses 2^-1074 at most, of the centre's and of the
radius's; where a product of the smallest numbers that are not zero is far above that, none does.
Radii are sums of products of numbers that are not negative, enlarged by what roundings can take
(`crosscheck.numbers.rounding.up`). So zero times anything finite is exactly zero.

What overflows is infinite or NaN, in the centre or the radius, and stays so: `size` is ∞ then.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.rounding import growth, or_infinity, up

__all__ = ["Ball"]

_FAR_ABOVE = 2.0**-900
"""Numbers of this size, their products and the roundings of those are normal numbers."""


class Ball:
    """An array of balls.

    Attributes:
        c: The centres, float64.
        r: The radii, float64 of the same shape.
    """

    __array_ufunc__ = None

    def __init__(self, c: Array, r: Array) -> None:
        self.c, self.r = c, r

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.c.shape

    @cached_property
    def away(self) -> Array:
        """|c|."""
        return np.abs(self.c)

    @cached_property
    def size(self) -> Array:
        """Upper bound on |q|, ∞ where nothing is known."""
        return or_infinity(up(self.away + self.r, 1))

    @cached_property
    def is_exact(self) -> bool:
        """Whether all radii are 0."""
        return not self.r.any()

    @cached_property
    def least(self) -> float:
        """The smallest of the numbers that centres and radii consist of, but for zeros."""
        some = np.minimum(
            np.where(self.away > 0, self.away, np.inf).min(initial=np.inf),
            np.where(self.r > 0, self.r, np.inf).min(initial=np.inf),
        )
        return float(some)

    def map(self, change: Callable[[Array], Array]) -> Ball:
        """The same balls in another arrangement."""
        return Ball(change(self.c), change(self.r))

    def __add__(self, other: Ball) -> Ball:
        c = self.c + other.c
        return Ball(c, up(self.r + other.r + 2.0**-53 * np.abs(c), 3))

    def __mul__(self, other: Ball) -> Ball:
        """Entry by entry."""
        return self._product(other, np.multiply, 1)

    def __matmul__(self, other: Ball) -> Ball:
        """Σ_j q_ij p_jk."""
        return self._product(other, np.matmul, self.shape[-1])

    def _product(self, other: Ball, product: np.ufunc, depth: int) -> Ball:
        c, theta = product(self.c, other.c), _growth(depth)
        if min(self.least, other.least, self.least * other.least) >= _FAR_ABOVE:
            radius: Array = product(self.away, other.r + theta * other.away)
            lost: Array | float = 0.0
        else:
            radius = product(self.away, other.r) + theta * product(self.away, other.away)
            # Of each product of two numbers there are four at the most, and θ times their sum.
            lost = 8.0 * TINY * product((self.size > 0) * 1.0, (other.size > 0) * 1.0)
        if not self.is_exact:
            radius = radius + product(self.r, other.away + other.r)
        return Ball(c, up(radius, depth + 8) + lost)

    def times(self, constant: Fraction) -> Ball:
        """The product with a rational."""
        held = constant.numerator / constant.denominator
        error = abs(constant - Fraction(held))
        radius = np.nextafter(error.numerator / error.denominator, np.inf) if error else 0.0
        return self * Ball(np.array(held), np.array(radius))

    def sum(self, axes: int | tuple[int, ...], *, keep: bool = False) -> Ball:
        """Σ over one axis or several."""
        c, radius = self.c.sum(axis=axes, keepdims=keep), self.r.sum(axis=axes, keepdims=keep)
        depth = max(1, self.c.size // max(1, c.size))
        if depth > 1:
            total = self.away.sum(axis=axes, keepdims=keep)
            radius = radius + _growth(depth - 1) * total + TINY * (total > 0)
        return Ball(c, up(radius, depth + 4))


@lru_cache(maxsize=1024)
def _growth(factors: int) -> float:
    return float(growth(2.0**-53, factors))
