"""Functions of one number that are polynomials between neighbouring breakpoints, exactly.

Everything about them is decided on rationals. At a point where the derivatives from the left and
from the right differ there is no derivative; the generalised derivatives are the numbers between
the two (Clarke, *Optimization and Nonsmooth Analysis*, 1983, theorem 2.5.1 in one dimension).
"""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

__all__ = ["Piecewise", "Polynomial", "piecewise"]

Polynomial = tuple[Fraction, ...]
"""Coefficients, the constant first."""


@dataclass(frozen=True)
class Piecewise:
    """A function of one number, a polynomial between neighbouring breakpoints.

    Attributes:
        name: What users type.
        formula: The function, for people.
        breakpoints: Where the pieces meet, ascending.
        pieces: One polynomial more than there are breakpoints.
        roundings: The most roundings that a term of a piece passes in any way of evaluating it;
            none where the piece is ``z``, ``-z`` or a constant.
        blur: Where some way of evaluating tells pieces apart by a rounded result and not by ``z``,
            the size of its terms at a breakpoint over the slope there; else 0.
    """

    name: str
    formula: str
    breakpoints: tuple[Fraction, ...]
    pieces: tuple[Polynomial, ...]
    roundings: int = 2
    blur: Fraction = Fraction(0)

    def value(self, point: float) -> Fraction | float:
        """The exact value; NaN at NaN, the limit at ±inf; at a jump that of the left piece."""
        if math.isnan(point):
            return math.nan
        piece = self._pieces_at(point)[0]
        if math.isfinite(point):
            return evaluated(piece, Fraction(point))
        return _limit(piece, point)

    def slopes(self, point: float) -> tuple[Fraction | float, Fraction | float]:
        """The derivatives from the left and from the right; NaN at NaN, the limits at ±inf."""
        if math.isnan(point):
            return math.nan, math.nan
        left, right = map(_differentiated, self._pieces_at(point))
        if not math.isfinite(point):
            return _limit(left, point), _limit(right, point)
        return evaluated(left, Fraction(point)), evaluated(right, Fraction(point))

    @cached_property
    def derivative(self) -> Piecewise:
        """The derivative within the pieces, which may jump from one to the next."""
        pieces = tuple(map(_differentiated, self.pieces))
        return Piecewise(f"{self.name}'", "", self.breakpoints, pieces, self.roundings, self.blur)

    @cached_property
    def jumps(self) -> tuple[bool, ...]:
        """At which breakpoints the pieces have different values."""
        return tuple(
            evaluated(self.pieces[k], point) != evaluated(self.pieces[k + 1], point)
            for k, point in enumerate(self.breakpoints)
        )

    @property
    def kinks(self) -> tuple[Fraction, ...]:
        """The breakpoints at which the derivative jumps."""
        jumps = self.derivative.jumps
        return tuple(
            point for point, jumps_there in zip(self.breakpoints, jumps, strict=True) if jumps_there
        )

    @cached_property
    def degree(self) -> int:
        """Of the pieces, the highest."""
        return max(
            (power for piece in self.pieces for power, c in enumerate(piece) if c), default=0
        )

    @property
    def is_zero(self) -> bool:
        """Whether every piece is the constant 0."""
        return not any(any(piece) for piece in self.pieces)

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


def piecewise(
    name: str, formula: str, breakpoints: str, *pieces: str, roundings: int = 2, blur: int = 0
) -> Piecewise:
    """A function from numbers in words: ``"-1 1"``, and coefficients ``"0 1"`` for each piece."""

    def numbers(text: str) -> tuple[Fraction, ...]:
        return tuple(map(Fraction, text.split()))

    polynomials = tuple(map(numbers, pieces))
    return Piecewise(name, formula, numbers(breakpoints), polynomials, roundings, Fraction(blur))


def evaluated(polynomial: Polynomial, point: Fraction) -> Fraction:
    """The value of a polynomial."""
    return sum((c * point**power for power, c in enumerate(polynomial)), Fraction(0))


def _differentiated(polynomial: Polynomial) -> Polynomial:
    return tuple(power * c for power, c in enumerate(polynomial))[1:] or (Fraction(0),)


def _limit(polynomial: Polynomial, point: float) -> Fraction | float:
    degree = max((power for power, c in enumerate(polynomial) if c != 0), default=0)
    if degree == 0:
        return polynomial[0]
    sign = (1 if polynomial[degree] > 0 else -1) * (1 if point > 0 or degree % 2 == 0 else -1)
    return math.copysign(math.inf, sign)
