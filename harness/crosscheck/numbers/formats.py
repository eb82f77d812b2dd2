"""Binary floating-point formats: their constants, and rounding into them.

A format with precision ``p`` and exponent range ``[emin, emax]`` holds the numbers
``±m · 2^(e - p + 1)`` with an integer ``m < 2^p`` and ``emin <= e <= emax``
(IEEE 754-2019, section 3.3). Its constants, in the notation of Higham,
*Accuracy and Stability of Numerical Algorithms*, chapter 2:

=====================  =======================  ==========================================
unit roundoff          ``u = 2^-p``             largest relative error of rounding to nearest
smallest subnormal     ``η = 2^(emin - p + 1)`` spacing of the subnormal numbers
smallest normal        ``λ₀ = 2^emin``          below it, precision is lost gradually
largest finite         ``Ω = (2 - 2^(1-p)) 2^emax``
=====================  =======================  ==========================================

The harness keeps the numbers of every format in float64 arrays: each of the four
formats is a subset of binary64, so the conversion loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.tools.errors import UsageError

__all__ = ["FORMATS", "Format", "format_of"]


@dataclass(frozen=True)
class Format:
    """One binary floating-point format.

    Attributes:
        name: The dtype's name, as the frameworks spell it.
        precision: ``p``, the number of significant bits, the hidden one included.
        emin: Exponent of the smallest normal number.
        emax: Exponent of the largest finite number.
    """

    name: str
    precision: int
    emin: int
    emax: int

    @property
    def unit_roundoff(self) -> float:
        """``u = 2^-p``."""
        return 2.0**-self.precision

    @property
    @in_ieee_arithmetic
    def smallest_subnormal(self) -> float:
        """``η``."""
        return 2.0 ** (self.emin - self.precision + 1)

    @property
    def smallest_normal(self) -> float:
        """``λ₀``."""
        return 2.0**self.emin

    @property
    def largest(self) -> float:
        """``Ω``."""
        return (2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.emax

    @in_ieee_arithmetic
    def ulp(self, values: ArrayLike) -> NDArray[np.float64]:
        """Spacing of the format's numbers at ``values`` (finite), as float64 of the same shape."""
        significand, exponent = np.frexp(np.abs(np.asarray(values, dtype=np.float64)))
        low = self.emin - self.precision + 1
        exponent = np.where(significand == 0, low, exponent)  # frexp gives 0 the exponent 0
        return np.asarray(np.ldexp(1.0, np.maximum(exponent - self.precision, low)))

    @in_ieee_arithmetic
    def round(self, values: ArrayLike) -> NDArray[np.float64]:
        """Round float64 ``values`` to this format, to nearest, ties to even.

        Overflow gives ``±inf`` and NaN stays NaN, as IEEE 754 prescribes. Subnormals are kept.

        Returns:
            A float64 array of the same shape whose every entry is in the format.
        """
        array = np.asarray(values, dtype=np.float64)
        if self.precision >= FORMATS["float64"].precision:
            return array
        finite = np.isfinite(array)
        safe = np.where(finite, array, 0.0)
        spacing = self.ulp(safe)
        # Dividing and multiplying by a power of two is exact here: the spacing of a narrower
        # format is far above binary64's own smallest number. `rint` ties to even. Values near
        # binary64's largest may overflow, which is where they go in a narrower format anyway.
        with np.errstate(over="ignore"):
            rounded = np.rint(safe / spacing) * spacing
        rounded = np.where(np.abs(rounded) > self.largest, np.copysign(np.inf, safe), rounded)
        return np.where(finite, np.copysign(rounded, safe), array)

    @in_ieee_arithmetic
    def contains(self, values: ArrayLike) -> bool:
        """Whether every entry of ``values`` is a number of this format (NaN and ±inf are)."""
        array = np.asarray(values, dtype=np.float64)
        if self.name == "float64":
            return True
        if self.name in ("float32", "float16"):
            # NumPy has the format: a number is in it if the way there and back changes nothing.
            # This is `round`, at a tenth of its cost.
            with np.errstate(over="ignore", invalid="ignore"):
                back = array.astype(self.name).astype(np.float64)
            return bool((back == array).all()) or np.array_equal(back, array, equal_nan=True)
        return bool(np.array_equal(self.round(array), array, equal_nan=True))


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "float64": Format("float64", precision=53, emin=-1022, emax=1023),
        "float32": Format("float32", precision=24, emin=-126, emax=127),
        "bfloat16": Format("bfloat16", precision=8, emin=-126, emax=127),
        "float16": Format("float16", precision=11, emin=-14, emax=15),
    }
)


def format_of(dtype: str) -> Format:
    """The format named ``dtype``.

    Raises:
        UsageError: ``dtype`` is none of the four names.
    """
    try:
        return FORMATS[dtype]
    except (KeyError, TypeError):
        raise UsageError(f"dtype={dtype!r}: wanted one of {', '.join(FORMATS)}") from None
