"""The verbs of programs on exact numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.numbers.piecewise import Piecewise
from crosscheck.program.arrays import OnArrays, decided_slope, first_largest, numbered, polynomials
from crosscheck.program.graph import Shape

__all__ = ["OnExact"]


@dataclass
class OnExact(OnArrays):
    """Exact numbers in object arrays: rationals, or anything that computes with them.

    Attributes:
        number: Makes one of a rational.
        decisions: λ where a value is exactly at a breakpoint: float64, or exact numbers of
            whatever kind.
    """

    number: Callable[[Fraction], Any]
    decisions: Mapping[int, Any] = field(default_factory=dict)

    def filled(self, value: float, shape: Shape) -> Any:
        """See `Arithmetic`."""
        found = np.empty(shape, dtype=object)
        found[...] = self.number(Fraction(value))
        return found

    def times(self, a: Any, constants: tuple[Fraction, ...]) -> Any:
        """See `Arithmetic`."""
        return a * self.number(math.prod(constants, start=Fraction(1)))

    def piecewise(self, z: Any, function: Piecewise) -> Any:
        """See `Arithmetic`."""
        below, _ = numbered(z, [self.number(point) for point in function.breakpoints])
        return polynomials(z, below, function, self.number)

    def select(self, site: int, z: Any, factor: Any, function: Piecewise) -> Any:
        """See `Arithmetic`."""
        decided = self.decisions.get(site)
        if decided is not None and decided.dtype != object:
            decided = np.vectorize(lambda v: self.number(Fraction(v)), otypes=[object])(decided)
        points = [self.number(point) for point in function.breakpoints]
        return decided_slope(z, points, function, decided, self.number) * factor

    def largest(self, site: int, a: Any, factor: Any) -> Any:
        """See `Arithmetic`."""
        return first_largest(a, self.decisions.get(site)) * factor
