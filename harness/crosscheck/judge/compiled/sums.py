"""Sums on `Lanes`, and the bounds on their errors, as in `crosscheck.numbers.enclosure`.

A reference value is a pair (high, low). With a ``splitter``, for formats of fewer bits than
float64, the low part is not used.
"""

from __future__ import annotations

from typing import Any

from crosscheck.judge.compiled.exactness import fits
from crosscheck.judge.compiled.functions import inlined
from crosscheck.judge.compiled.lanes import absolute, fused, greater, lesser, splat, where
from crosscheck.judge.compiled.records import Form, Known, Sum

__all__ = [
    "LEAST",
    "NOT_FINITE",
    "add",
    "divided",
    "error_bound",
    "growth",
    "growth_of_sum",
    "in_two",
    "multiply_add",
    "nothing_added",
    "plus",
    "plus_product",
    "renormalised",
    "squared",
    "two_sum",
]


NOT_FINITE = 2.0**1000
"""No finite number that the pass can deal with is as large."""
LEAST = 2.0**-350
"""The smallest that an operand of a product, or its error, may be."""


@inlined
def two_sum(a: Any, b: Any) -> Any:
    """a + b rounded, and what was rounded off, exactly."""
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


@inlined
def multiply_add(high: Any, low: Any, w: Any, v_high: Any, v_low: Any, splitter: Any) -> Any:
    """(high, low) + w (v_high, v_low), with ``low`` collecting what is rounded off."""
    if splitter is None:
        product = w * v_high
        error = fused(w, v_low, fused(w, v_high, -product))
        high, lost = two_sum(high, product)
        return high, low + (lost + error)
    return fused(w, v_high, high), low


@inlined
def add(high: Any, low: Any, more: Any, more_low: Any, splitter: Any) -> Any:
    """(high, low) + (more, more_low)."""
    if splitter is None:
        high, lost = two_sum(high, more)
        return high, low + (lost + more_low)
    return high + more, low


@inlined
def nothing_added() -> Sum:
    """The sum of no terms."""
    zero = splat(0.0)
    return Sum(zero, zero, zero, zero)


@inlined
def plus_product(so_far: Sum, w: Any, size: Any, v: Known, splitter: Any) -> Sum:
    """One product more, of an exact number w of magnitude ``size`` and of what is known of v."""
    high, low = multiply_add(so_far.high, so_far.low, w, v.high, v.low, splitter)
    total = fused(size, v.reach, so_far.total)
    return Sum(high, low, total, fused(size, v.error, so_far.carried))


@inlined
def plus(so_far: Sum, b: Any, splitter: Any) -> Sum:
    """One exact number more."""
    high, low = add(so_far.high, so_far.low, b, splat(0.0), splitter)
    return Sum(high, low, so_far.total + absolute(b), so_far.carried)


@inlined
def in_two(high: Any, low: Any, splitter: Any) -> Any:
    """high + low rounded, and what was rounded off; without a low part, ``high`` and 0."""
    if splitter is None:
        return two_sum(high, low)
    return high, splat(0.0)


@inlined
def renormalised(so_far: Sum, splitter: Any) -> Sum:
    """The sum with its low part no larger than half a unit in the last place of the high one."""
    high, low = in_two(so_far.high, so_far.low, splitter)
    return Sum(high, low, so_far.total, so_far.carried)


@inlined
def squared(d: Known, form: Form) -> Any:
    """The square of d with its bound: 0 of what is exact, or zero itself.

    Returns:
        The square, its low part, and the bound.
    """
    return _squared(d, splat(form.u), splat(form.tau), form.splitter)


@inlined
def _squared(d: Known, u: Any, tau: Any, splitter: Any) -> Any:
    zero, size = splat(0.0), absolute(d.high)
    product, product_low = d.high * d.high, zero
    if splitter is None:
        product_low = fused(splat(2.0) * d.high, d.low, fused(d.high, d.high, -product))
    bound = d.error * d.reach + size * d.error + (u * (d.reach * d.reach) + tau)
    exact = (d.error == zero) & fits(product, product_low, splitter)
    return product, product_low, where((d.reach > zero) & ~exact, bound, zero)


@inlined
def growth(factors: Any, u: Any) -> Any:
    """The first three terms of (1 + u)^factors - 1, all of them positive."""
    one = splat(1.0)
    second = greater(factors - one, splat(0.0)) * u * splat(0.5)
    third = greater(factors - splat(2.0), splat(0.0)) * u * splat(1.0 / 3.0 - 2.0**-50)
    return factors * u * (one + second * (one + third))


@inlined
def growth_of_sum(products: Any, addends: Any, u: Any) -> Any:
    """Θ of an any-order sum of so many products and addends, see `OpenSum`."""
    zero, one = splat(0.0), splat(1.0)
    additions = greater(products + addends - one, zero)
    return growth(additions + where(products > zero, one, zero), u)


@inlined
def error_bound(of: Sum, rounded: Any, products: Any, addends: Any, theta: Any, form: Form) -> Any:
    """E of an any-order sum, see `OpenSum`; without the certificate of exactness.

    Args:
        of: The sum.
        rounded: The sum of the magnitudes of its products.
        products: How many they are.
        addends: How many other terms there are.
        theta: `growth_of_sum` of so many.
        form: The constants of the format.
    """
    counts = products, addends
    return _error_bound(of, rounded, counts, theta, splat(form.u), splat(form.tau), form.splitter)


@inlined
def _error_bound(
    of: Sum, rounded: Any, counts: Any, theta: Any, u: Any, tau: Any, splitter: Any
) -> Any:
    zero, one, half = splat(0.0), splat(1.0), splat(0.5)
    products, addends = counts
    additions = greater(products + addends - one, zero)
    in_any_order = theta * of.total
    leaves = u * rounded
    if splitter is not None:  # in float64 tau is 0
        absolute_error = products * tau
        in_any_order = in_any_order + (one + theta) * absolute_error
        leaves = leaves + absolute_error
    partial = half * (of.total + absolute(of.high) + of.carried) + leaves
    node_by_node = leaves + u * additions * (partial + in_any_order)
    return of.carried + lesser(in_any_order, node_by_node)


@inlined
def divided(a: Known, divisor: int, form: Form) -> Known:
    """Division by a whole number, see `crosscheck.network.loss_bounds.divided`."""
    high, low, error = _divided(a, divisor, splat(form.u), splat(form.tau), form.splitter)
    return Known(high, low, error, absolute(high) + error)


@inlined
def _divided(a: Known, divisor: int, u: Any, tau: Any, splitter: Any) -> Any:
    k, three, zero = splat(float(divisor)), splat(3.0), splat(0.0)
    if divisor & (divisor - 1) == 0:  # what is exact may stay exact
        error = where(a.error > zero, a.error / k + three * tau, zero)
        return a.high / k, a.low / k, error
    error = (a.error + growth(three, u) * a.reach) / k + three * tau
    error = where(a.reach > zero, error, zero)
    quotient = a.high / k
    if splitter is None:
        product = quotient * k
        remainder = ((a.high - product) - fused(quotient, k, -product)) + a.low
        quotient, rest = two_sum(quotient, remainder / k)
        return quotient, rest, error
    return quotient, a.low, error
