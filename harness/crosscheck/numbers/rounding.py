"""Bounds in float64: sums of products of non-negative numbers, rounded so that they stay bounds.

A formula of depth m loses at most the factor (1 - v)^m, v = 2^-53, which `up` restores. Products
of bounds that underflow lose at most 2^-1074 each.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from crosscheck.numbers.arrays import Array, blocks

__all__ = [
    "NO_GRAIN",
    "growth",
    "least_sums",
    "lowest_bit",
    "lowest_powers",
    "or_infinity",
    "tiny",
    "up",
]

_FRACTION, _EXPONENT = np.int64(2**52 - 1), np.int64(0x7FF << 52)
"""The bits of float64's fraction, and of its exponent."""

NO_GRAIN = np.int32(1 << 20)
"""The exponent of the lowest set bit of zero, which is a multiple of everything."""


def up(bound: Any, depth: int) -> Any:
    """``bound`` enlarged by what ``depth`` roundings to nearest can have taken from it."""
    return bound * (1.0 + (depth + 4) * 2.0**-52)


def or_infinity(bound: Array) -> Array:
    """``bound``, with ∞ in the place of NaN."""
    return np.fmin(bound, np.inf)  # which NaN is not


def growth(unit: float, factors: Array | float) -> Array:
    """(1 + unit)^factors - 1, rounded up."""
    factors = np.asarray(factors)
    if factors.size > 1 and (factors == factors.flat[0]).all():  # nearly always, and much cheaper
        factors = np.asarray(factors.flat[0])
    return np.asarray(np.expm1(np.multiply(factors, np.log1p(unit)))) * (1.0 + 2.0**-50)


def tiny(count: Array) -> Array:
    """2^-1074 times whole numbers below 2^52: the float64 with these bits.

    Products that come out subnormal take processors forty times as long as others.
    """
    return np.asarray(count, dtype=np.int64).view(np.float64)


def lowest_bit(values: Array) -> Any:
    """Exponent g of the lowest set bit of each value (it is a multiple of 2^g); large for 0."""
    significand, exponent = np.frexp(values)
    integer = np.abs(np.ldexp(significand, 53)).astype(np.int64)
    lowest = np.frexp((integer & -integer).astype(np.float64))[1] - 1
    return np.where(integer == 0, NO_GRAIN, exponent - 53 + lowest)


def lowest_powers(values: Array) -> Array:
    """The lowest set bit of each value, as a power of two; 0 for 0, and infinite if subnormal.

    What is known of float64's bits takes a third of the time of `lowest_bit`.
    """
    found = np.empty(values.shape)
    for block in blocks(values.shape):
        bits = np.ascontiguousarray(values[block]).view(np.int64)
        significand = (bits & _FRACTION) | (_FRACTION + 1)
        unit = (bits & _EXPONENT).view(np.float64) * 2.0**-52
        found[block] = (significand & -significand) * unit
        if not unit.all():
            found[block] = np.where((unit == 0.0) & (values[block] != 0.0), np.inf, found[block])
    return found


def least_sums(left: Any, right: Any) -> Any:
    """min_j (left_ij + right_jk), whole numbers of shape (..., n, K) and (..., K, m)."""
    rows, depth = left.shape[-2:]
    if depth <= rows:
        terms = (left[..., :, j, None] + right[..., None, j, :] for j in range(depth))
        return reduce(np.minimum, terms)
    sums = [(left[..., i, :, None] + right).min(axis=-2) for i in range(rows)]
    return np.stack(sums, axis=-2)
