"""Enclosures times numbers: slopes, and constants that may stand anywhere.

**Slopes** (`scaled`). A framework holds ŝ with |ŝ - s| <= e_s for a factor s that the reference
has as σ with |σ - s| <= r_s, and multiplies once:

    |σ c - s q| <= |σ| r + r_s |q|
    |ŝ q̂ - s q| <= |s| e + e_s (|q| + e),   |s| <= |σ| + r_s,

and one rounding of the product: u |ŝ q̂| + τ, with τ = ½η (λ₀ and |ŝ| ς(q) under flush-to-zero, and
ς(s) |q̂| for a slope that may be read as zero). Where σ is known to everyone, 0 gives exactly 0 and
±1 exactly ±q, but for ς(q) under flush-to-zero: a framework may multiply. And where q may overflow,
a framework that multiplies by 0 returns 0 · ∞ = NaN, one that selects returns 0, and e = ∞. Halving
is exact when q is exact and a multiple of 2η (2λ₀).

**Constants in any order and place** (`times_constants`). Let q be multiplied by constants
c_1 … c_n, one by one in any order, some of them put together first, by products with c or, for
|c| < 1, by divisions by 1/c. Powers of two round nothing. Of each other constant there are at most
three roundings: c or 1/c is formed (as B and then 1/B, two), and a product or quotient is taken.

*Factors below λ₀.* What is formed is a product P of some of the constants, at least c_min, the
product of all |c_i| < 1. If that is below λ₀ forming it may err by τ, a relative error of at most
τ / c_min, and what errs so are n constants and n - 1 products of them. So with m constants that are
no powers of two

    1 + θ = (1 + u)^(3m) (1 + τ / c_min)^(2n - 1),

the last factor only if (1 - u)^(3m) c_min < λ₀.

*Absolute errors.* Each of n products loses at most τ where it is formed, which the constants after
it may enlarge by A, the product of all |c_i| > 1. Under flush-to-zero τ is λ₀, whether the product
is replaced by zero or read as zero next, and ς(q) is lost before all constants. With C = Π c_i

    e = |C| e_q + θ |C| (|q| + e_q) + (1 + θ) (n τ A + |C| ς(q)).

*Before a sum.* Where q is a sum that is still open the constants may be put to its N terms or to
partial sums of them: each constant at N places at most, N n products. Its own products lose what
they lose, U (`crosscheck.numbers.enclosure`), before all constants; an addition that is flushed to
zero comes before some of them. If powers of two are put to terms and nothing is lost, each number
in the tree is a power of two times what it is without them, and so |C| times the sum's e holds. If
the constants round, what is added need not be exact where the terms are, so that neither the
certificate of exactness nor the sharper of the sum's two bounds holds; a leaf passes K roundings of
the sum and those of the constants:

    e = |C| (carried + ((1 + u)^K (1 + θ) - 1) M) + (1 + u)^2K (1 + θ) (|C| U + Λ A),
    Λ = N n τ, and (N - 1) λ₀ under flush-to-zero,

with |C| e_q in the place of all that is times |C| if they do not. What is lost passes K roundings,
and changes the sums that are rounded: that is what (1 + u)^2K is for, as K >= N - 1. (Constants put
to a factor of a product are not among these places.)

*Exact* is the result if every constant is a power of two, c_min >= λ₀, q is exact (as a sum, if it
is one), and q, or every term of it, is a multiple of η / c_min (λ₀ / c_min); and if q, or every
term of it, is zero. That a sum is zero is not enough: 1½ - 1 - ½ is, and 3 times its terms, which
are 4½, -3 and -1½, add up to -½ in three bits, where 4½ is rounded to 4. *Overflow*: A or M A,
with M = |q̂| if q is no sum, and with what roundings add, reaches Ω. A divisor 1/c that is beyond Ω
is supposed not to be formed in the dtype.

**Put to the test** (`crosscheck.studies.adversary`): 1,015,808 tries a rule gave at most 1.0000 of
the bound, for powers of two and for constants put to a sum; for other constants between 0.67 and
0.9999, as three roundings are seldom as unlucky as each may be.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.double_double import PRODUCT_UNDERFLOW, UNIT, DoubleDouble
from crosscheck.numbers.enclosure import Enclosure, OpenSum
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model
from crosscheck.numbers.rounding import growth, or_infinity, up

__all__ = ["nearest", "scaled", "times_constants"]


def nearest(value: Fraction) -> float:
    """The float64 next to a rational."""
    return value.numerator / value.denominator


def scaled(
    q: Enclosure,
    slope: Array,
    r: Array | float = 0.0,
    e: Array | float = 0.0,
    lost: Array | float = 0.0,
) -> Enclosure:
    """s ∘ q; see the module's text.

    Args:
        q: What is scaled.
        slope: σ, float64, of a shape that broadcasts with q's.
        r: r_s, likewise.
        e: e_s, likewise.
        lost: How many τ are lost besides that of one product, likewise.
    """
    model, size = q.model, np.abs(slope)
    is_held = not (np.any(r) or np.any(e) or np.any(lost))
    if q.is_data and not model.flush and is_held and ((size == 1.0) | (size == 0.0)).all():
        # Copied, negated, or zero: data as well.
        found = np.where((size == 0.0) | (q.high == 0.0), 0.0, slope * q.high)
        return Enclosure.of(model, found)
    known = (np.asarray(r) == 0) & (np.asarray(e) == 0) & (np.asarray(lost) == 0)
    c = slope * q.c
    unit, least = (UNIT, PRODUCT_UNDERFLOW) if model.wide else (2.0**-53, TINY)
    most = size + r
    own = up(size * q.r + r * q.size + size * q.size * unit, 6) + least + 2 * TINY
    held = most + e
    room = most * q.e + e * q.reach + held * q.reach * model.roundoff
    if model.flush:
        room = room + np.maximum(held, 1.0) * q.lost_by_reading
        vanishes = known & (size < model.least)
        room = room + np.where(vanishes, np.minimum(held, model.least) * q.reach, 0.0)
    room = up(room, 10) + (up(model.lost(1.0 + lost), 8) + 4 * TINY)
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
    as_it_is = up(q.e + q.lost_by_reading, 1) if model.flush else q.e
    room = np.where(shut | halved, 0.0, np.where(unchanged, as_it_is, room))
    overflows = zero & np.isinf(q.e) | (up(held * q.reach, 4) >= model.format.largest) & ~unchanged
    room = np.where(overflows & ~(shut & ~np.isinf(q.e)), np.inf, room)
    return Enclosure(model, c, or_infinity(own), or_infinity(room))


def times_constants(q: Enclosure, constants: Sequence[Fraction]) -> Enclosure:
    """C q, with the constants in any order and place; see the module's text.

    Args:
        q: What is multiplied. Of a sum that is open, the terms may be.
        constants: c_1 … c_n, none of them zero.
    """
    if not constants:
        return q
    model = q.model
    constant = _Constants.of(constants, model)
    total, grain, flushed = q.reach, q.grain, q.lost_by_reading
    terms: Any = 1.0
    products: Any = 0.0
    growing: Any = 0.0
    if isinstance(q, OpenSum):
        total, grain, flushed = q.terms.total, q.terms.least_grain, q.terms.flushed
        terms, products = np.maximum(q.terms.products + q.terms.addends, 1.0), q.terms.products
        growing = growth(model.roundoff, q.terms.factors)
    theta, size = constant.theta, constant.size
    lost = model.lost(terms * len(constants))
    if model.flush:
        lost = lost + (terms - 1.0) * model.least
    if theta == 0.0 and isinstance(q, OpenSum):
        relative, before = q.e, 0.0
    else:
        relative = (q.terms.carried if isinstance(q, OpenSum) else q.e) + (
            growing + theta + growing * theta
        ) * total
        before = model.lost(products) + (flushed if model.flush else 0.0)
    twice = (1.0 + growing) * (1.0 + growing) * (1.0 + theta)
    e = up(size * relative + twice * (size * before + constant.large * lost), 16) + 8 * TINY
    exact = q.exact & (np.ldexp(1.0, np.minimum(grain, 1023) - constant.shift) >= model.least)
    if model.flush:
        exact = exact & (flushed == 0)
    exact = exact & constant.are_exact | (total == 0)
    most = np.maximum(total * (1.0 + growing), 1.0) * (1.0 + theta) * constant.large
    fits = (up(most + constant.large * lost, 12) < model.format.largest) & ~np.isinf(q.e)
    e = np.where(fits, np.where(exact, 0.0, or_infinity(e)), np.inf)
    c, r = _center(q, math.prod(constants, start=Fraction(1)))
    return Enclosure(model, c, or_infinity(np.where(exact, 0.0, r)), e)


@dataclass(frozen=True)
class _Constants:
    """What a product of constants does to errors, rounded up.

    Attributes:
        size: |C|.
        large: A.
        theta: θ.
        shift: -log2 of c_min rounded down to a power of two.
        are_exact: Whether all are powers of two that can be put together in any way.
    """

    size: float
    large: float
    theta: float
    shift: int
    are_exact: bool

    @classmethod
    def of(cls, constants: Sequence[Fraction], model: Model) -> _Constants:
        """Those of c_1 … c_n."""
        one = Fraction(1)
        small = math.prod((min(abs(c), one) for c in constants), start=one)
        large = math.prod((max(abs(c), one) for c in constants), start=one)
        rounded = sum(not _is_power_of_two(c) for c in constants)
        theta = float(growth(model.roundoff, 3 * rounded))
        least = nearest(small) * (1 - 2.0**-50)
        sound = least * (1.0 - model.roundoff) ** (3 * rounded)
        if sound < (1 - 2.0**-40) * model.format.smallest_normal:
            lost = growth(model.lost(1) / max(least, TINY), 2 * len(constants) - 1)
            theta = float((theta + lost + theta * lost) * (1 + 2.0**-48))
        return cls(
            abs(nearest(small * large)) * (1 + 2.0**-50),
            nearest(large) * (1 + 2.0**-50),
            theta,
            small.denominator.bit_length() - 1,
            theta == 0.0,
        )


def _center(q: Enclosure, product: Fraction) -> tuple[Any, Array]:
    """The reference's value of C q and a bound on its error, that of holding C included."""
    high = nearest(product)
    low = nearest(product - Fraction(high)) if isinstance(q.c, DoubleDouble) else 0.0
    rest = abs(product - Fraction(high) - Fraction(low))
    held = max(nearest(rest) * (1 + 2.0**-50), TINY) if rest else 0.0
    size = abs(high) * (1 + 2.0**-50)
    if isinstance(q.c, DoubleDouble):
        c: Any = q.c * DoubleDouble(np.asarray(high), np.asarray(low))
        unit, lost = UNIT, PRODUCT_UNDERFLOW
    else:
        c, unit, lost = q.c * high, 2.0**-53, TINY
    r = up(size * q.r + size * q.size * unit + held * q.size, 8) + lost + 4 * TINY
    return c, np.where(q.reach == 0, 0.0, r)


def _is_power_of_two(value: Fraction) -> bool:
    numerator, denominator = abs(value.numerator), value.denominator
    return numerator & (numerator - 1) == 0 and denominator & (denominator - 1) == 0
