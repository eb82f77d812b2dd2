"""The tangent of the loss J = ½ Σ d² / B as forward mode forms it, with the constants in any place.

The rules for the residual d itself and for the cotangent g_L = d / B are those of
`crosscheck.numbers.enclosure`, the one for J is `crosscheck.numbers.halved_sum`.
"""

from __future__ import annotations

import numpy as np

from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import TINY

__all__ = ["loss_tangent"]

_ROUNDED = 1.0 + 2.0**-48
"""More than what a handful of float64 operations on non-negative numbers can lose."""


def loss_tangent(cotangent: Enclosure, tangent: Enclosure, divisor: int) -> Enclosure:
    """J̇ = Σ g_L ∘ ȧ_L over the last two axes, as forward mode evaluates it: with ȧ_L first.

    J = ½ Σ d² / B, where B = 1 for a sum, has the tangent J̇ = Σ ½ (2 d ḋ) / B with d = a_L - y
    and ḋ = ȧ_L. Frameworks differ in

        the square     d² gives (2 d) ḋ, 2 (d ḋ) or d (2 ḋ); d · d gives ḋ d + d ḋ, where one
                       product may be fused into the addition, or which are two dot products;
        ½ and 1 / B    one after the other or as one factor; put to d or to ḋ, to the terms, to
                       sums of some of them or to the whole sum;
        the sum        over rows and outputs, in any order.

    *Relative errors.* Doubling and halving are exact. `cotangent` is g_L = d / B, whose bound
    has the (1 + u)³ of the division; a division that comes later meets a partial sum, which is
    the same as scaling all its terms. A product passes one rounding, and ḋ d + d ḋ one more: an
    addition of two equal products, or of two whole dot products. So a term p = g ḋ errs by
    e_p + u |p̂|, and the terms, of which N can differ from zero, pass N - 1 additions.

    *Absolute errors*, at the size of p. Let a product lose τ = ½η. The factors before or after
    the product are one of these:

        ½ before, 1 / B after       two products of ½ d ḋ, then the division:   2τ / B + τ
        1 / (2 B) before            two products:                               2τ
        1 / B before, ½ after       two products of d ḋ / B, then the halving:  2τ / 2 + τ
        both after                  τ / B, then ½ and 1 / B:                    τ / B + τ / B + τ
        both after, ½ last          τ / B, then 1 / B and ½:                    τ / B + τ / 2 + τ

    and where B = 1 nothing is lost by dividing: at most 2τ for B = 1 and 2½τ for B >= 2.
    Under flush-to-zero τ = λ₀, and an addition or a doubling may lose λ₀ too, at the size it has:
    3τ / B + τ (3τ for B = 1), 3τ, 3τ / 2 + τ, 5τ / 2B + τ (5τ / 2 for B = 1) and
    3τ / 2B + τ / 2 + τ: never more than 3τ. So e_p, which has τ, is given 2τ more, and ς(p) for
    reading p̂ as zero. Where p is exact and e_p = 0, only its half can be lost, in either of two
    products or once after them: 2τ. Factors that are put to sums lose no more than those put to
    terms. Two dot products have N - 1 additions each and one of their results, 2N - 1 in all:
    under flush-to-zero N more are counted than for one sum, Nλ₀, unless the sum is exact.

    What scaling d loses is in g_L (`Enclosure.__sub__`, `Enclosure.__truediv__`). The same for
    ḋ: ½ and 2 as for the difference ḋ = ȧ_L - 0; and where B > 1, 1 / B and then ½ lose Bτ and
    2Bτ at the size of ḋ, 3Bτ, and the factor 1 / 2B loses 2Bτ. Under flush-to-zero that is
    2Bλ₀, since what is replaced by zero is no more than all of ḋ, and below that. Nothing is
    lost where ḋ is exact and a multiple of 2B η (2B λ₀) for B a power of two. (For other B, the
    relative errors are in g_L, and p is inexact since g_L is.)

    *Exact* are terms that are exact as products and multiples of 2η (2λ₀): their halves are
    multiples of η, and doubling and halving do not change the number of bits.

    *Overflow.* With ½ and 1 / B after the sum, partial sums are 2 B times as large as here. And
    where a framework takes the product rule for a constant factor too, (c v)˙ = c v̇ + ċ v with
    ċ = 0, this is NaN if v = Σ d² overflows, whatever J̇ is (TensorFlow's `ForwardAccumulator`
    does so for ½ v). So where the loss has no bound no derivative has one: `Enclosed.gradients`
    sees to that, here nothing is known of the loss.

    Args:
        cotangent: Enclosure of g_L.
        tangent: Enclosure of ȧ_L, with any axes in front.
        divisor: B.
    """
    model = tangent.model
    tangent = tangent - model.enclose(np.zeros((1,) * len(tangent.shape)))
    if divisor > 1:
        shifted = np.minimum(tangent.grain, 1023) - (2 * divisor - 1).bit_length()
        free = tangent.exact & (np.ldexp(1.0, shifted) >= model.least)
        free = free & (divisor & (divisor - 1) == 0) | (tangent.reach == 0)
        lost = _ROUNDED * (tangent.e + model.lost((2.0 if model.flush else 3.0) * divisor))
        tangent = Enclosure(model, tangent.c, tangent.r, np.where(free, tangent.e, lost))
    product = cotangent * tangent
    free = product.exact & (np.ldexp(1.0, np.minimum(product.grain, 1023)) >= 2.0 * model.least)
    lost = product.e + model.roundoff * product.reach + model.lost(2)
    lost = _ROUNDED * (lost + product.lost_by_reading) + TINY
    e = np.where(free | (product.reach == 0), product.e, lost)
    result = Enclosure(model, product.c, product.r, e).sum(axis=(-2, -1))
    growth = np.exp((result.addends + 1.0) * np.log1p(model.roundoff))
    peak = growth * (result.total + result.flushed + result.addends * model.least)
    peak = 2.0 * divisor * peak * (1.0 + (result.depth + 16) * 2.0**-52)
    fits = peak < model.format.largest
    e = result.e
    if model.flush:
        e = np.where(e > 0, _ROUNDED * (e + result.addends * model.least), e)
    return Enclosure(model, result.c, result.r, np.where(fits, e, np.inf))
