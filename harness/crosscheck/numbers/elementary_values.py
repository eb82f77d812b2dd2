"""The values of elementary functions, and of their derivatives, of enclosures.

Let f be f^(k) of a function of `crosscheck.numbers.elementary`, and let all that x, x̂ and c_x can
be lie in a box. With L >= |f'| over the box, found by interval arithmetic,

    |f(c_x) - f(x)| <= L r,        |f(x̂) - f(x)| <= L (e + ς(x)),

by the mean value theorem; and no more than the box of f is wide, where that is less: a function
that levels off carries little of a large error. A library's own part is what its table says
(`crosscheck.numbers.accuracy`): N roundings of the scale, and where the result may underflow the
smallest normal number,

    N u scale + [|f̂| < λ₀ somewhere] λ₀,    scale the largest over the box.

A derivative of order k was measured with k cotangents and tangents, all of them 1. Another one, g,
is multiplied by what makes up f^(k), or by its parts before they are added; a scale is the sum of
the sizes of the parts, so that each costs one rounding of the scale more: N + k. The products
themselves are not part of it. Of 1 - t², t = tanh x, the scale is 1, and JAX forms
(g + g t) (1 - t): where t is near -1 the rounding of g t is doubled, so that g costs two there,
N + 2 k, which a cotangent of 1, whose products are exact, does not show.

At an x that is 0 for everybody, where the scale is 0 too, f is 0 for everybody.

The reference's value is float64's, with the error that `Elementary.floats` states; where float64
is what is checked it is Arb's, to nearest or as a sum of two float64. Outside the domain of f, and
where the box reaches beyond it, nothing is known. Overflow: where |f| and its error reach Ω.

The basis of all this is *proved given N roundings*.

**Put to the test** (`crosscheck.studies.adversary`): against functions that err by N roundings of
their scale, to the side that climbs, 1,015,808 tries a rule gave at most 1.0000 of the bound, for
the value and the derivative of each function that an operator calls.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.balls import Ball
from crosscheck.numbers.bounded import Center
from crosscheck.numbers.differentiable import ORDERS, ROUNDINGS, Elementary
from crosscheck.numbers.double_double import UNIT, DoubleDouble, high
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.intervals import INTERVALS, Interval
from crosscheck.numbers.rounding import or_infinity, up
from crosscheck.tools.errors import UsageError

__all__ = ["box_of", "elementary_of", "exactly", "largest", "over_ball"]

_LAST = 1 << 13
"""Bits from which on a ball is taken as it is: it is 0, or of what is infinite."""


def box_of(x: Enclosure) -> Interval:
    """All that x, x̂ and c_x can be."""
    margin = x.margin
    if x.model.flush:
        margin = up(margin + x.lost_by_reading, 1)
    wide = margin > 0
    low, upper = x.high - margin, x.high + margin
    low = np.where(wide, np.nextafter(low, -np.inf), low)
    return Interval(
        low if x.floor is None else np.maximum(low, x.floor),
        np.where(wide, np.nextafter(upper, np.inf), upper),
    )


def largest(function: Elementary, k: int, box: Interval) -> Array:
    """An upper bound of |f^(k)| over boxes; ∞ where there is none."""
    with np.errstate(all="ignore"):
        return _over(function, k, box).size


def elementary_of(x: Enclosure, function: Elementary, k: int, row: str) -> Enclosure:
    """f^(k)(x); see the module's text.

    Args:
        x: Of any shape.
        function: f.
        k: The order.
        row: As what N was measured: the name of f, or of an operation that f is a part of.

    Raises:
        UsageError: Float64 is checked, and python-flint is not installed.
    """
    model, box = x.model, box_of(x)
    inside = _within(function, box)
    safe = np.where(inside, x.high, 1.0)
    with np.errstate(all="ignore"):
        c, own = _reference(x, function, k, safe, inside)
        scale = _shaped(function.scales[k](INTERVALS, box), box).size
        values = _over(function, k, box)
        r, e = own, np.zeros(x.shape)
        moved = (x.r > 0) | (x.e > 0) | (x.lost_by_reading > 0)
        if moved.any():
            steep, width = largest(function, k + 1, box), up(values.high - values.low, 1) + TINY
            r = np.where(x.r > 0, up(own + np.fmin(steep * x.r, width), 3) + TINY, own)
            e = steep * up(x.e + x.lost_by_reading, 1)
            e = np.where(moved, up(np.fmin(e, width), 1) + TINY, 0.0)
        count = model.roundings(row, k) + float(k * function.products)
        rounding = up(count * (model.roundoff * scale), 2)
        least = model.format.smallest_normal
        rounding = rounding + np.where(values.least - up(e + rounding, 2) < least, least, 0.0)
        nothing = (box.low == 0.0) & (box.high == 0.0) & (function.scale(0.0 * safe, k) == 0.0)
        e = up(e + np.where(nothing, 0.0, rounding), 6)
        reach = up(values.size + e, 2)
    fits = inside & (reach < model.format.largest)
    c = _chosen(inside, c)
    return Enclosure(
        model,
        c,
        np.where(inside, or_infinity(r), np.inf),
        np.where(fits, or_infinity(e), np.inf),
    )


def _reference(
    x: Enclosure, function: Elementary, k: int, safe: Array, inside: Any
) -> tuple[Center, Array]:
    """c, and by how much it can differ from f^(k)(c_x)."""
    if x.model.precision <= 26:
        c = function.floats(safe, k)
        own = up(ROUNDINGS * 2.0**-53 * function.scale(safe, k), 4) + 2 * TINY
        return c, np.where(function.scale(safe, k) == 0.0, 0.0, own)
    rest = x.c.low if isinstance(x.c, DoubleDouble) else np.zeros(x.shape)
    upper, lower = (np.zeros(x.shape) for _ in range(2))
    flat = (upper.reshape(-1), lower.reshape(-1))
    rests = np.where(inside, rest, 0.0).reshape(-1).tolist()
    for at, (value, more) in enumerate(zip(safe.reshape(-1).tolist(), rests, strict=True)):
        flat[0][at], flat[1][at] = exactly(function, k, value, more)
    if isinstance(x.c, DoubleDouble):
        return DoubleDouble(upper, lower), up(UNIT * np.abs(upper), 1) + 2 * TINY
    return upper, up(np.abs(lower) + UNIT * np.abs(upper), 2) + TINY * (upper != 0)


@lru_cache(maxsize=1 << 16)
def exactly(function: Elementary, k: int, value: float, more: float = 0.0) -> tuple[float, float]:
    """f^(k)(value + more) as a sum of two float64, to within 2^-103 of it and 2^-1075.

    Raises:
        UsageError: python-flint is not installed.
    """
    try:
        from flint import arb
    except ImportError:
        raise UsageError(
            f"{function.name} in float64: python-flint is not installed, wanted for its reference; "
            "pip install 'crosscheck[exact]'"
        ) from None
    from crosscheck.numbers.arb import bits, split

    precision = 192
    while True:
        with bits(precision):
            ball = function.ball(arb(value) + arb(more), k)
            middle, radius = abs(ball.mid()), ball.rad()
            small = radius <= middle * arb(2) ** -104 or radius <= arb(2) ** -1080
            if small or precision > _LAST:
                return split(ball)
        precision *= 2


def _chosen(inside: Any, c: Center) -> Center:
    """The reference's value, and 0 where nothing is known."""
    if isinstance(c, DoubleDouble):
        return DoubleDouble(np.where(inside, c.high, 0.0), np.where(inside, c.low, 0.0))
    return np.where(inside & np.isfinite(high(c)), c, 0.0)


