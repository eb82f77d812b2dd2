"""What a framework held, as float64: one array for all that have the same bits.

While a gradient is watched most arrays are seen more than once: a weight where it was sent and
where it was used, its cotangent where it was formed and where it was returned. Comparing bits takes
a small part of the time of converting them, and who asks later whether two are equal sees at once
that they are one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.arrays import Array

__all__ = ["Fetched"]

_SOME = 8


class Fetched:
    """Converts arrays, each once.

    Args:
        to_numpy: An array of the library's as one of NumPy's, of the same dtype.
        convert: The same as float64, in memory of its own.
    """

    def __init__(
        self, to_numpy: Callable[[Any], NDArray[Any]], convert: Callable[[Any], Array]
    ) -> None:
        self._to_numpy, self._convert = to_numpy, convert
        self._known: dict[Hashable, list[tuple[NDArray[Any], Array]]] = {}

    def sent(self, array: Any, as_float64: Array) -> None:
        """An array of the library's, of which the numbers are there already."""
        held = self._to_numpy(array)
        self._known.setdefault(_key(held), []).append((held, as_float64))

    def __call__(self, array: Any) -> Array:
        """An array of the library's as float64; not to be written to."""
        held = self._to_numpy(array)
        known = self._known.setdefault(_key(held), [])
        for other, found in known:
            if _place(held) == _place(other) or np.array_equal(_bits(held), _bits(other)):
                return found
        known.append((held, converted := self._convert(array)))
        return converted


def _place(array: NDArray[Any]) -> Hashable:
    """Where its numbers lie: two views of one piece of memory may have them in another order."""
    return array.__array_interface__["data"][0], array.strides


def _bits(array: NDArray[Any]) -> NDArray[Any]:
    return array.view(f"i{array.itemsize}")


def _key(array: NDArray[Any]) -> Hashable:
    """Equal for arrays of equal bits and one dtype, and seldom for others."""
    bits, middle = _bits(array), array.size // 2
    some = bits.flat[:_SOME], bits.flat[middle : middle + _SOME]
    return array.shape, array.dtype, *(each.tobytes() for each in some)
