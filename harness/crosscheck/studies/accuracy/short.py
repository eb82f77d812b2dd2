"""Short arrays, which libraries work on with kernels of their own.

A kernel takes whole vectors of an array, and what is left number by number, with other formulas or
other code of the compiler's; an array shorter than a vector is all of it what is left. In
PyTorch 2.13, ``torch.rsqrt`` in float16 and bfloat16 errs by up to 0.99 roundings in whole vectors
and by 1.50 elsewhere, where 1 / sqrt is rounded twice. A verdict on a bias of three numbers needs
the N of these.

**Lengths.** PyTorch takes two vectors at a time, of 32 bytes with AVX2: what is shorter than 64
bytes is done number by number, and all such lengths have the same bits. TensorFlow takes one
vector, of 16 bytes for numbers of 16 bits. XLA compiles a program for each length. A single number
is an array that compilers, and some kernels, treat in yet another way.

**Not measured.** JAX's ``eager`` mode compiles each primitive and so runs kernels of ``jit``, but
takes a millisecond for each; its rows, and those of all modes for which `PIECES` has no entry, are
of long arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.studies.accuracy.points import Settings

__all__ = ["PIECES", "in_pieces", "lengths", "some"]

PIECES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "torch": frozenset({"eager"}),
        "tensorflow": frozenset({"eager"}),
        "jax": frozenset({"jit"}),
    }
)
"""Framework to the modes that are measured in short arrays, one call for each of them."""

_VECTOR = 32
_VECTORS: Mapping[str, Mapping[int, int]] = MappingProxyType(
    {
        "torch": MappingProxyType({2: 64, 4: 64, 8: 64}),
        "tensorflow": MappingProxyType({2: 16}),
    }
)
"""Framework to bytes of a number to the bytes that its kernels take at once, with AVX2."""

_ALONE = 64
"""Of the numbers tried in short arrays, one in so many is tried in an array of its own."""


def is_exhaustive(dtype: str) -> bool:
    """Whether all inputs of long arrays are tried in short ones: in 16 bits."""
    return format_of(dtype).precision < format_of("float32").precision


def lengths(framework: str, dtype: str) -> tuple[tuple[int, int], ...]:
    """Lengths of short arrays, and which of the inputs are tried in each: one in so many."""
    own = format_of(dtype).dtype
    assert own is not None
    size = own.itemsize
    vector = _VECTORS.get(framework, {}).get(size, _VECTOR) // size
    return ((vector - 1, 1), (1, _ALONE))


def some(size: int, also: int, dtype: str, settings: Settings) -> NDArray[np.intp]:
    """The places of the inputs that are tried in short arrays.

    Args:
        size: Of all inputs.
        also: So many of them, the last, are tried whatever the settings.
        dtype: In which dtype.
        settings: How many others, in float32 and float64.
    """
    if is_exhaustive(dtype):
        return np.arange(size)
    rest = size - also
    return np.append(np.arange(0, rest, max(1, rest // settings.short)), np.arange(rest, size))


def in_pieces(
    run: Callable[[tuple[Array, ...]], tuple[Array, Array]],
    operands: tuple[Array, ...],
    framework: str,
    dtype: str,
) -> Iterator[tuple[tuple[Array, ...], tuple[Array, Array]]]:
    """What a line gives in arrays of each of the `lengths`: operands, and both results there.

    Args:
        run: The line.
        operands: Of shape (n,) each.
        framework: Whose line it is.
        dtype: Of the numbers.
    """
    for length, every in lengths(framework, dtype):
        here = tuple(each[::every] for each in operands)
        size = here[0].size
        full = tuple(np.pad(each, (0, -size % length), mode="edge") for each in here)
        found = [
            run(tuple(each[start : start + length] for each in full))
            for start in range(0, size, length)
        ]
        first, second = (np.concatenate(parts)[:size] for parts in zip(*found, strict=True))
        yield here, (first, second)