def _within(function: Elementary, box: Interval) -> Any:
    """Which boxes are within the domain, all of them."""
    inside = np.asarray(function.is_within(box.low) & function.is_within(box.high))
    return inside & ((box.low > 0) | (box.high < 0)) if function.without_zero else inside


def _over(function: Elementary, k: int, box: Interval) -> Interval:
    """All that f^(k) is over boxes."""
    if k >= ORDERS:
        raise UsageError(
            f"{function.name}: a derivative of order {k} is needed, wanted {ORDERS - 1} at most"
        )
    return _shaped(function.forms[k](INTERVALS, box), box)


def _shaped(found: Any, box: Interval) -> Interval:
    """An interval of the boxes' shape, also of what is the same for all."""
    if not isinstance(found, Interval):
        found = Interval(float(found), float(found))
    shape = box.low.shape
    return Interval(np.broadcast_to(found.low, shape), np.broadcast_to(found.high, shape))


def over_ball(x: Ball, function: Elementary, k: int) -> Ball:
    """All that f^(k) is over a ball; a ball of infinite radius where it may not be defined."""
    wide = x.r > 0
    low = np.where(wide, np.nextafter(x.c - x.r, -np.inf), x.c)
    upper = np.where(wide, np.nextafter(x.c + x.r, np.inf), x.c)
    box = Interval(low, upper)
    inside = _within(function, box)
    with np.errstate(all="ignore"):
        found = _over(function, k, box)
        middle = 0.5 * (found.low + found.high)
        middle = np.where(inside & np.isfinite(middle), middle, 0.0)
        r = up(np.maximum(found.high - middle, middle - found.low), 2)
    return Ball(middle, np.where(inside, or_infinity(r), np.inf))
