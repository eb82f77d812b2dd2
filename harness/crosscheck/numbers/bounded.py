"""Values with bounds on their errors, and what follows from those alone.

What c, r and e mean: `crosscheck.numbers.enclosure`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.double_double import DoubleDouble, high
from crosscheck.numbers.model import Model
from crosscheck.numbers.rounding import lowest_bit, or_infinity, up

__all__ = ["Bounded", "Center", "distance"]

Center: TypeAlias = "Array | DoubleDouble"
"""The reference's value: float64, or double-double where float64 is what is being checked."""


def distance(values: Array, center: Center) -> Array:
    """|values - center| in float64."""
    gap = values - high(center)
    if isinstance(center, DoubleDouble):
        gap = gap - center.low
    return np.abs(gap)


class Bounded:
    """An array of (c, r, e).

    Attributes:
        model: The arithmetic e speaks of.
        c: The reference's values.
        r: Bound on the reference's own error, float64, same shape.
        e: Bound on any framework's error, float64, same shape; ∞ where it may overflow.
        is_data: Whether r and e are 0 throughout, because these are numbers that were given.
        floor: What q, q̂ and c are not below, whatever r and e say, float64, same shape; ``None``
            where nothing is known.
    """

    model: Model
    c: Center
    r: Array
    e: Array

    is_data = False
    floor: Array | None = None

    @cached_property
    def size(self) -> Array:
        """Upper bound on |q|."""
        if self.is_data:
            return np.abs(high(self.c))
        size = np.abs(high(self.c)) + self.r
        if isinstance(self.c, DoubleDouble):
            size = size + np.abs(self.c.low)
            inexact = (self.r != 0) | (self.c.low != 0)
        else:
            inexact = self.r != 0
        return np.where(inexact, up(size, 2), size)

    @cached_property
    def reach(self) -> Array:
        """Upper bound on |q̂|."""
        if self.is_data:
            return self.size
        return np.where(self.e != 0, or_infinity(up(self.size + self.e, 1)), self.size)

    @cached_property
    def exact(self) -> Any:
        """Where everyone holds the same value without error."""
        if self.is_data:
            return np.broadcast_to(True, self.shape)
        return (self.r == 0) & (self.e == 0)

    @cached_property
    def grain(self) -> Any:
        """Exponent of the lowest set bit of c; only meaningful where `exact`."""
        held = high(self.c)
        return lowest_bit(held if self.is_data else np.where(self.exact, held, 0.0))

    @cached_property
    def lost_by_reading(self) -> Array:
        """ς: what a framework that reads subnormals as zero can lose; 0 under gradual underflow."""
        if not self.model.flush:
            return np.zeros_like(self.e)
        tiny = self.model.format.smallest_normal
        least = np.abs(high(self.c)) - up(self.reach - np.abs(high(self.c)), 2)
        return np.where((self.reach > 0) & (least < tiny), np.minimum(self.reach, tiny), 0.0)

    @cached_property
    def margin(self) -> Array:
        """Upper bound on |q̂ - c_high|, for deciding the sign of q̂; 0 where all is exact."""
        margin = self.r + self.e
        if isinstance(self.c, DoubleDouble):
            margin = margin + np.abs(self.c.low)
        return or_infinity(up(margin, 2))

    @property
    def high(self) -> Array:
        """c rounded to float64."""
        return high(self.c)

    @cached_property
    def bound(self) -> Array:
        """r + e, and what forming |q̂ - c| in float64 can add to it."""
        return or_infinity(up(self.r + self.e, 4))

    def distance(self, values: Array) -> Array:
        """|values - c| in float64; compare it with `bound`."""
        return distance(values, self.c)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.r.shape
