"""Arb's balls: functions of analysis, enclosed to any precision (Johansson 2017).

F. Johansson, *Arb: efficient arbitrary-precision midpoint-radius interval arithmetic*, IEEE
Transactions on Computers 66, 2017. It comes with python-flint, the extra ``exact``. A ball holds
the result for every number that its operands hold, so what comes out is a proof, whatever the
precision; the precision decides how wide it is. `enclosed` raises it until the ball is narrow.

Raises:
    UsageError: This is imported, and python-flint is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.numbers.analysis import Analysis
from crosscheck.tools.errors import CrosscheckError, UsageError
from crosscheck.tools.installing import installation

try:
    import flint
    from flint import arb, fmpq
except ImportError as error:
    raise UsageError(f"Arb's balls need python-flint: {installation('exact')}") from error

__all__ = ["BALLS", "bits", "enclosed", "rational", "split"]

_FIRST, _LAST = 128, 1 << 14
"""Bits that are tried. The sine of the largest float64 takes 1,024 more than its result has."""


@contextmanager
def bits(precision: int) -> Iterator[None]:
    """Arb's precision inside a with statement."""
    before = flint.ctx.prec
    flint.ctx.prec = precision
    try:
        yield
    finally:
        flint.ctx.prec = before


class _Balls:
    """See the module; arguments and results are balls."""

    def number(self, value: Fraction) -> Any:
        return arb(fmpq(value.numerator, value.denominator))

    def pi(self) -> Any:
        return arb.pi()

    def sqrt(self, x: Any) -> Any:
        return x.sqrt()

    def power(self, x: Any, exponent: Fraction) -> Any:
        if exponent.denominator == 1:
            return x ** int(exponent)
        if exponent.denominator == 2:
            return x.sqrt() ** exponent.numerator
        return x ** self.number(exponent)

    def exp(self, x: Any) -> Any:
        return x.exp()

    def expm1(self, x: Any) -> Any:
        return x.expm1()

    def log(self, x: Any) -> Any:
        return x.log()

    def log1p(self, x: Any) -> Any:
        return x.log1p()

    def sin(self, x: Any) -> Any:
        return x.sin()

    def cos(self, x: Any) -> Any:
        return x.cos()

    def tanh(self, x: Any) -> Any:
        return x.tanh()

    def sech2(self, x: Any) -> Any:
        return x.sech() ** 2

    def sigmoid(self, x: Any) -> Any:
        return 1 / (1 + (-x).exp())

    def softplus(self, x: Any) -> Any:
        return x.exp().log1p()

    def erf(self, x: Any) -> Any:
        return x.erf()

    def normal(self, x: Any) -> Any:
        return (-x / arb(2).sqrt()).erfc() / 2

    def damped(self, decaying: Any, growing: Any) -> Any:
        return decaying * growing

    def absolute(self, x: Any) -> Any:
        return abs(x)

    def larger(self, x: Any, y: Any) -> Any:
        return x.max(arb(y))

    def choose(self, x: Any, left: Callable[[Any], Any], right: Callable[[Any], Any]) -> Any:
        if x <= 0:
            return arb(left(x))
        if x > 0:
            return arb(right(x))
        return arb(left(x)).union(arb(right(x)))


BALLS: Analysis = _Balls()
"""Arb's balls, one number at a time."""


def enclosed(of: Callable[[Any], Any], within: float) -> Any:
    """A ball around a number, of a radius of at most ``within``.

    Args:
        of: The number at a precision of so many bits, a ball.
        within: The largest radius, positive.

    Raises:
        CrosscheckError: The ball is wider at every precision that is tried.
    """
    precision = _FIRST
    while precision <= _LAST:
        with bits(precision):
            ball = arb(of(precision))
            if ball.is_finite() and float(ball.rad()) <= within:
                return ball
        precision *= 2
    raise CrosscheckError(f"Arb: {ball} is wider than {within:.3g} at {_LAST} bits")


def split(ball: Any) -> tuple[float, float]:
    """A ball's centre as a sum of two float64: the nearest one, and the rest.

    The sum errs from the centre by 2^-106 of it at most, or 2^-1075.
    """
    centre = ball.mid()
    with bits(1 << 12):
        high = float(centre)
        low = float(centre - arb(high)) if np.isfinite(high) else 0.0
    return high, low


def rational(ball: Any, farthest: int | None = None) -> Fraction:
    """A ball's centre; 0 of a ball that may be anything.

    Args:
        ball: The ball.
        farthest: A size beyond 2^farthest, or below 2^-farthest, becomes that.
    """
    if not ball.is_finite():
        return Fraction(0)
    mantissa, exponent = (int(each) for each in ball.mid().man_exp())
    size = mantissa.bit_length() + exponent
    if mantissa and farthest is not None and abs(size) > farthest:
        sign = 1 if mantissa > 0 else -1
        return sign * Fraction(2) ** (farthest if size > 0 else -farthest)
    return Fraction(mantissa) * Fraction(2) ** exponent
