"""Piecewise polynomials of enclosures: their values, and products with their derivatives.

**The piece.** A framework compares ẑ with a breakpoint b̂, |b̂ - b| <= e_b; comparisons are exact.
Where |c_z - b| exceeds the margin of z and e_b the side is certain. So each number has a first and
a last piece that an evaluation can be in; under flush-to-zero a z that may be read as zero is on no
certain side of 0. Where ways of evaluating compare a rounded result instead, as z + 3 with 6, it
may be on the other side of its end although z is not: with terms of size t there and slope s at
least, z is then within β ((1 + u)^R - 1 + 2Rτ) of the breakpoint, β = t / |s| (`Piecewise.blur`).

**Values** (`value_of`). f is continuous, so f̂ is near a piece's value whatever the side. With
L = sup |f'| over all that z, ẑ and c_z can be

    |f(c_z) - f(z)| <= L r,    |f(ẑ) - f(z)| <= L (e + ς(z)).

The framework's own part, for each piece p(z) = Σ c_k z^k that can be met: nothing where p is z, -z
or a constant of the dtype. Else with at most R roundings a term (`Piecewise.roundings`) and
coefficients that are held as ĉ_k, |ĉ_k - c_k| <= ε_k, no worse than rounded to the dtype,

    ((1 + u)^R - 1) Σ |ĉ_k| Z^k + (1 + u)^R (Σ ε_k Z^k + R τ (1 + Z)),       Z = |c_z| + margin.

A breakpoint held as b̂ lets a wrong piece be taken within e_b of b: |p - p'| <= J e_b with J the
jump of the slope, if p(b) = p'(b); so does the reference's, where float64 does not hold it. Exact
are numbers in certain pieces whose terms, for exact z and coefficients that are numbers of the
dtype, are multiples of 2^g, 2^g >= η, with Σ |terms| at most 2^(p+g): any way of adding and
multiplying them is exact then. (Under flush-to-zero 2^g >= λ₀, and z must not be read as zero.)
*Overflow*: Σ |terms|, twice that for a piece that is no line (z² is formed before it is halved),
reaches Ω.

**Slopes** (`slope_of`). The derivative is a piecewise polynomial that may jump. Where it does not
at a breakpoint that is open, as that of Huber's loss, it is continuous and the bounds are those of
a value: with L the largest |f''| of the pieces that can be met without passing a jump

    |σ - s| <= L r + what float64 rounds,    |ŝ - s| <= L (e + ς(z)) + the framework's own part.

Where a jump is open it is

    s = s₋ + λ (s₊ - s₋),                                        λ in [0, 1] the decision,

s₋ and s₊ such values on either side of it. A slope that is no constant need not be formed by
itself: what it multiplies may come in between, as in 2 (½ g) z, and R products lose τ each, which
2 and z may enlarge after them: 2Rτ (1 + Z) in the product. If more than one jump is open at once,
the decision names the pair of neighbours as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.bounded import Center
from crosscheck.numbers.double_double import UNIT, DoubleDouble, high
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise, evaluated
from crosscheck.numbers.rounding import growth, lowest_bit, or_infinity, up
from crosscheck.numbers.scaling import nearest

__all__ = ["Sides", "Slope", "sides_of", "slope_of", "value_of"]

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Sides:
    """Which pieces each number can be in; of z's shape.

    Attributes:
        first: The first piece, from 0.
        last: The last one.
        center: The one that the reference is in; at a breakpoint the one to the left.
    """

    first: Indices
    last: Indices
    center: Indices

    @property
    def open(self) -> NDArray[np.bool_]:
        """Where there is more than one."""
        return self.first < self.last


@dataclass(frozen=True)
class Slope:
    """A derivative, entry by entry: the reference's value and bounds.

    Attributes:
        value: σ, float64.
        r: |σ - s| at most.
        e: |ŝ - s| at most.
        lost: How many τ are lost, besides that of one product with s, where it is multiplied.
    """

    value: Array
    r: Array
    e: Array
    lost: Array


def _held(value: Fraction, model: Model) -> tuple[float, float, float]:
    """A constant in float64, what that errs, and what holding it in the dtype or finer can."""
    rounded = nearest(value)
    own = abs(nearest(value - Fraction(rounded))) * (1 + 2.0**-50)
    in_format = model.format.round(np.array(rounded))
    error = abs(nearest(value - Fraction(float(in_format)))) if np.isfinite(in_format) else np.inf
    if error and value:
        error = max(error * (1 + 2.0**-50), TINY)
    if model.flush and abs(rounded) < model.least:  # it may be read as zero
        error = max(error, abs(rounded))
    return rounded, own + (TINY if own else 0.0), error


def sides_of(z: Enclosure, function: Piecewise) -> Sides:
    """The pieces of ``function`` that z can be in."""
    margin, model = z.margin, z.model
    low = z.c.low if isinstance(z.c, DoubleDouble) else 0.0
    shape = z.shape
    blur = growth(model.roundoff, function.roundings) + 2.0 * model.lost(function.roundings)
    blur = nearest(function.blur) * float(blur)
    first, last, center = (np.zeros(shape, dtype=np.int64) for _ in range(3))
    for point in function.breakpoints:
        at, own, error = _held(point, model)
        gap = z.high - at
        # Near its zero the difference is exact (Sterbenz), elsewhere its sign is right.
        room = margin + up(own + error + blur, 3)
        if model.flush and point != 0:
            room = room + z.lost_by_reading
        clear = np.abs(gap) > up(room, 2) if point else np.abs(gap) > room
        if model.flush and point == 0:
            clear = np.abs(gap) - room >= model.least
        first += clear & (gap > 0)
        last += ~(clear & (gap < 0))
        center += (gap > 0) | ((gap == 0) & (low > 0))
    return Sides(first, last, center)


def _steepest(z: Enclosure, sides: Sides, function: Piecewise) -> Array:
    """L: the largest |f'| over all that z can be, rounded up."""
    steepest = np.zeros(z.shape)
    reach = np.abs(z.high) + z.margin
    for number, mask in _met(sides, function):
        piece = function.derivative.pieces[number]
        sup = sum(
            (abs(nearest(c)) * reach**power for power, c in enumerate(piece) if c),
            np.zeros(z.shape),
        )
        steepest = np.where(mask, np.maximum(steepest, sup), steepest)
    return np.asarray(up(steepest, 8))


