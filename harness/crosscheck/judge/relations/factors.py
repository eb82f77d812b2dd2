"""One factor of an outer product from the product and the other factor.

A framework that held â_j and δ̂_i returned for their product p_ij. With κ the relative error of one
product, τ its absolute one, and ρ what may have been rounded away when p was returned,

    |p_ij - â_j δ̂_i|  <=  κ |â_j δ̂_i| + T,     T = τ + ρ,

and so, where δ̂_i is known to lie within e of d_i and |d_i| > e,

    max(|p_ij| - T, 0) / ((1 + κ)(|d_i| + e))  <=  |â_j|  <=  (|p_ij| + T) / ((1 - κ)(|d_i| - e)),

with the sign of p_ij d_i if |p_ij| > T, else with either. Each row i with δ_i ≠ 0 gives an interval
for the same â_j, a few units of roundoff wide: so â_j lies in all of them, and where no number does
the product is none. Then what most rows show is taken, to tell of the others that they are wrong.

Under flush-to-zero T has in addition what reading â as zero can lose, λ₀ (|d| + e), and a factor
that may be read as zero itself says nothing. A named arithmetic multiplies m̂ with |m̂ - v̂| <= μ |v̂|
+ τ_m in place of both factors v̂: of d that is added to e, and of â it is taken off at the end.

What is accumulated in a format with u_a, τ_a and then rounded once, to c u with c = 1, or cut off,
with c = 2, has

    κ = u_a + c u (1 + u_a),    τ = τ_a (1 + c u) + c τ_d.

The intervals are formed in float64, each end with fewer than twelve roundings (1 + κ is one of
them, where κ = 2^-53), and widened by 2^-49 of itself, which is sixteen, and one number further.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model

__all__ = ["Factor", "factor_of"]

_WIDER = 2.0**-49


@dataclass(frozen=True, eq=False)
class Factor:
    """What a product says of one of its factors.

    Attributes:
        value: The factor, of shape (n,); e = ∞ where nothing is said.
        refused: (n, m): the entries of the product that no factor explains.
    """

    value: Enclosure
    refused: NDArray[np.bool_]


@dataclass(frozen=True)
class _Product:
    """How one product errs: relatively κ, absolutely τ; μ and τ_m of each factor before it."""

    relative: float
    absolute: float
    factor: float = 0.0
    factor_absolute: float = 0.0

    @classmethod
    def of(cls, model: Model) -> _Product:
        arithmetic = model.arithmetic
        if arithmetic is None:
            return cls(model.roundoff, float(model.lost(1)))
        accumulator = Model(arithmetic.accumulator, model.flush)
        cut = 2.0 if arithmetic.cut else 1.0
        last = cut * model.roundoff
        relative = accumulator.roundoff + last * (1.0 + accumulator.roundoff)
        absolute = float(accumulator.lost(1)) * (1.0 + last) + cut * float(model.lost(1))
        if arithmetic.multiplicand is None:
            return cls(relative, absolute)
        form = arithmetic.multiplicand
        return cls(relative, absolute, form.unit_roundoff, form.smallest_normal)


def factor_of(product: Array, rounded: Array, other: Enclosure) -> Factor:
    """The factor â of a product that is known, from the other factor.

    Args:
        product: (n, m), p.
        rounded: (n, m), ρ.
        other: (m,), d with its bounds.
    """
    model, how = other.model, _Product.of(other.model)
    size = np.abs(other.high)
    e = other.margin + how.factor * (size + other.margin) + how.factor_absolute
    most, least = size + e, size - e
    known = least > (model.least if model.flush else 0.0)
    lost = how.absolute + rounded
    if model.flush:
        lost = lost + model.least * most
    with np.errstate(all="ignore"):
        low = (np.abs(product) - lost) / ((1.0 + how.relative) * most)
        high = (np.abs(product) + lost) / ((1.0 - how.relative) * least)
        low = (low - how.factor_absolute) / (1.0 + how.factor)
        high = (high + how.factor_absolute) / (1.0 - how.factor)
    low = np.nextafter(low * (1.0 - _WIDER), -np.inf)
    high = np.nextafter(high * (1.0 + _WIDER), np.inf)
    low = np.where(low > 0, low, -high)
    is_positive = (product < 0) == (other.high < 0)
    start = np.where(is_positive, low, -high)
    end = np.where(is_positive, high, -low)
    start = np.where(known & ~np.isnan(start), start, -np.inf)
    end = np.where(known & ~np.isnan(end), end, np.inf)
    return _common(model, start, end)


def _common(model: Model, start: Array, end: Array) -> Factor:
    """What all intervals of each row have in common; where nothing is, what most of them show."""
    first, last = start.max(axis=-1), end.min(axis=-1)
    is_some = first <= last
    middles, halves = _middle(start, end)
    informed = np.isfinite(halves)
    ordered = np.sort(np.where(informed, middles, np.nan), axis=-1)
    at = np.maximum(informed.sum(axis=-1, keepdims=True) - 1, 0) // 2
    common = np.take_along_axis(ordered, at, axis=-1)[..., 0]
    outside = informed & ~((start <= common[..., None]) & (common[..., None] <= end))
    middle, half = _middle(first, last)
    widest = np.where(informed, halves, 0.0).max(axis=-1)
    c = np.where(is_some, np.where(np.isfinite(half), middle, 0.0), common)
    e = np.where(is_some, half, widest)
    value = Enclosure(model, c, np.zeros_like(e), e)
    return Factor(value, outside & ~is_some[..., None])


def _middle(start: Array, end: Array) -> tuple[Any, Any]:
    with np.errstate(all="ignore"):
        middle = 0.5 * start + 0.5 * end
        half = np.maximum(end - middle, middle - start)
        half = np.nextafter(half * (1.0 + 2.0**-50), np.inf) + TINY
    known = np.isfinite(start) & np.isfinite(end)
    return np.where(known, middle, np.nan), np.where(known, half, np.inf)
