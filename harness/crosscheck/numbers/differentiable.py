"""A function with its derivatives and the sizes that their errors are measured by.

Which functions there are, and what the sizes are for, is said in `crosscheck.numbers.elementary`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from crosscheck.numbers.analysis import FLOATS, Analysis
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.ieee import in_ieee_arithmetic

__all__ = ["ORDERS", "ROUNDINGS", "Elementary", "Form", "by_size", "one", "sizes", "times", "zero"]

Form = Callable[..., Any]
"""A function of a number type (`Analysis`), x, and y where there is one."""

ORDERS = 4
"""Derivatives there are of each function, itself included."""

ROUNDINGS = 88
"""The most roundings of 2^-53 scale that a value, and a scale, in float64 is off by.

No form has more than sixteen operations, of which at most four are calls of a library, each of up
to eight roundings (see `crosscheck.numbers.analysis`), and the factor by which a rounded argument
changes a result is part of its scale. That is 12 + 4 · 8 = 44; twice that holds the operations that
scales have of their own.
"""


@dataclass(frozen=True, eq=False)
class Elementary:
    """A function of one number x, or of x with a second operand y that is held fixed.

    Attributes:
        name: What users type.
        formula: The function, for people.
        forms: f, f', f'' and f''', each a `Form`.
        scales: What errors of each are measured by; `Form` as well.
        low: The domain is the open interval from here …
        high: … to here,
        without_zero: … but for 0.
        operands: 2 if there is a y.
        jumps: From this order on a derivative jumps at 0.
        products: Roundings of the scale that the products with a cotangent can cost, at most, for
            each derivative; see `crosscheck.numbers.elementary_values`.
    """

    name: str
    formula: str
    forms: tuple[Form, ...]
    scales: tuple[Form, ...]
    low: float = -math.inf
    high: float = math.inf
    without_zero: bool = False
    operands: int = 1
    jumps: int = ORDERS
    products: int = 1

    def is_within(self, x: ArrayLike) -> Any:
        """Whether f and its derivatives are there, entry by entry; not at NaN and infinities."""
        x = np.asarray(x)
        inside = (x > self.low) & (x < self.high) & np.isfinite(x)
        return inside & (x != 0) if self.without_zero else inside

    @in_ieee_arithmetic
    def floats(self, x: ArrayLike, k: int = 0, *rest: ArrayLike) -> Array:
        """f^(k)(x) in float64; see the module for how good it is.

        Args:
            x: Numbers of the domain, of any shape.
            k: The order, less than `ORDERS`.
            rest: y, where there is one.
        """
        return self._computed(self.forms[k], x, *rest)

    @in_ieee_arithmetic
    def scale(self, x: ArrayLike, k: int = 0, *rest: ArrayLike) -> Array:
        """What errors of f^(k)(x) are measured by, in float64; arguments as of `floats`."""
        return self._computed(self.scales[k], x, *rest)

    def _computed(self, form: Form, x: ArrayLike, *rest: ArrayLike) -> Array:
        operands = [np.asarray(each, dtype=np.float64) for each in (x, *rest)]
        with np.errstate(all="ignore"):
            found = form(FLOATS, *operands)
        return np.broadcast_to(np.asarray(found, dtype=np.float64), operands[0].shape)

    def ball(self, x: Any, k: int = 0, *rest: Any) -> Any:
        """A ball that holds f^(k) at every number of the ball x, at Arb's current precision.

        Args:
            x: A float, which is taken exactly, or an ``arb`` within the domain.
            k: The order, less than `ORDERS`.
            rest: y, where there is one.
        """
        from flint import arb

        from crosscheck.numbers.arb import BALLS

        return arb(self.forms[k](BALLS, arb(x), *map(arb, rest)))


def zero(m: Analysis, x: Any, *rest: Any) -> Any:
    """0 of the shape of x."""
    return 0 * x


def one(m: Analysis, x: Any, *rest: Any) -> Any:
    """1 of the shape of x."""
    return 0 * x + 1


def times(factor: int | Fraction, form: Form) -> Form:
    """A multiple of a form."""
    return lambda m, *operands: m.number(Fraction(factor)) * form(m, *operands)


def sizes(*forms: Form) -> Iterator[Form]:
    """|f^(k)| as scales."""
    for form in forms:
        yield lambda m, *operands, form=form: m.absolute(form(m, *operands))


def by_size(name: str, formula: str, *forms: Form, **domain: Any) -> Elementary:
    """A function all of whose derivatives are as good as they are large."""
    f0, f1, f2, f3 = forms
    s0, s1, s2, s3 = sizes(*forms)
    return Elementary(name, formula, (f0, f1, f2, f3), (s0, s1, s2, s3), **domain)