def _met(sides: Sides, function: Piecewise) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Each piece that any number can be in, and where."""
    for number in range(len(function.pieces)):
        mask = (sides.first <= number) & (number <= sides.last)
        if mask.any():
            yield number, mask


def _is_trivial(piece: tuple[Fraction, ...], model: Model) -> bool:
    """Whether a piece is z, -z, or a constant that is a number of the dtype."""
    constant, linear, higher = piece[0], piece[1:2], any(piece[2:])
    if higher:
        return False
    if not any(linear):
        return _held(constant, model)[2] == 0.0
    return constant == 0 and abs(linear[0]) == 1


def value_of(z: Enclosure, function: Piecewise, sides: Sides | None = None) -> Enclosure:
    """f(z) of a continuous piecewise polynomial; see the module's text."""
    model = z.model
    sides = sides_of(z, function) if sides is None else sides
    c, own_r = _polynomial(z, sides.center, function)
    steepest = _steepest(z, sides, function)
    r, e = steepest * z.r + own_r, steepest * z.e
    if model.flush:
        e = e + steepest * z.lost_by_reading
    own = np.zeros(z.shape)
    exact = z.exact & ~sides.open & (z.lost_by_reading == 0)
    peak, theta = np.zeros(z.shape), float(growth(model.roundoff, function.roundings))
    constant = np.ones(z.shape, dtype=bool)
    for number, mask in _met(sides, function):
        piece = function.pieces[number]
        constant &= ~mask | (not any(piece[1:]))
        if _is_trivial(piece, model):
            continue
        part, terms, free = _own_error(z, piece, function.roundings)
        own = np.where(mask, np.maximum(own, part), own)
        terms = terms * (2.0 if any(piece[2:]) else 1.0) * (1.0 + theta) + part
        peak = np.where(mask, np.maximum(peak, terms), peak)
        exact &= ~mask | free
    slopes = function.derivative
    for k, point in enumerate(function.breakpoints):
        _, own_error, error = _held(point, model)
        jump = abs(evaluated(slopes.pieces[k + 1], point) - evaluated(slopes.pieces[k], point))
        near = (sides.first <= k) & (k < sides.last)
        if error:
            own = own + np.where(near, nearest(jump) * error * (1 + 2.0**-40), 0.0)
        if own_error:
            r = r + np.where(near, nearest(jump) * own_error * (1 + 2.0**-40), 0.0)
    surely = ~sides.open & constant
    r = np.where(surely, own_r, r)
    e = np.where(surely, own, e + own)
    r = np.where(exact | (r == 0), 0.0, up(r, 10) + 2 * TINY)
    e = np.where(exact | (e == 0), 0.0, up(e, 12) + 2 * TINY)
    size = np.maximum(np.abs(high(c)) + r + e, peak)
    e = np.where(up(size, 16) < model.format.largest, e, np.inf)
    return Enclosure(model, c, or_infinity(r), or_infinity(e))


