"""Means, and sums of squared deviations, by updates: Welford's, and those that merge parts.

Two parts of n_a and n_b numbers, n = n_a + n_b, with means m_a, m_b and sums of squared deviations
S_a, S_b, are merged by

    δ = m_b - m_a,    m = m_a + δ n_b / n,    S = S_a + S_b + δ² n_a n_b / n

(Chan, Golub, LeVeque, *Algorithms for computing the sample variance*, 1983); a part of one number
x may instead add δ (x - m) to S (Welford, 1962). What follows holds for any tree of merges of N
numbers, whatever the sizes of its parts, and so for all libraries that do it in some order.

**The mean.** Let M be the largest |x|, R the largest difference of two x, E the largest error of a
mean in the tree, and θ = (1 + u)³ - 1 what rounding n_b / n, δ and their product does. A merge
takes a mean of the means it has, with weights n_a / n and n_b / n, and so of their errors; it adds
at most θ (n_b / n) (R + 2E) for the correction and u times what comes, M + E + θ (R + 2E) at most,
for the last sum. Multiplied by n and added up over the tree: sizes of all merges together are at
most ½ N (N + 1), that of updates one by one; so of all n_b. With h = ½ (N + 1)

    E <= h ((θ + u θ) (R + 2E) + u (M + E)),

from which E follows where h (2 θ (1 + u) + u) < 1. Else, and if it is less: no mean leaves the
hull by more than rounding takes it, |m| <= M (1 + 8u)^N, so that E <= M (1 + (1 + 8u)^N).

**The squares.** Let w = n_a n_b / n at a merge. Exactly, Σ w δ² = S; and w <= min(n_a, n_b), whose
sum over a tree is at most W = ½ N log₂ N, as a number is in the smaller part log₂ N times at most.
Computed δ are off by up to 2E, before they round. Of Welford's product (δ + d) (w δ + d'), |d| and
|d'| up to E, w >= ½ there, this is less than w ((|δ| + 2E)² - δ²), what it is of the square. Then,
by Cauchy's inequality,

    Σ w (|δ| + 2E)² <= S + 4 E √(W S) + 4 E² W =: Q,

each term passes six roundings where it is formed and two sums at each of N merges at most, so that

    |Ŝ - S| <= (1 + u)^(2N + 6) Q - S.

*Operands with errors.* With ε the largest e, and ‖e‖ the root of the sum of their squares, the mean
is carried off by ε at most, M and R grow by ε and 2ε, and √S by ‖e‖, as S is the square of a
length.

*Underflow.* A merge loses at most 8 τ of a mean and 8 N τ of S, τ the least number without
underflow. *Overflow*: δ is up to 2 (M + E), and δ² up to 2 Ŝ, as w >= ½. *Sums in a finer format*
(`crosscheck.numbers.enclosure`) have its u, and one rounding to the dtype at the end.

The bound is of first order in N u κ, κ² = 1 + (mean / deviation)², as that of two passes, where the
enclosure does not know that the deviations add up to zero; with E for the error of the mean, which
is larger where most numbers are far smaller than the largest.

**Put to the test** (`crosscheck.studies.adversary`): 1,015,808 tries a rule, of four numbers merged
in any order, gave at most 0.8000 of the bound for means and 0.3357 for squares.
"""

from __future__ import annotations

import math

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.double_double import high
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.rounding import or_infinity, up

__all__ = ["mean_by_updates", "squares_by_updates"]


def mean_by_updates(z: Enclosure, mean: Enclosure, axis: int) -> Enclosure:
    """The mean along an axis, which stays with length 1; see the module.

    Args:
        z: The numbers.
        mean: Their mean, formed in some other way: its c and r are taken.
        axis: From the last.
    """
    error, reach = _of_means(z, axis)
    carried = z.e.max(axis=axis, keepdims=True)
    return _closed(z, mean, up(carried + error, 4), reach)


def squares_by_updates(z: Enclosure, squares: Enclosure, axis: int) -> Enclosure:
    """The sum of squared deviations along an axis, which stays with length 1; see the module.

    Args:
        z: The numbers.
        squares: Their sum, formed in some other way: its c and r are taken.
        axis: From the last.
    """
    error, reach = _of_means(z, axis)
    count = z.shape[axis]
    u = _roundoff(z)
    length = np.sqrt(up((z.e * z.e).sum(axis=axis, keepdims=True), count + 2))
    exact = up(np.abs(high(squares.c)) + squares.r, 2)
    whole = up((up(np.sqrt(exact), 1) + up(length, 1)) ** 2, 4)
    most = 0.5 * count * math.ceil(math.log2(max(count, 2)))
    between = 4.0 * error * np.sqrt(up(most * whole, 1)) + 4.0 * error * error * most
    growth = up(np.asarray(math.exp(math.log1p(u) * (2 * count + 6))), 8)
    lost = 8.0 * count * count * z.model.least
    formed = up(growth * up(whole + between, 8), 2)
    # What is left of the difference is at least as large as its rounding: exact is added back.
    e = up(np.maximum(formed - whole, 0.0) + (whole - exact) + 2.0**-52 * formed + lost, 4)
    return _closed(z, squares, e, np.maximum(reach, up(2.0 * (formed + lost), 1)))


def _roundoff(z: Enclosure) -> float:
    inside = z.model.inside
    return z.model.roundoff if inside is None else inside.unit_roundoff


def _of_means(z: Enclosure, axis: int) -> tuple[Array, Array]:
    """E, and what no number on the way is beyond."""
    count, u = z.shape[axis], _roundoff(z)
    value, margin = z.high, z.margin + z.lost_by_reading
    low = (value - margin).min(axis=axis, keepdims=True)
    top = (value + margin).max(axis=axis, keepdims=True)
    size = up(np.maximum(np.abs(low), np.abs(top)), 1)
    spread = up(top - low, 2)
    half = 0.5 * (count + 1)
    theta = ((1.0 + u) ** 3 - 1.0) * (1.0 + u) * (1.0 + 2.0**-45)
    lost = 8.0 * count * z.model.least
    taken = half * (2.0 * theta + u)
    error = np.full(size.shape, np.inf)
    if taken < 1.0 - 2.0**-40:
        error = up(half * (theta * spread + u * size) + lost, 6) / (1.0 - taken) * (1.0 + 2.0**-40)
    hull = up(size * (1.0 + math.exp(8.0 * u * count)) * (1.0 + 2.0**-40) + lost, 2)
    error = np.where(size == 0.0, 0.0, np.minimum(error, hull))
    return error, up(2.0 * (size + error), 2)


def _closed(z: Enclosure, found: Enclosure, e: Array, reach: Array) -> Enclosure:
    model = z.model
    if model.inside is not None:
        size = np.abs(high(found.c)) + found.r
        e = up(e + model.roundoff * (size + e), 4) + up(model.lost(1), 4)
    e = np.where(reach < model.format.largest, e, np.inf)
    return Enclosure(model, found.c, found.r, or_infinity(e))
