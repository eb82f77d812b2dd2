"""Functions of analysis on two number types: arrays of float64, and Arb's balls.

`crosscheck.numbers.elementary` writes each function and its derivatives once, in the words of
`Analysis`; what they are computed with is said here.

**Float64** (`FLOATS`) is NumPy's own loops and, where NumPy has no function, the C library's, a
number at a time. NumPy holds its loops to 4 ulp, which is 8 roundings of 2^-53; GNU's C library
documents 1 ulp for erf and erfc. Nothing overflows on the way that does not in the result.

**Balls** (`crosscheck.numbers.arb.BALLS`) are python-flint's, at its context's precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from crosscheck.numbers.arrays import Array

__all__ = ["FLOATS", "Analysis"]


class Analysis(Protocol):
    """What a number type offers beside + - * /. Numbers are whatever it takes them to be."""

    def number(self, value: Fraction) -> Any:
        """A rational."""

    def pi(self) -> Any:
        """π."""

    def sqrt(self, x: Any) -> Any:
        """√x."""

    def power(self, x: Any, exponent: Fraction) -> Any:
        """x to a power, of a negative x to a whole one only."""

    def exp(self, x: Any) -> Any:
        """eˣ."""

    def expm1(self, x: Any) -> Any:
        """eˣ - 1."""

    def log(self, x: Any) -> Any:
        """The natural logarithm."""

    def log1p(self, x: Any) -> Any:
        """log(1 + x)."""

    def sin(self, x: Any) -> Any:
        """Sin x."""

    def cos(self, x: Any) -> Any:
        """Cos x."""

    def tanh(self, x: Any) -> Any:
        """Tanh x."""

    def sech2(self, x: Any) -> Any:
        """1 - tanh² x, without the cancellation."""

    def sigmoid(self, x: Any) -> Any:
        """1 / (1 + e⁻ˣ)."""

    def softplus(self, x: Any) -> Any:
        """log(1 + eˣ)."""

    def erf(self, x: Any) -> Any:
        """The error function."""

    def normal(self, x: Any) -> Any:
        """Φ(x), the share of a normal distribution below x."""

    def damped(self, decaying: Any, growing: Any) -> Any:
        """A product that tends to 0: where the first factor is 0, it is 0 whatever the second."""

    def absolute(self, x: Any) -> Any:
        """|x|."""

    def larger(self, x: Any, y: Any) -> Any:
        """The larger of two."""

    def choose(self, x: Any, left: Callable[[Any], Any], right: Callable[[Any], Any]) -> Any:
        """``left(x)`` where x <= 0, else ``right(x)``."""


_erf: Any = np.frompyfunc(math.erf, 1, 1)
_erfc: Any = np.frompyfunc(math.erfc, 1, 1)
_SQRT_HALF = math.sqrt(0.5)


class _Floats:
    """See the module; arguments and results are float64 arrays of one shape."""

    def number(self, value: Fraction) -> float:
        return value.numerator / value.denominator

    def pi(self) -> float:
        return math.pi

    def sqrt(self, x: Array | float) -> Any:
        return np.sqrt(x)

    def power(self, x: Array, exponent: Fraction) -> Array:
        return np.asarray(np.power(x, self.number(exponent)))

    def exp(self, x: Array) -> Array:
        return np.asarray(np.exp(x))

    def expm1(self, x: Array) -> Array:
        return np.asarray(np.expm1(x))

    def log(self, x: Array) -> Array:
        return np.asarray(np.log(x))

    def log1p(self, x: Array) -> Array:
        return np.asarray(np.log1p(x))

    def sin(self, x: Array) -> Array:
        return np.asarray(np.sin(x))

    def cos(self, x: Array) -> Array:
        return np.asarray(np.cos(x))

    def tanh(self, x: Array) -> Array:
        return np.asarray(np.tanh(x))

    def sech2(self, x: Array) -> Array:
        e = np.exp(-2.0 * np.abs(x))
        return np.asarray(4.0 * e / (1.0 + e) ** 2)

    def sigmoid(self, x: Array) -> Array:
        e = np.exp(-np.abs(x))
        return np.asarray(np.where(x < 0, e, 1.0) / (1.0 + e))

    def softplus(self, x: Array) -> Array:
        return np.asarray(np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x))))

    def erf(self, x: Array) -> Array:
        return np.asarray(_erf(x), dtype=np.float64)

    def normal(self, x: Array) -> Array:
        return 0.5 * np.asarray(_erfc(-x * _SQRT_HALF), dtype=np.float64)

    def damped(self, decaying: Array, growing: Array) -> Array:
        return np.asarray(np.where(decaying == 0, 0.0, decaying * growing))

    def absolute(self, x: Array) -> Array:
        return np.abs(x)

    def larger(self, x: Array, y: Array | float) -> Array:
        return np.asarray(np.maximum(x, y))

    def choose(
        self, x: Array, left: Callable[[Array], Any], right: Callable[[Array], Any]
    ) -> Array:
        return np.asarray(np.where(x <= 0, left(x), right(x)))


FLOATS: Analysis = _Floats()
"""Arrays of float64."""