def _own_error(
    z: Enclosure, piece: tuple[Fraction, ...], roundings: int
) -> tuple[Array, Array, Any]:
    """A piece's own error in any evaluation of it, Σ |terms|, and where it is exact if z is."""
    model = z.model
    reach = z.reach
    total = held = np.zeros(z.shape)
    grain: Any = np.full(z.shape, 1 << 20)
    representable = True
    for power, coefficient in enumerate(piece):
        if not coefficient:
            continue
        value, own, error = _held(coefficient, model)
        representable &= error == 0.0
        total = total + (abs(value) + own + error) * reach**power
        held = held + error * reach**power
        bits = int(lowest_bit(np.array(value)))
        grain = np.minimum(grain, bits + power * z.grain if power else bits)
    theta = float(growth(model.roundoff, roundings))
    lost = model.lost(roundings) * (2.0 if model.flush else 1.0) * (1.0 + reach)
    part = theta * total + (1.0 + theta) * (held + lost)
    spare = 2 if len(piece) > 2 and any(piece[2:]) else 0
    fits = up(total, 8) <= np.ldexp(1.0, np.clip(grain - spare, -1100, 900) + model.precision)
    fine = np.ldexp(1.0, np.clip(grain - spare, -1100, 900)) >= model.least
    free = fits & fine & representable
    if model.flush:
        free = free & (z.lost_by_reading == 0)
    return np.asarray(part), np.asarray(total), free


def _polynomial(z: Enclosure, number: Indices, function: Piecewise) -> tuple[Center, Array]:
    """Pieces' values at c_z, and a bound on what computing them errs."""
    wide = isinstance(z.c, DoubleDouble)
    unit = 4 * UNIT if wide else 4 * 2.0**-53
    size, power = np.zeros(z.shape), np.ones(z.shape)
    total: Any = None
    trivial = np.array([_is_plain(piece) for piece in function.pieces])[number]
    for degree in range(function.degree, -1, -1):
        column = [
            piece[degree] if degree < len(piece) else Fraction(0) for piece in function.pieces
        ]
        highs = np.array([nearest(c) for c in column])
        term: Any = highs[number]
        if wide:
            lows = np.array([nearest(c - Fraction(nearest(c))) for c in column])
            term = DoubleDouble(term, lows[number])
        total = term if total is None else total * z.c + term
    for degree in range(function.degree + 1):
        column = [
            piece[degree] if degree < len(piece) else Fraction(0) for piece in function.pieces
        ]
        size = size + np.array([abs(nearest(c)) for c in column])[number] * power
        power = power * z.size
    own = np.where(trivial, 0.0, up(unit * (function.degree + 1) * size, 8) + 8 * TINY)
    return total, np.asarray(own)


def _is_plain(piece: tuple[Fraction, ...]) -> bool:
    """Whether a piece is z, -z or a constant that float64 holds."""
    if any(piece[2:]):
        return False
    if not any(piece[1:2]):
        return Fraction(nearest(piece[0])) == piece[0]
    return piece[0] == 0 and abs(piece[1]) == 1


