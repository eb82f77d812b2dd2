"""Inputs: all numbers of a dtype, or some of them by a rule that anyone can repeat."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.accuracy import Sample
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.elementary import Elementary
from crosscheck.numbers.formats import format_of

__all__ = [
    "BRIEF",
    "SETTINGS",
    "Settings",
    "bins",
    "chunks",
    "points",
    "samples",
    "scales_of_bins",
]


@dataclass(frozen=True)
class Settings:
    """Which numbers are tried.

    Attributes:
        stride: Of float32, every so many-th bit pattern, from that of 0 on.
        count: Of float64, so many numbers for each function.
        seed: Of these.
        thin: Of both dtypes, every so many-th of those.
        short: Of both dtypes, about so many of these in short arrays.
    """

    stride: int = 401
    count: int = 100_000
    seed: int = 1
    thin: int = 1
    short: int = 4_000


SETTINGS = Settings()
"""Those of the committed record."""

BRIEF = replace(SETTINGS, thin=101)
"""A part of these, for a look that takes minutes."""

_ALL = 1 << 16


def samples(settings: Settings) -> dict[str, Sample]:
    """What is tried of each dtype, in words."""
    some = "" if settings.thin == 1 else f", of these one in {settings.thin:,}"
    stride = settings.stride
    return {
        "float64": Sample(f"{settings.count:,} numbers, seed {settings.seed}{some}", False),
        "float32": Sample(
            ("all numbers" if stride == 1 else f"one bit pattern in {stride:,}") + some,
            stride * settings.thin == 1,
        ),
        **dict.fromkeys(("bfloat16", "float16"), Sample(f"all {_ALL:,} bit patterns", True)),
    }


def points(function: Elementary, dtype: str, settings: Settings = SETTINGS) -> tuple[Array, ...]:
    """Inputs within a function's domain, subnormal ones among them, none twice in one operand.

    Args:
        function: Whose.
        dtype: A dtype of `samples`.
        settings: Which.

    Returns:
        x, and y where there is one: float64 arrays of one shape, of numbers of the dtype. y is of
        random size around 1, the same for each framework.
    """
    if dtype == "float64":
        x = _sampled(function, settings)
    elif dtype == "float32":
        x = _of_bits(np.arange(0, 1 << 32, settings.stride, dtype=np.uint64), dtype)
    else:
        x = _of_bits(np.arange(_ALL, dtype=np.uint64), dtype)
    x = x[function.is_within(x)]
    some = slice(None, None, settings.thin if dtype in ("float64", "float32") else 1)
    if function.operands == 1:
        return (x[some],)
    rng = np.random.default_rng(settings.seed)
    y = np.ldexp(rng.uniform(1.0, 2.0, x.shape), rng.integers(-8, 9, x.shape))
    return x[some], format_of(dtype).round(np.where(rng.random(x.shape) < 0.5, -y, y))[some]


def _of_bits(bits: NDArray[np.uint64], dtype: str) -> Array:
    form = format_of(dtype)
    assert form.dtype is not None
    own = bits.astype(f"u{form.dtype.itemsize}").view(form.dtype)
    with np.errstate(invalid="ignore"):  # signalling NaN
        return own.astype(np.float64)


_NEAR = 64.0
"""Within this of 0 most functions do what they do."""


def _sampled(function: Elementary, settings: Settings) -> Array:
    """A third each of all bit patterns, of sizes from 2^-40 to 2^10, and evenly from -64 to 64."""
    rng = np.random.default_rng([settings.seed, *function.name.encode()])
    third = settings.count // 3
    bits = rng.integers(0, 1 << 64, third, dtype=np.uint64)
    sizes = np.ldexp(rng.uniform(1.0, 2.0, third), rng.integers(-40, 10, third))
    signed = np.where(rng.random(third) < 0.5, -sizes, sizes)
    evenly = rng.uniform(-_NEAR, _NEAR, settings.count - 2 * third)
    x = np.concatenate([bits.view(np.float64), signed, evenly])
    mirrored = np.where(function.is_within(-x) & ~function.is_within(x), -x, x)
    return np.unique(mirrored[function.is_within(mirrored)])


_FINE, _COARSE = 6, 16
"""Exponents from -6 to 6 have a bin each, those beyond one for sixteen."""


def _edges(dtype: str) -> list[int]:
    form = format_of(dtype)
    inner = range(-_FINE, _FINE + 1)
    left = range(-_FINE, form.emin, -_COARSE)
    right = range(_FINE, form.emax + 1, _COARSE)
    return sorted({*inner, *left, *right})


def bins(x: Array, dtype: str) -> NDArray[np.intp]:
    """The bin of each number: those of negative numbers first, the largest in size first."""
    edges = np.array(_edges(dtype))
    exponent = np.frexp(x)[1] - 1
    exponent = np.where(x == 0, edges[0], exponent)
    right = np.clip(np.searchsorted(edges, exponent, side="right") - 1, 0, len(edges) - 1)
    return np.where(x < 0, len(edges) - 1 - right, len(edges) + right).astype(np.intp)


def scales_of_bins(dtype: str) -> list[float]:
    """The size that each bin begins with, negative for negative numbers."""
    edges = _edges(dtype)
    return [-math.ldexp(1.0, e) for e in reversed(edges)] + [math.ldexp(1.0, e) for e in edges]


def chunks(size: int, length: int) -> Iterator[slice]:
    """Slices of at most ``length`` that cover ``size``."""
    for start in range(0, size, length):
        yield slice(start, min(size, start + length))
