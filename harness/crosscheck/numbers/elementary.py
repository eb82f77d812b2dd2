"""Elementary functions: each with three derivatives, and with the size that errors are measured by.

The table knows no framework. A function is written once, in the words of
`crosscheck.numbers.analysis`, and computed in float64 (`Elementary.floats`) or enclosed by Arb
(`Elementary.ball`): f, f', f'' and f''', in forms in which nothing cancels but what is lost of
``scale``.

**Scales.** A framework's value of f^(k) is held to N roundings: |computed - f^(k)(x)| is at most
N u scale(x, k), plus what underflow takes. Where a library's result is as good as the result is
large, scale is |f^(k)|. Many derivatives cannot be that good in any way that they are written:

- 1 - tanh² and σ (1 - σ) are computed of a rounded tanh and σ, and 1 - t errs by u whatever is
  left. So tanh' has scale 1, though tanh'(30) is 4e-26, and σ' has σ: at the left end σ is small
  and good, at the right end 1 - σ is not.
- Φ(x) is ½ (1 + erf), so gelu is good to u |x|, not to u |x Φ(x)|; and sums as Φ + x φ, which has a
  root, to the sum of the sizes of their terms. That is the rule: **the scale of a sum of terms is
  the sum of their scales**, up to a factor that N holds.
- e^(-x²) has the error of x², which is u x²: a factor of 1 + x².
- sin and cos are reduced to a period first, and what that loses is lost of 1, also beside their
  roots; only next to 0, where nothing is reduced, sin is as good as |x|.

A scale is a number of the same kind as x. N belongs to the library, and is measured.

**Float64.** `Elementary.floats` errs by at most `ROUNDINGS` 2^-53 scale(x, k), plus underflow. That
is less than 2^-22 roundings of float32, and no reference for float64: that is Arb's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from crosscheck.numbers.analysis import Analysis
from crosscheck.numbers.differentiable import (
    ORDERS,
    ROUNDINGS,
    Elementary,
    Form,
    by_size,
    one,
    sizes,
    times,
    zero,
)
from crosscheck.numbers.sigmoids import elu, erf, gelu, gelu_tanh, sigmoid, silu, softplus, tanh

__all__ = ["ELEMENTARY", "ORDERS", "ROUNDINGS", "Elementary", "power", "quotient"]


def _exp(m: Analysis, x: Any) -> Any:
    return m.exp(x)


def _expm1() -> Elementary:
    def at_least_one(m: Analysis, x: Any) -> Any:
        return m.larger(m.exp(x), 1)  # eˣ is computed as (eˣ - 1) + 1

    scales = (*sizes(lambda m, x: m.expm1(x)), at_least_one, at_least_one, at_least_one)
    return Elementary("expm1", "eˣ - 1", (lambda m, x: m.expm1(x), _exp, _exp, _exp), scales)


def power(p: Fraction | float) -> Elementary:
    """x to a constant power that is an integer or half of one."""
    p = Fraction(p)

    def form(k: int) -> Form:
        factor = math.prod((p - j for j in range(k)), start=Fraction(1))
        if not factor:
            return zero
        if p == k:
            return times(factor, one)
        return times(factor, lambda m, x: m.power(x, p - k))

    whole = p.denominator == 1
    forms = [form(k) for k in range(ORDERS)]
    return by_size(
        f"power_{float(p):g}",
        f"x^{float(p):g}",
        *forms,
        low=-math.inf if whole else 0.0,
        without_zero=whole and p < 0,
    )


def quotient(divisor: int) -> Elementary:
    """x divided by a constant."""
    inverse = Fraction(1, divisor)
    forms = (lambda m, x: x / divisor, times(inverse, one), zero, zero)
    return by_size(f"over_{divisor}", f"x / {divisor}", *forms)


def _inverse(m: Analysis, x: Any) -> Any:
    return 1 / x


def _inverse_of_next(m: Analysis, x: Any) -> Any:
    return 1 / (1 + x)


def _table() -> Iterator[Elementary]:
    def sin(m: Analysis, x: Any) -> Any:
        return m.sin(x)

    def cos(m: Analysis, x: Any) -> Any:
        return m.cos(x)

    def near_zero(m: Analysis, x: Any) -> Any:
        return -m.larger(-m.absolute(x), -1)

    def over(p: int, factor: int) -> Form:
        return lambda m, x: factor * m.power(1 / (1 + x), Fraction(p))

    def roots(first: int, *factors: Fraction) -> Iterator[Form]:
        for k, factor in enumerate(factors):
            exponent = Fraction(first - 2 * k, 2)
            yield times(factor, lambda m, x, p=exponent: m.power(x, p))

    yield by_size("exp", "eˣ", _exp, _exp, _exp, _exp)
    yield _expm1()
    inverses = [power(-1).forms[k] for k in range(ORDERS)]
    yield by_size("log", "log x", lambda m, x: m.log(x), *inverses[:3], low=0.0)
    nexts = (_inverse_of_next, over(2, -1), over(3, 2))
    yield by_size("log1p", "log(1 + x)", lambda m, x: m.log1p(x), *nexts, low=-1.0)
    half = Fraction(1, 2)
    _, *after = roots(1, Fraction(1), half, -half / 2, 3 * half / 4)
    yield by_size("sqrt", "√x", lambda m, x: m.sqrt(x), *after, low=0.0)
    inverse_roots = roots(-1, Fraction(1), -half, Fraction(3, 4), -Fraction(15, 8))
    yield by_size("rsqrt", "1 / √x", *inverse_roots, low=0.0)
    yield by_size("reciprocal", "1 / x", _inverse, *inverses[1:], without_zero=True)
    for exponent in (2, 3, -1, -2, half, -half, 3 * half, 5 * half):
        yield power(exponent)
    for divisor in (3, 7, 10):
        yield quotient(divisor)
    yield by_size(
        "dividend",
        "x / y, of x",
        lambda m, x, y: x / y,
        lambda m, x, y: 0 * x + 1 / y,
        zero,
        zero,
        operands=2,
    )
    yield by_size(
        "divisor",
        "y / x, of x",
        lambda m, x, y: y / x,
        lambda m, x, y: -(y / x) / x,
        lambda m, x, y: 2 * (y / x) / x / x,
        lambda m, x, y: -6 * (y / x) / x / x / x,
        without_zero=True,
        operands=2,
    )
    yield from (tanh(), sigmoid(), softplus(), erf())
    scales = (near_zero, one, near_zero, one)
    yield Elementary("sin", "sin x", (sin, cos, times(-1, sin), times(-1, cos)), scales)
    scales = (one, near_zero, one, near_zero)
    yield Elementary("cos", "cos x", (cos, times(-1, sin), times(-1, cos), sin), scales)
    yield from (silu(), gelu(), gelu_tanh(), elu())


ELEMENTARY: Mapping[str, Elementary] = MappingProxyType({each.name: each for each in _table()})
"""Every function by its name, in the order of the tables."""