def slope_of(
    z: Enclosure, slopes: Piecewise, sides: Sides, decided: Array, pair: Indices | None = None
) -> Slope:
    """The derivative at z; see the module's text.

    Args:
        z: Where.
        slopes: The derivative, `Piecewise.derivative`.
        sides: Of z and the same breakpoints.
        decided: λ at each number with an open jump, float64 of z's shape; no matter elsewhere.
        pair: The piece on the left of the jump that λ speaks of; that of the first by default.
    """
    model = z.model
    jumps = [k for k, jumps_there in enumerate(slopes.jumps) if jumps_there]
    open_, left = np.zeros(z.shape, dtype=bool), sides.first
    for k in reversed(jumps):
        here = (sides.first <= k) & (k < sides.last)
        open_ |= here
        left = np.where(here, k, left)
    left = np.where(open_, left if pair is None else pair, sides.first)
    lambda_ = np.where(open_, decided, 0.0)
    pieces = [_slope_within(z, piece, slopes.roundings) for piece in slopes.pieces]
    value, r, e, most, lost = np.zeros((5, *z.shape))
    parts = []
    for chosen, weight in ((left, 1.0 - lambda_), (np.minimum(left + 1, sides.last), lambda_)):
        if not weight.any():
            continue
        one, own, held, size, bent = _slope_near(z, pieces, jumps, sides, chosen)
        often = 2.0 * slopes.roundings * (1.0 + np.abs(z.high) + z.margin)
        lost = np.where((weight != 0.0) & bent, often, lost)
        parts.append(np.where(weight != 0.0, weight * one, 0.0))
        value = value + parts[-1]
        r = r + np.where(weight != 0.0, weight * own, 0.0)
        e = e + np.where(weight != 0.0, weight * held, 0.0)
        most = np.maximum(most, np.where(weight != 0.0, size, 0.0))
    mixed = (lambda_ != 0.0) & (lambda_ != 1.0)
    if mixed.any():
        # A mixture is formed by one product and one sum, or is a constant that is rounded.
        exact = (r == 0) & (e == 0) & (lambda_ == 0.5) & (model.format.round(value) == value)
        exact &= (value - parts[0] == parts[-1]) & (value - parts[-1] == parts[0])
        rounded = mixed & ~exact
        theta = 2.0 * float(growth(model.roundoff, 3)) * most
        r = r + np.where(rounded, up(2.0**-50 * most, 2), 0.0)
        e = e + np.where(rounded, up(theta, 4) + 2.0 * float(model.lost(2)), 0.0)
    return Slope(value, r, e, lost)


def _slope_within(
    z: Enclosure, piece: tuple[Fraction, ...], roundings: int
) -> tuple[Array, Array, Array, Array, Array]:
    """One piece of a derivative: value at c_z, float64's and the framework's error, |f''|, size."""
    model = z.model
    at, own, held, steep, size = np.zeros((5, *z.shape))
    reach = np.abs(z.high) + z.margin
    for power, coefficient in enumerate(piece):
        if not coefficient:
            continue
        c, rest, error = _held(coefficient, model)
        at = at + c * z.high**power
        rounds = 4 * 2.0**-53 * abs(c) if power > 1 or (power and abs(coefficient) != 1) else 0.0
        own = own + (rest + rounds) * reach**power
        held = held + error * reach**power
        size = size + (abs(c) + rest + error) * reach**power
        if power:
            steep = steep + (abs(c) + rest) * power * reach ** (power - 1)
    if any(piece[1:]):
        theta = float(growth(model.roundoff, roundings))
        lost = model.lost(roundings) * (2.0 if model.flush else 1.0) * (1.0 + reach)
        held = theta * size + (1.0 + theta) * (held + lost)
        if any(piece[:1]):
            own = own + 2.0**-52 * size
    return at, up(own, 8), up(held, 8), up(steep, 8), size


def _slope_near(
    z: Enclosure,
    pieces: list[tuple[Array, Array, Array, Array, Array]],
    jumps: list[int],
    sides: Sides,
    chosen: Indices,
) -> tuple[Array, Array, Array, Array, NDArray[np.bool_]]:
    """The derivative on one side of all jumps: that of the ``chosen`` piece and its neighbours."""
    low = np.abs(z.c.low) if isinstance(z.c, DoubleDouble) else 0.0
    group = np.array([sum(k < number for k in jumps) for number in range(len(pieces))])
    value, own, held, steep, size = np.zeros((5, *z.shape))
    wanted = np.full(z.shape, -1)
    for number, (at, rounds, errs, bend, terms) in enumerate(pieces):
        met = (sides.first <= number) & (number <= sides.last) & (group[number] == group[chosen])
        # The reference's own piece, or the one of these that is next to it.
        take = met & ((wanted < 0) | (number <= sides.center))
        wanted = np.where(take, number, wanted)
        value = np.where(take, at, value)
        own = np.where(met, np.maximum(own, rounds), own)
        held = np.where(met, np.maximum(held, errs), held)
        steep = np.where(met, np.maximum(steep, bend), steep)
        size = np.where(met, np.maximum(size, terms), size)
    bent = steep > 0.0
    own = own + np.where(bent, up(steep * (z.r + low), 6) + 2 * TINY, 0.0)
    held = held + np.where(bent, up(steep * (z.e + z.lost_by_reading), 6) + 2 * TINY, 0.0)
    return value, own, held, size, bent
