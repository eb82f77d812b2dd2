"""The verbs of programs on exact numbers.

Values of elementary functions are seldom rational. They are taken to within 2^-`BITS` of their
size, and everything after them is exact again: what differs from zero by more than that is told
from it, and so is each side of a breakpoint. No number of a dtype is as near to another.
Sizes beyond 2^±`FARTHEST`, where no dtype has numbers, become that: else the e^x of a large x would
have as many bits as x is large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from crosscheck.numbers.differentiable import Elementary
from crosscheck.numbers.multilinear import fraction
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.program.arrays import OnArrays, decided_slope, first_largest, numbered, polynomials
from crosscheck.program.graph import Shape
from crosscheck.tools.errors import UsageError

__all__ = ["BITS", "FARTHEST", "OnExact"]

BITS = 512
FARTHEST = 2**14


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

    def elementary(self, x: Any, function: Elementary, order: int, row: str) -> Any:
        """See `Arithmetic` and the module; 0 outside the domain, where nothing is known.

        Raises:
            UsageError: python-flint is not installed.
        """
        found = np.empty(np.shape(x), dtype=object)
        for index in np.ndindex(found.shape):
            found[index] = self.number(_near(function, order, fraction(x[index])))
        return found

    def largest(self, site: int, a: Any, factor: Any) -> Any:
        """See `Arithmetic`."""
        return first_largest(a, self.decisions.get(site)) * factor


@lru_cache(maxsize=4096)
def _near(function: Elementary, order: int, x: Fraction) -> Fraction:
    try:
        from flint import arb, fmpq
    except ImportError:
        raise UsageError(
            f"{function.name}: exact values need python-flint, which is not installed; "
            "pip install 'crosscheck[exact]'"
        ) from None
    from crosscheck.numbers.arb import bits, rational

    with bits(BITS):
        return rational(function.ball(arb(fmpq(x.numerator, x.denominator)), order), FARTHEST)
