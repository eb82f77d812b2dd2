"""What is exact: f^(k) at many inputs, its scale, and which inputs can be judged.

For dtypes narrower than float64 the reference is float64, `ROUNDINGS` 2^-53 scale from the exact
value: 2^-22 roundings of float32 at most, far below the last digit of what is reported. It is used
to find where the error is largest; there the error is Arb's, rounded up. For float64 every
input is Arb's, as a sum of two float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.arb import bits, enclosed, split
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.elementary import Elementary
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.ieee import TINY

__all__ = ["Reference", "error_at", "reference"]

_BEYOND = 32.0
"""A result that is nearer to overflow than so many roundings may overflow."""


@dataclass(frozen=True)
class Reference:
    """f^(k) at some inputs; all arrays are of one shape.

    Attributes:
        high: f^(k), to nearest in float64.
        low: The rest.
        unit: u scale, what errors are counted in.
        is_judged: Where the input is normal, and the result neither overflows nor underflows.
        is_small: Where the input is normal and the result underflows; in float64, where it is
            below λ₀ / u.
        is_subnormal: Where the input is subnormal, and the result does not overflow.
    """

    high: Array
    low: Array
    unit: Array
    is_judged: NDArray[np.bool_]
    is_small: NDArray[np.bool_]
    is_subnormal: NDArray[np.bool_]

    def errors(self, got: Array) -> Array:
        """|computed - exact| in roundings."""
        with np.errstate(all="ignore"):
            off = np.abs((got - self.high) - self.low)
            return np.asarray(np.where((self.unit == 0) & (off == 0), 0.0, off / self.unit))


def reference(
    function: Elementary, order: int, form: Format, operands: tuple[Array, ...]
) -> Reference:
    """The reference at some inputs.

    Args:
        function: Which.
        order: Of the derivative.
        form: The dtype.
        operands: x, and y where there is one.
    """
    x, u = operands[0], form.unit_roundoff
    scale = function.scale(x, order, *operands[1:])
    if form.precision > 26:
        high, low = _by_arb(function, order, operands, scale)
    else:
        high = function.floats(x, order, *operands[1:])
        low = np.zeros_like(high)
    unit = u * scale
    size = np.abs(high)
    with np.errstate(all="ignore"):
        fits = (size + _BEYOND * unit <= form.largest) & np.isfinite(unit)
    # Where u scale is subnormal in float64, that cannot say how many of these an error is.
    is_wide = form.precision == FORMATS["float64"].precision
    least = form.smallest_normal / (u if is_wide else 1.0)
    normal = (np.abs(x) >= form.smallest_normal) | (x == 0)
    if order >= function.jumps:
        fits &= x != 0
    small = (size < least) & (unit < form.smallest_normal)
    return Reference(high, low, unit, fits & normal & ~small, fits & normal & small, fits & ~normal)


def _by_arb(
    function: Elementary, order: int, operands: tuple[Array, ...], scale: Array
) -> tuple[Array, Array]:
    high, low = np.full(scale.shape, np.inf), np.zeros(scale.shape)
    for place, size in enumerate(scale.tolist()):
        if 0.0 < size < np.inf:
            at = tuple(float(each[place]) for each in operands)
            high[place], low[place] = split(_ball(function, order, at, size))
        elif size == 0.0:
            high[place] = 0.0
    return high, low


def _ball(function: Elementary, order: int, at: tuple[float, ...], scale: float) -> Any:
    """f^(k) within 2^-80 of its scale, or of the smallest float64."""
    within = max(scale * 2.0**-80, TINY)
    return enclosed(partial(_at, function, order, at), within)


def _at(function: Elementary, order: int, at: tuple[float, ...], precision: int) -> Any:
    return function.ball(at[0], order, *at[1:])


def error_at(
    function: Elementary, order: int, form: Format, at: tuple[float, ...], got: float
) -> float:
    """The error of one result in roundings, an upper bound by Arb.

    Args:
        function: Which.
        order: Of the derivative.
        form: The dtype.
        at: The input.
        got: What was computed, finite.
    """
    operands = tuple(np.array([each]) for each in at)
    scale = float(function.scale(operands[0], order, *operands[1:])[0])
    if scale == 0.0:
        return 0.0 if got == 0.0 else np.inf
    right = _ball(function, order, at, scale)
    with bits(256):
        return float((abs(right - got) / (scale * form.unit_roundoff)).abs_upper())
