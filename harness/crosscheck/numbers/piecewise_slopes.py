"""Slopes of piecewise polynomials at enclosures, and λ where they jump.

Which piece: `crosscheck.numbers.sides`; values: `crosscheck.numbers.piecewise_values`.

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

**Put to the test** (`crosscheck.studies.adversary`): 1,015,808 tries a rule gave at most 1.0000 of
the bound, with λ decided and with every slope at once; 0.9231 for Huber's loss with δ = 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.rounding import growth, up
from crosscheck.numbers.sides import Indices, Sides, constant_held

__all__ = ["Slope", "slope_of"]


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
    constants = _constants_of(slopes, model)
    if constants is not None and not lambda_.any():
        return Slope(constants[left], *np.broadcast_to(0.0, (3, *z.shape)))
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


def _constants_of(slopes: Piecewise, model: Model) -> Array | None:
    """The pieces, if all are constants that everybody holds without error."""
    held = [constant_held(piece[0], model) for piece in slopes.pieces]
    if any(any(piece[1:]) for piece in slopes.pieces) or any(r or e for _, r, e in held):
        return None
    return np.array([value for value, _, _ in held])


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
        c, rest, error = constant_held(coefficient, model)
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
