"""The verbs of programs on plain float64 arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.differentiable import Elementary
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.scaling import nearest
from crosscheck.program.arithmetic import Decisions
from crosscheck.program.arrays import OnArrays, decided_slope, first_largest, numbered, polynomials
from crosscheck.program.graph import Shape

__all__ = ["OnFloats"]


@dataclass
class OnFloats(OnArrays):
    """Plain float64 arithmetic, rounding as it comes.

    Attributes:
        decisions: λ where a value is exactly at a breakpoint.
    """

    decisions: Decisions = field(default_factory=dict)

    def filled(self, value: float, shape: Shape) -> Array:
        """See `Arithmetic`."""
        return np.full(shape, value)

    def times(self, a: Array, constants: tuple[Fraction, ...]) -> Array:
        """See `Arithmetic`; the product of the constants is rounded once."""
        return a * nearest(math.prod(constants, start=Fraction(1)))

    def piecewise(self, z: Array, function: Piecewise) -> Array:
        """See `Arithmetic`."""
        below, _ = numbered(z, [nearest(point) for point in function.breakpoints])
        return np.asarray(polynomials(z, below, function, nearest))

    def select(self, site: int, z: Array, factor: Array, function: Piecewise) -> Array:
        """See `Arithmetic`; a factor that is not finite is selected, not multiplied, by 0."""
        points = [nearest(point) for point in function.breakpoints]
        slope = decided_slope(z, points, function, self.decisions.get(site), nearest)
        return np.where(slope == 0, 0.0, slope * factor)

    def elementary(self, x: Array, function: Elementary, order: int, row: str) -> Array:
        """See `Arithmetic`; NaN outside the domain, or an infinity at its end."""
        return function.floats(x, order)

    def largest(self, site: int, a: Array, factor: Array) -> Array:
        """See `Arithmetic`: the first of those that are tied, unless weights are decided."""
        return np.asarray(first_largest(a, self.decisions.get(site)) * factor)
