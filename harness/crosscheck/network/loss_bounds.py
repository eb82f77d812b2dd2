"""The loss J = ½ Σ d² / B, whose constants ½ and 1 / B may stand anywhere.

The reference forms Σ d², halves it and divides by B. Others write Σ ½ d d, Σ ½ (d d), a mean over
rows of sums over outputs, or give each part of a batch its share of 1 / B: the constants are put to
a factor, to a square, to a partial sum or to the whole. Two things follow, which a division that
comes after the sum knows nothing of.

*Relative errors.* A leaf passes one product, at most N - 1 additions, and at most three roundings
because of B (`divided`; none for a power of two, and none because of ½), whatever the
order. But where B is no power of two, what is added need not be exact when the squares are: so the
certificate of exactness, which speaks of the squares' sum, does not hold for Σ (d² / B). With
M = Σ d² and carried = Σ e(d²), which has the products' roundings in it,

    E = (carried + θ M) / 2B + (1 + θ) U,      θ = (1 + u)^(N - 1 + 3) - 1, or ^(N - 1).

*Absolute errors*, at the size of J, of one leaf; τ is what a product can lose, at most ½η:

    ½ and 1 / B before the square's product    τ                               one product
    one before, one after                      τ / B + τ   or   τ / 2 + τ
    both after, one after the other            τ / 2B + τ / B + τ   or   τ / 2B + τ / 2 + τ
    both after, as one factor                  τ / 2B + τ
    ½ alone (B = 1)                            τ / 2 + τ

at most τ / 2B + 1½ τ, of which τ / 2B is in ``carried``. A factor d that becomes subnormal by a
constant put to it has |d| < 2 B λ₀ and loses 2 τ |d|, at most 4 B λ₀ τ. Partial sums are fewer than
leaves. So U = N (2 + 4 B λ₀) τ. Under flush-to-zero each of at most 4 N operations may lose λ₀,
and what is lost by reading squares as zero is counted as in any sum: U = 4 N (1 + 4 B λ₀) λ₀ + ς.

*Exact* are squares and sums that are certified, if B is a power of two and every square, not just
their sum, is a multiple of 2 B η (2 B λ₀).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from crosscheck.network.dense import Network
from crosscheck.numbers.double_double import PRODUCT_UNDERFLOW, UNIT, DoubleDouble, high
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model
from crosscheck.numbers.rounding import growth, or_infinity, up

__all__ = [
    "divided",
    "loss_and_cotangent",
    "loss_tangent",
    "residual_of",
    "with_constants_anywhere",
]

_ROUNDED = 1.0 + 2.0**-46
"""More than what some dozens of float64 operations on non-negative numbers can lose."""

_SLIGHTLY = 1.0 + 2.0**-48
"""More than what a handful of them can lose."""


def loss_and_cotangent(network: Network, output: Any, y: Any) -> tuple[Enclosure, Enclosure]:
    """``J`` and ``g_L``, as `crosscheck.network.reference.loss_and_cotangent`, on enclosures.

    Args:
        network: Its reduction decides whether to divide by the number of rows.
        output: Enclosure of ``a_L``, ([C,] B, n_L).
        y: Enclosure of the targets.
    """
    rows = y.shape[-2]
    cotangent = residual = residual_of(output, y)
    loss, divisor = divided((residual * residual).open_sum(axis=(-2, -1)), 2), 1
    if network.reduction == "mean":
        loss, cotangent, divisor = divided(loss, rows), divided(residual, rows), rows
    return with_constants_anywhere(loss, residual, divisor), cotangent


def residual_of(output: Enclosure, y: Enclosure) -> Enclosure:
    """The residual d = a - y, with what ½ and 2 can lose put to it before or after.

    fl(â - y) = (â - y)(1 + δ), so e = e_a + e_y + u (|a - y| + e_a + e_y). The derivative of
    ½ d² is formed by frameworks as 2 · d · ½ in some order; these are exact but for
    underflow of ½ d (½η, doubled to η; under flush-to-zero 2λ₀) and overflow of 2 d. Exact
    when both operands are, d is a multiple of 2η (2λ₀) and |d| <= 2^(p+g).
    """
    model = output.model
    c = output.c - y.c  # type: ignore[operator]
    wide = isinstance(c, DoubleDouble)
    own = output.r + y.r
    r = own + (UNIT if wide else 2.0**-53) * (np.abs(high(c)) + own)
    carried = output.e + y.e
    size = np.abs(high(c)) + r
    one_is_zero = (output.reach == 0) | (y.reach == 0)
    nothing = (output.reach == 0) & (y.reach == 0)
    u = np.where(one_is_zero, 0.0, model.roundoff)
    e = carried + u * (size + carried)
    if model.flush:
        e = e + output.lost_by_reading + y.lost_by_reading
    lost = 3.0 * model.least if model.flush else model.lost(2)
    exact = output.exact & y.exact
    if exact.any():
        grain = np.minimum(output.grain, y.grain)
        exact = (
            exact
            & (output.lost_by_reading == 0)
            & (y.lost_by_reading == 0)
            & (np.ldexp(1.0, np.minimum(grain, 1023)) >= 2.0 * model.least)
            & (up(np.abs(high(c)), 2) <= np.ldexp(1.0, np.minimum(grain, 900) + model.precision))
        )
    exact = exact | nothing
    r = np.where(exact, 0.0, up(r, 6) + 2 * TINY)
    e = np.where(exact, 0.0, up(e, 8) + (up(lost, 8) + TINY))
    peak = 2.0 * (size + e) * (1.0 + model.roundoff)
    e = np.where(up(peak, 8) < model.format.largest, e, np.inf)
    return Enclosure(model, c, or_infinity(r), or_infinity(e))


def divided(residual: Enclosure, divisor: int) -> Enclosure:
    """Division of the residual by a whole number k, in whatever way a framework does it.

    For k a power of two every way is exact but for underflow. Else there are at most three
    roundings (k or 1/k formed, then a product or quotient, at the loss or at the residual):
    e = (e_q + ((1 + u)³ - 1)(|q| + e_q)) / k + lost, and where a factor that is formed is below
    λ₀, as 1 / 2k may be, its absolute error makes a relative one (`_growth_of_quotient`).

    *Absolute errors*, at the size of q / k. The ½ of the loss and the 2 of the square may come
    before or after 1/k or between. Let a product lose τ:

        1/k, then 2 and ½ in any place where 2 comes first    τ, or 1½τ for 2, 1/k, ½
        ½, 1/k, 2; 1 / 2k, 2                                  2τ, and 2τ / k for ½ q
        1/k, ½, 2                                             τ + 2τ = 3τ
        (½ q) q by the product rule, 1/k before or after      1½τ + τ, and 2τ / k for ½ q

    What ½ q loses is in e_q (`residual_of`), unless q is exact and a multiple of 2η. So 3τ are
    lost. Under flush-to-zero it is 2λ₀, and ς(q), the latter also for k = 1: whichever product
    is replaced by zero, it is at least half of q / k, which therefore was below 2λ₀, and
    nothing more can be lost than all of it. Exact are quotients such that q / 2k is free of
    underflow.

    *Overflow.* A framework may form k or 2 k in the dtype: where 2 k is beyond Ω, no result has a
    bound.
    """
    model = residual.model
    if divisor == 1:
        # Nothing is rounded, but a framework that divides may read a subnormal as zero.
        return Enclosure(
            model, residual.c, residual.r, up(residual.e + residual.lost_by_reading, 1)
        )
    power_of_two = divisor & (divisor - 1) == 0
    unit, lost = (UNIT, PRODUCT_UNDERFLOW) if model.wide else (2.0**-53, TINY)
    r = up((residual.r + unit * residual.size) / divisor, 6) + lost + 2 * TINY
    theta = _growth_of_quotient(model, divisor, 2 * divisor, 3)
    e = (residual.e + theta * residual.reach) / divisor + residual.lost_by_reading
    e = up(e, 8) + (up(model.lost(2 if model.flush else 3), 8) + TINY)
    exact = residual.reach == 0
    if power_of_two and residual.exact.any():
        shifted = np.minimum(residual.grain, 1023) - divisor.bit_length()  # q / 2k
        exact = exact | (
            residual.exact
            & (residual.lost_by_reading == 0)
            & (np.ldexp(1.0, shifted) >= model.least)
            & (theta == 0.0)
        )
    e = (
        np.where(exact, 0.0, e)
        if 2.0 * divisor <= model.format.largest
        else np.full_like(e, np.inf)
    )
    return Enclosure(
        model, residual.c / divisor, or_infinity(np.where(exact, 0.0, r)), or_infinity(e)
    )


def _growth_of_quotient(model: Model, divisor: int, most: int, roundings: int) -> float:
    """The largest relative error of a division by constants, rounded up.

    Args:
        model: The arithmetic.
        divisor: By what is divided: a power of two rounds nothing.
        most: 1 / ``most`` is the smallest factor that a framework may form. Below λ₀ it has an
            absolute error τ, and so a relative one of τ · ``most``.
        roundings: How many there are, if the divisor is no power of two.
    """
    power_of_two = divisor & (divisor - 1) == 0
    theta = 0.0 if power_of_two else float(growth(model.roundoff, roundings))
    smallest = 1.0 / most
    if smallest < model.format.smallest_normal and (model.flush or not power_of_two):
        theta = (1.0 + theta) * (1.0 + model.underflow / smallest) - 1.0
        theta *= 1.0 + 2.0**-48
    elif smallest < model.format.smallest_subnormal:
        theta = 1.0
    return theta


def with_constants_anywhere(loss: Enclosure, residual: Enclosure, divisor: int) -> Enclosure:
    """J with a bound that holds wherever ½ and 1 / B are put; see the module's text.

    Args:
        loss: J as the reference forms it, ([C]).
        residual: d, ([C,] B, n_L).
        divisor: B for a mean, else 1.
    """
    model, form = loss.model, loss.model.format
    squares = (residual * residual).open_sum(axis=(-2, -1))
    terms, twice = squares.terms.addends, 2.0 * divisor
    is_power_of_two = divisor & (divisor - 1) == 0
    # A B of p bits is formed exactly; one that is rounded leaves no room for d² of a scaled d.
    roundings = 3.0 if divisor < 2.0**model.precision else 4.0
    factors = np.maximum(terms - 1.0, 0.0) + (0.0 if is_power_of_two else roundings)
    theta = np.expm1(factors * np.log1p(model.roundoff))
    smallest = 1.0 / twice  # the smallest constant; below λ₀ it has an absolute error of its own
    if smallest < form.smallest_normal:
        theta = (1.0 + theta) * (1.0 + model.underflow / smallest) - 1.0
    small = 2.0 * twice * form.smallest_normal
    if model.flush:
        absolute = 4.0 * terms * (1.0 + small) * model.least + squares.terms.flushed
    else:
        absolute = terms * (2.0 + small) * model.underflow
    e = (squares.terms.carried + theta * squares.terms.total) / twice + (1.0 + theta) * absolute
    e = _ROUNDED * (e + squares.terms.depth * 2.0**-52 * e) + 2.0 * TINY * (1.0 + terms)
    grain = np.minimum(squares.terms.least_grain, 1023) - divisor.bit_length()  # of d² / 2B
    exact = (squares.e == 0) & (np.ldexp(1.0, grain) >= model.least) & is_power_of_two
    exact = exact & (smallest >= form.smallest_normal) | (squares.reach == 0)
    return Enclosure(model, loss.c, loss.r, np.where(exact, loss.e, np.fmax(loss.e, e)))


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

    What scaling d loses is in g_L (`residual_of`, `divided`). The same for
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
    does so for ½ v). So where the loss has no bound no derivative has one:
    `crosscheck.judge.enclosed.Enclosed` sees to that, here nothing is known of the loss.

    Args:
        cotangent: Enclosure of g_L.
        tangent: Enclosure of ȧ_L, with any axes in front.
        divisor: B.
    """
    model = tangent.model
    tangent = residual_of(tangent, Enclosure.of(model, np.zeros((1,) * len(tangent.shape))))
    if divisor > 1:
        shifted = np.minimum(tangent.grain, 1023) - (2 * divisor - 1).bit_length()
        free = tangent.exact & (np.ldexp(1.0, shifted) >= model.least)
        free = free & (divisor & (divisor - 1) == 0) | (tangent.reach == 0)
        lost = _SLIGHTLY * (tangent.e + model.lost((2.0 if model.flush else 3.0) * divisor))
        tangent = Enclosure(model, tangent.c, tangent.r, np.where(free, tangent.e, lost))
    product = cotangent * tangent
    free = product.exact & (np.ldexp(1.0, np.minimum(product.grain, 1023)) >= 2.0 * model.least)
    lost = product.e + model.roundoff * product.reach + model.lost(2)
    lost = _SLIGHTLY * (lost + product.lost_by_reading) + TINY
    e = np.where(free | (product.reach == 0), product.e, lost)
    result = Enclosure(model, product.c, product.r, e).open_sum(axis=(-2, -1))
    growth = np.exp((result.terms.addends + 1.0) * np.log1p(model.roundoff))
    peak = growth * (result.terms.total + result.terms.flushed + result.terms.addends * model.least)
    peak = 2.0 * divisor * peak * (1.0 + (result.terms.depth + 16) * 2.0**-52)
    fits = peak < model.format.largest
    e = result.e
    if model.flush:
        e = np.where(e > 0, _SLIGHTLY * (e + result.terms.addends * model.least), e)
    return Enclosure(model, result.c, result.r, np.where(fits, e, np.inf))
