"""Six ways of drawing the numbers of a stack of networks.

All begin with standard Gaussian numbers. How far a regime goes depends on the range of the format:
what is 2^±8 in float32 would make nothing but overflow in float16, whose largest number is 2^16;
and 2^-70 there, with its products at 2^-140 just below the normal numbers of float32, is in other
formats the power of two that takes products of two of them there: five ninths of the way down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format

__all__ = ["REGIMES", "Regime"]

Regime: TypeAlias = Callable[[np.random.Generator, str, Array, Format], Array]
"""Of dice, the name of an array, its numbers with an axis over cases in front, and the format."""


def _none(rng: np.random.Generator, name: str, array: Array, form: Format) -> Array:
    """Standard Gaussian numbers."""
    return array


def _scaled_arrays(rng: np.random.Generator, name: str, array: Array, form: Format) -> Array:
    """Each array of each case times a power of two of 2^±8, or of a fifth of the range."""
    most = min(8, form.emax // 5)
    powers = rng.integers(-most, most + 1, (len(array), *[1] * (array.ndim - 1)))
    return np.ldexp(array, powers)


def _scaled_entries(rng: np.random.Generator, name: str, array: Array, form: Format) -> Array:
    """Each number times a power of two of 2^±6, or of a seventh of the range."""
    most = min(6, form.emax // 7)
    return np.ldexp(array, rng.integers(-most, most + 1, array.shape))


def _tiny_inputs(rng: np.random.Generator, name: str, array: Array, form: Format) -> Array:
    """Inputs times 2^-70, and in half of the cases each other array too."""
    power = round(form.emin * 5 / 9)
    is_tiny = rng.random((len(array), *[1] * (array.ndim - 1))) < 0.5
    return np.ldexp(array, power if name == "x" else np.where(is_tiny, power, 0))


def _small_integers(rng: np.random.Generator, name: str, array: Array, form: Format) -> Array:
    """Whole numbers from -4 to 4: exact sums, ties and breakpoints."""
    return rng.integers(-4, 5, array.shape).astype(np.float64)


def _offset(rng: np.random.Generator, name: str, array: Array, form: Format) -> Array:
    """Inputs 30 higher, so that sums cancel."""
    return array + 30.0 if name == "x" else array


REGIMES: Mapping[str, Regime] = MappingProxyType(
    {
        "none": _none,
        "scaled arrays": _scaled_arrays,
        "scaled entries": _scaled_entries,
        "tiny inputs": _tiny_inputs,
        "small integers": _small_integers,
        "offset": _offset,
    }
)
"""Every regime by name."""
