"""Binary floating-point formats: their constants, and rounding into them.

A format with precision ``p`` and exponent range ``[emin, emax]`` holds the numbers
``±m · 2^(e - p + 1)`` with an integer ``m < 2^p`` and ``emin <= e <= emax``
(IEEE 754-2019, section 3.3). Its constants, in the notation of Higham,
*Accuracy and Stability of Numerical Algorithms*, chapter 2:

=====================  =======================  ==========================================
unit roundoff          ``u = 2^-p``             largest relative error of rounding to nearest
smallest subnormal     ``η = 2^(emin - p + 1)`` spacing of the subnormal numbers
smallest normal        ``λ₀ = 2^emin``          below it, precision is lost gradually
largest finite         ``Ω``                    ``(2 - 2^(1-p)) 2^emax`` by IEEE 754
=====================  =======================  ==========================================

`FORMATS` is the table of all formats there are; a new one is one entry of it. The constants of
those that NumPy or ml_dtypes has come from their ``finfo``.

**Formats without infinity.** float8_e4m3fn (Open Compute Project, *OCP 8-bit Floating Point
Specification (OFP8)*, 2023, section 5) takes the significand 1.111 at ``emax`` for NaN, so that
Ω = 448, and has no infinities. A result that rounds to more than Ω is NaN there; the
specification's *saturating* conversion, which gives ±Ω instead, is not what is meant here.
Measured: ml_dtypes, JAX and TensorFlow give NaN above 464, the midpoint of 448 and the 480
that is not there; ``torch.Tensor.to`` saturates, infinities included.

The harness keeps the numbers of every format in float64 arrays: each of them is a subset of
binary64, so the conversion loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import ArrayLike, NDArray

from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.tools.errors import UsageError, meant

__all__ = ["COARSE", "DTYPES", "FORMATS", "WORKING", "Format", "add_format", "format_of"]


@dataclass(frozen=True)
class Format:
    """One binary floating-point format.

    Attributes:
        name: The dtype's name, as the frameworks spell it.
        precision: ``p``, the number of significant bits, the hidden one included.
        emin: Exponent of the smallest normal number.
        emax: Exponent of the largest finite number.
        has_infinity: Whether results beyond Ω are infinities; they are NaN otherwise.
        top: Ω, where some of the significands at ``emax`` are taken for something else.
    """

    name: str
    precision: int
    emin: int
    emax: int
    has_infinity: bool = True
    top: float | None = None

    @classmethod
    def of_dtype(cls, name: str) -> Format:
        """The format of a dtype that NumPy or ml_dtypes has, by its ``finfo``."""
        dtype = np.dtype(getattr(ml_dtypes, name, name))
        info: Any = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
        largest = float(info.max)
        with np.errstate(over="ignore", invalid="ignore"):
            has_infinity = bool(np.isinf(np.array(np.inf).astype(dtype).astype(np.float64)))
        form = cls(
            name, int(info.nmant) + 1, int(info.minexp), int(np.frexp(largest)[1]) - 1, has_infinity
        )
        return form if form.largest == largest else replace(form, top=largest)

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
        if self.top is not None:
            return self.top
        return (2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.emax

    @property
    def beyond(self) -> float:
        """What a positive result beyond Ω becomes: ``inf``, or NaN in a format that has none."""
        return np.inf if self.has_infinity else np.nan

    @cached_property
    def dtype(self) -> np.dtype[Any] | None:
        """NumPy's dtype of this name, its own or that of ml_dtypes; ``None`` if there is none."""
        try:
            return np.dtype(getattr(ml_dtypes, self.name, self.name))
        except TypeError:
            return None

    @cached_property
    def is_native(self) -> bool:
        """Whether NumPy itself has the dtype."""
        return self.dtype is not None and self.dtype.isbuiltin == 1

    def is_within(self, other: Format) -> bool:
        """Whether every finite number of this format is one of ``other``."""
        return (
            self.precision <= other.precision
            and self.emin - self.precision >= other.emin - other.precision
            and self.emax <= other.emax
            and self.largest <= other.largest
        )

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

        Overflow gives ``±inf``, or NaN in a format without infinity, and NaN stays NaN, as IEEE 754
        prescribes. Subnormals are kept. NumPy's own conversions to float32 and float16 do that.
        Those of ml_dtypes round to float32 first, and so on to a tie what lies less than 2^-24
        beside one: half of float64's neighbours of midpoints come out on the wrong side, in every
        one of its formats. So they are not used to round, only to pass on what is in the format.

        Returns:
            A float64 array of the same shape whose every entry is in the format.
        """
        array = np.asarray(values, dtype=np.float64)
        if self.precision >= FORMATS["float64"].precision:
            return array
        if self.is_native:
            with np.errstate(over="ignore", invalid="ignore"):
                found = array.astype(self.dtype).astype(np.float64)
            return np.where(np.isnan(array), array, found)
        finite = np.isfinite(array)
        safe = np.where(finite, array, 0.0)
        spacing = self.ulp(safe)
        # Dividing and multiplying by a power of two is exact here: the spacing of a narrower
        # format is far above binary64's own smallest number. `rint` ties to even. Values near
        # binary64's largest may overflow, which is where they go in a narrower format anyway.
        with np.errstate(over="ignore"):
            rounded = np.rint(safe / spacing) * spacing
        rounded = np.where(np.abs(rounded) > self.largest, self.beyond, rounded)
        odd = array if self.has_infinity else np.where(np.isinf(array), np.nan, array)
        return np.where(finite, np.copysign(rounded, safe), odd)

    @in_ieee_arithmetic
    def contains(self, values: ArrayLike) -> bool:
        """Whether every entry of ``values`` is a number of this format.

        NaN is in every format, ±inf in those that have it.
        """
        array = np.asarray(values, dtype=np.float64)
        if self.name == "float64":
            return True
        if self.dtype is None:
            return bool(np.array_equal(self.round(array), array, equal_nan=True))
        # A number is in the format if the way there and back changes nothing, whatever the way
        # does to others. This is `round`, at a tenth of its cost.
        with np.errstate(over="ignore", invalid="ignore"):
            back = array.astype(self.dtype).astype(np.float64)
        return bool((back == array).all()) or np.array_equal(back, array, equal_nan=True)


_FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format.of_dtype("float64"),
        Format.of_dtype("float32"),
        Format.of_dtype("bfloat16"),
        Format.of_dtype("float16"),
        Format.of_dtype("float8_e4m3fn"),
        Format.of_dtype("float8_e5m2"),
    )
}
FORMATS: Mapping[str, Format] = MappingProxyType(_FORMATS)
"""Every format by its name."""

COARSE = 8
"""A format of fewer significant bits than this is *coarse*: few sums of it are exact or certain."""

WORKING: tuple[str, ...] = tuple(name for name, form in FORMATS.items() if form.precision >= COARSE)
"""The formats of 16 bits and more, in which every framework does all of its arithmetic."""


DTYPES: tuple[str, ...] = tuple(name for name, form in FORMATS.items() if form.dtype is not None)
"""The formats that are dtypes of NumPy or ml_dtypes: what an adapter can hand to its framework."""


def add_format(form: Format) -> None:
    """Make a format known to everything that takes the name of a dtype.

    Raises:
        UsageError: There is one of this name, or its numbers are no subset of float64's.
    """
    if form.name in FORMATS:
        raise UsageError(f"format {form.name}: there is one of this name, wanted another name")
    if form.precision < 2 or form.emax < form.emin or not form.is_within(FORMATS["float64"]):
        raise UsageError(
            f"format {form.name}: precision={form.precision}, emin={form.emin}, emax={form.emax}, "
            f"wanted a subset of float64 with a precision of 2 bits or more"
        )
    _FORMATS[form.name] = form


def format_of(dtype: str) -> Format:
    """The format named ``dtype``.

    Raises:
        UsageError: ``dtype`` is none of the names in `FORMATS`.
    """
    try:
        return FORMATS[dtype]
    except (KeyError, TypeError):
        hint = meant(dtype, FORMATS)
        raise UsageError(f"dtype={dtype!r}: wanted one of {', '.join(FORMATS)}{hint}") from None
