"""The activation functions that have kinks: their exact values and one-sided derivatives.

A unit is a polynomial on each of the intervals between its breakpoints, so that everything about
it is decided on rationals. At a point where the derivatives from the left and from the right
differ there is no derivative; the generalised derivatives are the numbers between the two
(Clarke, *Optimization and Nonsmooth Analysis*, 1983, theorem 2.5.1 in one dimension).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType

__all__ = ["UNITS", "Unit"]

Polynomial = tuple[Fraction, ...]
"""Coefficients, the constant first."""


@dataclass(frozen=True)
class Unit:
    """A continuous function of one number, a polynomial between neighbouring breakpoints.

    Attributes:
        name: What users type.
        formula: The function, for people.
        breakpoints: Where the pieces meet, ascending.
        pieces: One polynomial more than there are breakpoints.
    """

    name: str
    formula: str
    breakpoints: tuple[Fraction, ...]
    pieces: tuple[Polynomial, ...]

    def value(self, point: float) -> Fraction | float:
        """The exact value; NaN at NaN, the limit at ±inf."""
        if math.isnan(point):
            return math.nan
        piece = self._pieces_at(point)[1]
        if math.isfinite(point):
            return _evaluate(piece, Fraction(point))
        return _limit(piece, point)

    def slopes(self, point: float) -> tuple[Fraction | float, Fraction | float]:
        """The derivatives from the left and from the right; NaN at NaN, the limits at ±inf."""
        if math.isnan(point):
            return math.nan, math.nan
        left, right = (
            tuple(power * c for power, c in enumerate(piece))[1:] or (Fraction(0),)
            for piece in self._pieces_at(point)
        )
        if not math.isfinite(point):
            return _limit(left, point), _limit(right, point)
        return _evaluate(left, Fraction(point)), _evaluate(right, Fraction(point))

    def _pieces_at(self, point: float) -> tuple[Polynomial, Polynomial]:
        """The pieces to the left and to the right of a point."""
        if math.isinf(point):
            outer = self.pieces[-1 if point > 0 else 0]
            return outer, outer
        exact = Fraction(point)
        return (
            self.pieces[bisect.bisect_left(self.breakpoints, exact)],
            self.pieces[bisect.bisect_right(self.breakpoints, exact)],
        )


def _evaluate(polynomial: Polynomial, point: Fraction) -> Fraction:
    return sum((c * point**power for power, c in enumerate(polynomial)), Fraction(0))


def _limit(polynomial: Polynomial, point: float) -> Fraction | float:
    degree = max((power for power, c in enumerate(polynomial) if c != 0), default=0)
    if degree == 0:
        return polynomial[0]
    sign = (1 if polynomial[degree] > 0 else -1) * (1 if point > 0 or degree % 2 == 0 else -1)
    return math.copysign(math.inf, sign)


def _unit(name: str, formula: str, breakpoints: str, *pieces: str) -> Unit:
    """From numbers in words: ``"-1 1"``, and coefficients ``"0 1"`` for each piece."""

    def numbers(text: str) -> tuple[Fraction, ...]:
        return tuple(map(Fraction, text.split()))

    return Unit(name, formula, numbers(breakpoints), tuple(map(numbers, pieces)))


UNITS: Mapping[str, Unit] = MappingProxyType(
    {
        unit.name: unit
        for unit in (
            _unit("relu", "max(z, 0)", "0", "0", "0 1"),
            _unit("abs", "|z|", "0", "0 -1", "0 1"),
            _unit("relu6", "min(max(z, 0), 6)", "0 6", "0", "0 1", "6"),
            _unit("hardtanh", "min(max(z, -1), 1)", "-1 1", "-1", "0 1", "1"),
            _unit("hard_sigmoid", "min(max(z + 3, 0), 6) / 6", "-3 3", "0", "1/2 1/6", "1"),
            _unit("hardswish", "z min(max(z + 3, 0), 6) / 6", "-3 3", "0", "0 1/2 1/6", "0 1"),
            _unit(
                "softshrink",
                "z - ½ for z > ½, z + ½ for z < -½, else 0",
                "-1/2 1/2",
                "1/2 1",
                "0",
                "-1/2 1",
            ),
            _unit("max_pool", "the largest of z and 1", "1", "1", "0 1"),
        )
    }
)
"""Every unit by name. ``max_pool`` stands for pooling with a tie between two inputs, at z = 1."""
