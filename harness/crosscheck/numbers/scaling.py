"""Enclosures times numbers: slopes, and constants that may stand anywhere.

**Slopes** (`scaled`). A framework holds ŝ with |ŝ - s| <= e_s for a factor s that the reference
has as σ with |σ - s| <= r_s, and multiplies once:

    |σ c - s q| <= |σ| r + r_s |q|
    |ŝ q̂ - s q| <= |s| e + e_s (|q| + e),   |s| <= |σ| + r_s,

and one rounding of the product: u |ŝ q̂| + τ, with τ = ½η (λ₀ and |ŝ| ς(q) under flush-to-zero).
Where σ is known to everyone, 0 gives exactly 0 and ±1 exactly ±q; but where q may overflow, a
framework that multiplies by 0 returns 0 · ∞ = NaN, one that selects returns 0, and e = ∞. Halving
is exact when q is exact and a multiple of 2η (2λ₀).

**Constants in any order and place** (`times_constants`). Let q be multiplied by constants
c_1 … c_n, one by one in any order, some of them put together first, by products with c or by
divisions by 1/c. Powers of two round nothing. Of each other constant there are at most three
roundings: c or 1/c is formed (as B and then 1/B, two), and a product or quotient is taken. So with
m constants that are no powers of two, θ = (1 + u)^(3m) - 1 bounds the relative error. A constant
that is formed below λ₀ has an absolute error τ, hence a relative one of τ / c_min; c_min is the
product of all |c_i| < 1. Each product loses at most τ where it is formed, which the constants after
it may enlarge by A, the product of all |c_i| > 1: at most n τ A (2n λ₀ A, and ς(q) A for reading q
as zero, under flush-to-zero). With C = Π c_i

    e = |C| e_q + θ |C| (|q| + e_q) + (1 + θ) n τ A.

*Before a sum.* Where q is a sum that is still open the constants may be put to its N terms or to
partial sums of them: up to N n products. If they round nothing, that changes nothing else. If they
do, what is added need not be exact where the terms are, so that neither the certificate of
exactness nor the sharper of the sum's two bounds holds; a leaf passes K roundings of the sum and
those of the constants:

    e = |C| (carried + ((1 + u)^K (1 + θ) - 1) M) + (1 + θ) N n τ A.

(Constants put to a factor of a product are not among these places.)

*Exact* is the result if every constant is a power of two, q is exact (as a sum, if it is one), and
q, or every term of it, is a multiple of η / c_min (λ₀ / c_min). *Overflow*: |q̂| A reaches Ω, for
an open sum M A.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.double_double import PRODUCT_UNDERFLOW, UNIT, DoubleDouble
from crosscheck.numbers.enclosure import Enclosure, OpenSum
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.rounding import growth, or_infinity, up

__all__ = ["nearest", "scaled", "times_constants"]


def nearest(value: Fraction) -> float:
    """The float64 next to a rational."""
    return value.numerator / value.denominator


def scaled(q: Enclosure, slope: Array, r: Array | float = 0.0, e: Array | float = 0.0) -> Enclosure:
    """s ∘ q; see the module's text.

    Args:
        q: What is scaled.
        slope: σ, float64, of a shape that broadcasts with q's.
        r: r_s, likewise.
        e: e_s, likewise.
    """
    model, size = q.model, np.abs(slope)
    known = (np.asarray(r) == 0) & (np.asarray(e) == 0)
    c = slope * q.c
    unit, lost = (UNIT, PRODUCT_UNDERFLOW) if model.wide else (2.0**-53, TINY)
    most = size + r
    own = up(size * q.r + r * q.size + size * (unit * q.size), 6) + lost + 2 * TINY
    held = most + e
    room = most * q.e + e * q.reach + held * (model.roundoff * q.reach)
    room = room + np.maximum(held, 1.0) * q.lost_by_reading
    room = up(room, 10) + (up(model.lost(1), 8) + 4 * TINY)
    halved = known & (size == 0.5) & q.exact
    if halved.any():
        halved &= np.ldexp(1.0, np.minimum(q.grain, 1023)) >= 2.0 * model.least
    unchanged, zero = known & (size == 1.0), known & (size == 0.0)
    shut = zero | (q.reach == 0)
    if isinstance(c, DoubleDouble):
        c = DoubleDouble(np.where(shut, 0.0, c.high), np.where(shut, 0.0, c.low))
    else:
        c = np.where(shut, 0.0, c)
    own = np.where(shut | halved, 0.0, np.where(unchanged, q.r, own))
    room = np.where(shut | halved, 0.0, np.where(unchanged, q.e, room))
    overflows = zero & np.isinf(q.e) | (up(held * q.reach, 4) >= model.format.largest) & ~unchanged
    room = np.where(overflows & ~(shut & ~np.isinf(q.e)), np.inf, room)
    return Enclosure(model, c, or_infinity(own), or_infinity(room))


def times_constants(q: Enclosure, constants: Sequence[Fraction]) -> Enclosure:
    """C q, with the constants in any order and place; see the module's text.

    Args:
        q: What is multiplied. Of a sum that is open, the terms may be.
        constants: c_1 … c_n, none of them zero.
    """
    model, form = q.model, q.model.format
    product = math.prod(constants, start=Fraction(1))
    if not constants:
        return q
    count = len(constants)
    small = math.prod((min(abs(c), Fraction(1)) for c in constants), start=Fraction(1))
    large = math.prod((max(abs(c), Fraction(1)) for c in constants), start=Fraction(1))
    dyadic = all(_is_power_of_two(c) for c in constants)
    rounded = sum(not _is_power_of_two(c) for c in constants)
    factor, a = abs(nearest(product)) * (1 + 2.0**-50), nearest(large) * (1 + 2.0**-50)
    theta = float(growth(model.roundoff, 3 * rounded))
    least = nearest(small) * (1 - 2.0**-50)
    if least < form.smallest_normal:
        theta = ((1.0 + theta) * (1.0 + model.underflow / max(least, TINY)) - 1.0) * (1 + 2.0**-48)
    terms: Any = 1.0
    total, read, fine = q.reach, q.lost_by_reading, q.grain
    if isinstance(q, OpenSum):
        terms = np.maximum(q.products + q.addends, 1.0)
        total, read, fine = q.total, q.flushed, q.least_grain
    relative = q.e + theta * total
    if isinstance(q, OpenSum) and theta > 0.0:
        growing = growth(model.roundoff, q.factors)
        relative = q.carried + (growing + theta + growing * theta) * total
    lost = model.lost(count) * (2.0 if model.flush else 1.0) * a * terms
    reading = a * read if model.flush else 0.0
    e = factor * relative + (1.0 + theta) * (lost + reading)
    e = up(e, 16) + 4 * TINY
    c, r = _center(q, product)
    shift = small.denominator.bit_length() - 1
    exact = q.exact & (np.ldexp(1.0, np.minimum(fine, 1023) - shift) >= model.least)
    if model.flush:
        exact = exact & (read == 0)
    exact = exact & (dyadic and least >= form.smallest_normal)
    exact = exact | (q.reach == 0)
    fits = up(total * (1.0 + theta) * a, 8) < form.largest
    e = np.where(fits, np.where(exact, 0.0, or_infinity(e)), np.inf)
    return Enclosure(model, c, or_infinity(np.where(exact, 0.0, r)), e)


def _center(q: Enclosure, product: Fraction) -> tuple[Any, Array]:
    """The reference's value of C q and a bound on its error."""
    high = nearest(product)
    low = nearest(product - Fraction(high))
    size = abs(high) * (1 + 2.0**-50)
    if isinstance(q.c, DoubleDouble):
        c: Any = q.c * DoubleDouble(np.asarray(high), np.asarray(low))
        unit, lost = 2 * UNIT, PRODUCT_UNDERFLOW
    else:
        c, unit, lost = q.c * high, 2 * 2.0**-53, TINY
    r = up(size * q.r + size * (unit * q.size), 6) + lost + 2 * TINY
    return c, np.where(q.reach == 0, 0.0, r)


def _is_power_of_two(value: Fraction) -> bool:
    numerator, denominator = abs(value.numerator), value.denominator
    return numerator & (numerator - 1) == 0 and denominator & (denominator - 1) == 0
