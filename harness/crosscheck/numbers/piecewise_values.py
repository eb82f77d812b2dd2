"""The values of continuous piecewise polynomials of enclosures.

Which piece: `crosscheck.numbers.sides`.

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

**Put to the test** (`crosscheck.studies.adversary`): 1,015,808 tries a rule gave at most 1.0000 of
the bound where a piece is z, -z, a constant or one product; 0.8750 for softshrink, 0.7192 for the
loss of Huber and 0.5117 for the hard sigmoid, whose terms seldom err to one side.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.bounded import Center
from crosscheck.numbers.double_double import UNIT, DoubleDouble, high
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise, evaluated
from crosscheck.numbers.rounding import growth, lowest_bit, or_infinity, up
from crosscheck.numbers.scaling import nearest
from crosscheck.numbers.sides import Indices, Sides, constant_held, pieces_met, sides_of

__all__ = ["value_of"]


def value_of(z: Enclosure, function: Piecewise, sides: Sides | None = None) -> Enclosure:
    """f(z) of a continuous piecewise polynomial; see the module's text."""
    model = z.model
    sides = sides_of(z, function) if sides is None else sides
    if z.is_data and not model.flush and _is_copied(function, model):
        lines = [(*map(nearest, piece), 0.0)[:2] for piece in function.pieces]
        chosen: Any = [slope * z.high if slope else constant for constant, slope in lines]
        return Enclosure.of(model, np.choose(sides.center, chosen))
    c, own_r = _polynomial(z, sides.center, function)
    steepest = _steepest(z, sides, function)
    r, e = steepest * z.r + own_r, steepest * z.e
    if model.flush:
        e = e + steepest * z.lost_by_reading
    own = np.zeros(z.shape)
    exact = z.exact & ~sides.open & (z.lost_by_reading == 0)
    peak, theta = np.zeros(z.shape), float(growth(model.roundoff, function.roundings))
    constant = np.ones(z.shape, dtype=bool)
    for number, mask in pieces_met(sides, function):
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
        _, own_error, error = constant_held(point, model)
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


def _steepest(z: Enclosure, sides: Sides, function: Piecewise) -> Array:
    """L: the largest |f'| over all that z can be, rounded up."""
    steepest = np.zeros(z.shape)
    reach = np.abs(z.high) + z.margin
    for number, mask in pieces_met(sides, function):
        piece = function.derivative.pieces[number]
        sup = sum(
            (abs(nearest(c)) * reach**power for power, c in enumerate(piece) if c),
            np.zeros(z.shape),
        )
        steepest = np.where(mask, np.maximum(steepest, sup), steepest)
    return np.asarray(up(steepest, 8))


def _is_copied(function: Piecewise, model: Model) -> bool:
    """Whether data become data: each number is copied, negated or replaced by a constant."""
    if function.degree > 1:
        return False
    return all(_is_trivial(piece, model) and _is_plain(piece) for piece in function.pieces)


def _is_trivial(piece: tuple[Fraction, ...], model: Model) -> bool:
    """Whether a piece is z, -z, or a constant that is a number of the dtype."""
    constant, linear, higher = piece[0], piece[1:2], any(piece[2:])
    if higher:
        return False
    if not any(linear):
        return constant_held(constant, model)[2] == 0.0
    return constant == 0 and abs(linear[0]) == 1


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
        value, own, error = constant_held(coefficient, model)
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
