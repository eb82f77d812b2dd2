"""Sums on `Lanes`, and the bounds on their errors, as in `crosscheck.numbers.enclosure`.

A reference value is a pair (high, low). With a ``splitter``, for formats of fewer bits than
float64, the low part is not used.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from crosscheck.judge.compiled.lanes import (
    absolute,
    any_lane,
    fused,
    greater,
    grid,
    lesser,
    splat,
    where,
)
from crosscheck.judge.compiled.memory import load, store

__all__ = [
    "LEAST",
    "NOT_FINITE",
    "add",
    "certified",
    "decided",
    "divide",
    "error_bound",
    "find_layer_grids",
    "fits",
    "growth",
    "growth_of_sum",
    "multiply_add",
    "settled",
    "squared",
    "two_sum",
]


NOT_FINITE = 2.0**1000
"""No finite number that the pass can deal with is as large."""
LEAST = 2.0**-350
"""The smallest that an operand of a product, or its error, may be."""


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def two_sum(a: Any, b: Any) -> Any:
    """a + b rounded, and what was rounded off, exactly."""
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def multiply_add(high: Any, low: Any, w: Any, v_high: Any, v_low: Any, splitter: Any) -> Any:
    """(high, low) + w (v_high, v_low), with ``low`` collecting what is rounded off."""
    if splitter is None:
        product = w * v_high
        error = fused(w, v_low, fused(w, v_high, -product))
        high, lost = two_sum(high, product)
        return high, low + (lost + error)
    return fused(w, v_high, high), low


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def add(high: Any, low: Any, more: Any, more_low: Any, splitter: Any) -> Any:
    """(high, low) + (more, more_low)."""
    if splitter is None:
        high, lost = two_sum(high, more)
        return high, low + (lost + more_low)
    return high + more, low


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def squared(high: Any, low: Any, error: Any, u: Any, tau: Any, splitter: Any) -> Any:
    """The square of (high, low) with its bound: 0 of what is exact, or zero itself."""
    zero, size = splat(0.0), absolute(high)
    product, product_low = high * high, zero
    if splitter is None:
        product_low = fused(splat(2.0) * high, low, fused(high, high, -product))
    reach = size + error
    bound = error * reach + size * error + (u * (reach * reach) + tau)
    exact = (error == zero) & fits(product, product_low, splitter)
    return product, product_low, where((reach > zero) & ~exact, bound, zero)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def fits(high: Any, low: Any, splitter: Any) -> Any:
    """Whether the reference's value is a number of p bits."""
    if splitter is None:
        return low == splat(0.0)
    big = high * splat(splitter)
    return big - (big - high) == high


@njit  # type: ignore[untyped-decorator]
def find_layer_grids(arrays: int, has_bias: Any, grids: int) -> None:
    """The largest powers of two that exact activations are certainly multiples of, layer by layer.

    Args:
        arrays: How many arrays of parameters there are.
        has_bias: Whether b_l is there.
        grids: Address of the powers of two of all arrays, behind which those of layers go.
    """
    depth = len(has_bias)
    coarse = load(grids, 2 * depth)
    store(grids, arrays, coarse)
    for layer in range(depth):
        coarse = load(grids, layer) * coarse
        if has_bias[layer]:
            coarse = lesser(coarse, load(grids, depth + layer))
        store(grids, arrays + layer + 1, coarse)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def settled(
    exact: Any, high: Any, low: Any, total: Any, most: Any, bound: Any, splitter: Any
) -> Any:
    """The bound of a sum whose operands are without error where ``exact`` is true.

    A sum that comes out as a number of p bits may be exact everywhere: then the bound is 0 if its
    terms add up to no more than ``most``, which proves that it was formed without error here;
    otherwise -1, for it is not known.
    """
    zero = splat(0.0)
    known = total * splat(1.0 + 2.0**-40) <= most
    unrounded = exact & fits(high, low, splitter)
    return where(unrounded, where(known, zero, splat(-1.0)), bound)


