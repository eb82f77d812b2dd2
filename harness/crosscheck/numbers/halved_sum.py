"""The loss J = ½ Σ d² / B, whose constants ½ and 1 / B may stand anywhere.

The reference forms Σ d², halves it and divides by B. Others write Σ ½ d d, Σ ½ (d d), a mean over
rows of sums over outputs, or give each part of a batch its share of 1 / B: the constants are put to
a factor, to a square, to a partial sum or to the whole. Two things follow, which a division that
comes after the sum knows nothing of.

*Relative errors.* A leaf passes one product, at most N - 1 additions, and at most three roundings
because of B (`Enclosure.__truediv__`; none for a power of two, and none because of ½), whatever the
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

import numpy as np

from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import TINY

__all__ = ["with_constants_anywhere"]

_ROUNDED = 1.0 + 2.0**-46
"""More than what some dozens of float64 operations on non-negative numbers can lose."""

_TINY = TINY


def with_constants_anywhere(loss: Enclosure, residual: Enclosure, divisor: int) -> Enclosure:
    """J with a bound that holds wherever ½ and 1 / B are put.

    Args:
        loss: J as the reference forms it, ([C]).
        residual: d, ([C,] B, n_L).
        divisor: B for a mean, else 1.
    """
    model, form = loss.model, loss.model.format
    squares = (residual * residual).sum(axis=(-2, -1))
    terms, twice = squares.addends, 2.0 * divisor
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
        absolute = 4.0 * terms * (1.0 + small) * model.least + squares.flushed
    else:
        absolute = terms * (2.0 + small) * model.underflow
    e = (squares.carried + theta * squares.total) / twice + (1.0 + theta) * absolute
    e = _ROUNDED * (e + squares.depth * 2.0**-52 * e) + 2.0 * _TINY * (1.0 + terms)
    grain = np.minimum(squares.least_grain, 1023) - divisor.bit_length()  # of d² / 2B
    exact = (squares.e == 0) & (np.ldexp(1.0, grain) >= model.least) & is_power_of_two
    exact = exact & (smallest >= form.smallest_normal) | (squares.reach == 0)
    return Enclosure(model, loss.c, loss.r, np.where(exact, loss.e, np.fmax(loss.e, e)))
