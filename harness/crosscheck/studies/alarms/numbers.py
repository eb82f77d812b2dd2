"""Arithmetics: what one operation of a dtype returns, on arrays.

Numbers of a dtype are held in a *carrier* that NumPy computes in: float64 for float64, float32 for
the others. An operation of the carrier is correctly rounded, and so is its result once it is
rounded on to the dtype: with p' >= 2 p + 2 bits in the carrier the second rounding of a sum,
a product or a quotient is never misled by the first (Figueroa, *When is double rounding
innocuous?*, SIGNUM Newsletter 30, 1995); 24 >= 2 · 11 + 2. Only a product of bfloat16 numbers
that lies below the carrier's own subnormal spacing is rounded twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.network.batch import held_dtype
from crosscheck.numbers.double_double import two_prod, two_sum
from crosscheck.numbers.formats import format_of

__all__ = ["Finer", "Flushing", "Nearest", "TiesAway", "fused", "narrowed"]


def narrowed(values: Any, dtype: str) -> Any:
    """Values of the carrier, or float64, rounded to the nearest of ``dtype``, in its carrier."""
    carrier, form = held_dtype(dtype), format_of(dtype)
    if values.dtype == carrier == form.dtype:
        return values
    if values.dtype == carrier and form.dtype is not None:
        # From float32 on there is one rounding; from float64 that of ml_dtypes would be two.
        return values.astype(form.dtype).astype(carrier)
    return form.round(values).astype(carrier)


@dataclass(frozen=True)
class Nearest:
    """Every operation rounded to the nearest number of the dtype, ties to even: IEEE 754.

    Attributes:
        dtype: Of data and results.
    """

    dtype: str

    def taken(self, values: Any) -> Any:
        """Data of the dtype, as operations take it."""
        return values

    def given(self, values: Any) -> Any:
        """A result, as the dtype holds it."""
        return values

    def rounded(self, values: Any) -> Any:
        """What the carrier computed, rounded."""
        return values if self.dtype in ("float64", "float32") else narrowed(values, self.dtype)

    def constant(self, value: float) -> Any:
        """A number of the program, such as ½ or 1 / 3, rounded."""
        return self.rounded(self.taken(np.asarray(value, dtype=held_dtype(self.dtype))))

    def add(self, one: Any, other: Any) -> Any:
        """A sum of two."""
        return self.rounded(one + other)

    def subtract(self, one: Any, other: Any) -> Any:
        """A difference."""
        return self.rounded(one - other)

    def multiply(self, one: Any, other: Any) -> Any:
        """A product."""
        return self.rounded(one * other)

    def divide(self, one: Any, other: Any) -> Any:
        """A quotient."""
        return self.rounded(one / other)


@dataclass(frozen=True)
class TiesAway(Nearest):
    """Ties are rounded away from zero: still within half a spacing. The narrow dtypes only."""

    def rounded(self, values: Any) -> Any:
        """One more bit than is kept decides, and the carry goes up."""
        spacing = format_of(self.dtype).ulp(np.where(np.isfinite(values), values, 0.0))
        steps = np.abs(values) / spacing
        rounded = np.copysign(np.floor(steps + 0.5) * spacing, values)
        return narrowed(np.where(np.isfinite(values), rounded, values), self.dtype)


@dataclass(frozen=True)
class Flushing(Nearest):
    """Subnormal results become zero; ``reads`` says whether subnormal operands do as well.

    Attributes:
        reads: Denormals-are-zero: whatever is read, data included, counts as zero.
    """

    reads: bool = False

    def taken(self, values: Any) -> Any:
        """Subnormal data is zero if operands are read so."""
        return self._flushed(values) if self.reads else values

    def rounded(self, values: Any) -> Any:
        """Rounded to the nearest number, and to zero below the smallest normal one."""
        return self._flushed(super().rounded(values))

    def _flushed(self, values: Any) -> Any:
        tiny = np.abs(values) < format_of(self.dtype).smallest_normal
        return np.where(tiny, np.copysign(values.dtype.type(0), values), values)


@dataclass(frozen=True)
class Finer(Nearest):
    """All operations in float64, and only what is returned is rounded to the dtype."""

    def taken(self, values: Any) -> Any:
        """As float64, which contains it."""
        return np.asarray(values, dtype=np.float64)

    def given(self, values: Any) -> Any:
        """The one rounding."""
        with np.errstate(over="ignore"):
            return narrowed(values, self.dtype)

    def rounded(self, values: Any) -> Any:
        """Nothing is rounded in between."""
        return np.asarray(values, dtype=np.float64)


def fused(number: Nearest, one: Any, other: Any, addend: Any) -> Any:
    """one · other + addend, rounded once.

    For p <= 24 the product is exact in float64. Its sum with the addend is rounded *to odd* there:
    if inexact, to the neighbour whose last bit is set, after which a rounding to fewer bits is that
    of the exact sum. For float64 the product is p + t exactly (`two_prod`), and the sum of three
    numbers is rounded through one to odd: Boldo and Melquiond, *Emulation of a FMA and correctly
    rounded sums*, IEEE Trans. Comput. 57 (2008), figure 2. Where that may underflow or overflow on
    the way, a product and a sum are rounded one after the other, which is as right.
    """
    if number.dtype != "float64":
        one, other, addend = (np.asarray(each, dtype=np.float64) for each in (one, other, addend))
        with np.errstate(all="ignore"):
            return narrowed(_to_odd(one * other, addend), number.dtype)
    plain = one * other + addend
    high, low = two_prod(one, other)
    upper, lower = two_sum(addend, low)
    top, rest = two_sum(high, upper)
    together = top + _to_odd(rest, lower)
    size = np.abs(one * other)
    fits = (size > 2.0**-900) & (size < 2.0**900) & (np.abs(addend) < 2.0**900)
    return np.where(fits & (np.abs(plain) > 2.0**-900), together, plain)


def _to_odd(one: Any, other: Any) -> Any:
    """one + other in float64, rounded to odd."""
    total, rest = two_sum(one, other)
    bits = total.view(np.int64)
    inexact = (rest != 0) & np.isfinite(total) & (bits & 1 == 0)
    # Towards the rest: up in magnitude if it has the total's sign, else down.
    step = np.where((rest > 0) == (total > 0), 1, -1)
    return np.where(inexact, bits + step, bits).view(np.float64)