@njit  # type: ignore[untyped-decorator]
def decided(
    unknown: Any,
    fine: Any,
    bound: Any,
    formula: Any,
    total: Any,
    digits: Any,
    eta: float,
    weights: int,
    first_weight: int,
    stride: int,
    values: int,
    first_value: int,
    count: int,
) -> Any:
    """Whether the certificate of exactness is given for one sum of products, by its own grid.

    Args:
        unknown: Where that is to be found out.
        fine: A power of two that the addends are multiples of.
        bound: The bound so far, kept where it is known.
        formula: The bound without the certificate.
        total: The sum of magnitudes.
        digits: 2^p.
        eta: The smallest subnormal number.
        weights: Where the first factors lie.
        first_weight: Index of the first of them.
        stride: From one of them to the next.
        values: Where the second factors lie, all of them exact numbers.
        first_value: Index of the first of them.
        count: How many products there are.

    Returns:
        0 with the certificate, ``formula`` without, -1 where it is too close to call.
    """
    zero, big = splat(0.0), splat(2.0**1000)
    less = splat(1.0 - 2.0**-40)
    left = unknown
    for k in range(count):
        w, v = load(weights, first_weight + stride * k), load(values, first_value + k)
        counts = ~((w == zero) | (v == zero))
        fine = lesser(where(counts, grid(w) * grid(v), big), fine)
        # The sum's grid is no coarser than this: too fine already?
        left = left & ((total * less <= digits * fine) | ~(fine >= splat(eta)))
        if not any_lane(left):
            break
    return certified(unknown, left, fine, bound, formula, total, digits, eta)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def certified(
    unknown: Any,
    left: Any,
    fine: Any,
    bound: Any,
    formula: Any,
    total: Any,
    digits: Any,
    eta: float,
) -> Any:
    """`decided`, once the grid of the sum is known.

    Args:
        unknown: See `decided`.
        left: Where the grid is the sum's. Elsewhere it is known to be too fine.
        fine: The grid.
        bound: See `decided`.
        formula: See `decided`.
        total: See `decided`.
        digits: See `decided`.
        eta: See `decided`.
    """
    zero, less, more = splat(0.0), splat(1.0 - 2.0**-40), splat(1.0 + 2.0**-40)
    left = left & ((total * less <= digits * fine) | ~(fine >= splat(eta)))
    given = (total * more <= digits * fine) & (fine >= splat(eta))
    found = where(left, where(given, zero, splat(-1.0)), formula)
    return where(unknown, found, bound)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def growth(factors: Any, u: Any) -> Any:
    """The first three terms of (1 + u)^factors - 1, all of them positive."""
    one = splat(1.0)
    second = greater(factors - one, splat(0.0)) * u * splat(0.5)
    third = greater(factors - splat(2.0), splat(0.0)) * u * splat(1.0 / 3.0 - 2.0**-50)
    return factors * u * (one + second * (one + third))


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def growth_of_sum(products: Any, addends: Any, u: Any) -> Any:
    """Θ of an any-order sum of so many products and addends, see `OpenSum`."""
    zero, one = splat(0.0), splat(1.0)
    additions = greater(products + addends - one, zero)
    return growth(additions + where(products > zero, one, zero), u)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def error_bound(
    products: Any,
    addends: Any,
    theta: Any,
    total: Any,
    rounded: Any,
    carried: Any,
    size: Any,
    u: Any,
    tau: Any,
    splitter: Any,
) -> Any:
    """E of an any-order sum, see `OpenSum`; without the certificate of exactness."""
    zero, one, half = splat(0.0), splat(1.0), splat(0.5)
    additions = greater(products + addends - one, zero)
    in_any_order = theta * total
    leaves = u * rounded
    if splitter is not None:  # in float64 tau is 0
        absolute_error = products * tau
        in_any_order = in_any_order + (one + theta) * absolute_error
        leaves = leaves + absolute_error
    partial = half * (total + size + carried) + leaves
    node_by_node = leaves + u * additions * (partial + in_any_order)
    return carried + lesser(in_any_order, node_by_node)


@njit(forceinline=True)  # type: ignore[untyped-decorator]
def divide(
    high: Any,
    low: Any,
    error: Any,
    reach: Any,
    divisor: int,
    u: Any,
    tau: Any,
    splitter: Any,
) -> Any:
    """Division by a whole number, see `crosscheck.network.loss_bounds.divided`."""
    k, three, zero = splat(float(divisor)), splat(3.0), splat(0.0)
    if divisor & (divisor - 1) == 0:  # what is exact may stay exact
        return high / k, low / k, where(error > zero, error / k + three * tau, zero)
    error = (error + growth(three, u) * reach) / k + three * tau
    error = where(reach > zero, error, zero)
    quotient = high / k
    if splitter is None:
        product = quotient * k
        remainder = ((high - product) - fused(quotient, k, -product)) + low
        quotient, rest = two_sum(quotient, remainder / k)
        return quotient, rest, error
    return quotient, low, error
