"""Arrays of whole numbers times one power of two: sums of products of floats, exact and quick.

Floats are such numbers, and sums, differences and products of such numbers are too. Python's own
whole numbers do for them what rationals do, without looking for common factors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.arrays import Array

__all__ = ["Dyadics"]


class Dyadics:
    """An array of numbers n 2^e, with one e for all of them.

    Supports what the reference's forward pass needs: ``+``, ``@``, `swapaxes`, `relu`, indexing.

    Attributes:
        numbers: The n, an object array of whole numbers.
        exponent: The e.
    """

    def __init__(self, numbers: NDArray[np.object_], exponent: int) -> None:
        self.numbers = numbers
        self.exponent = exponent

    @classmethod
    def of(cls, *arrays: Array) -> list[Dyadics]:
        """Arrays of finite float64 numbers as they are, with one exponent for all of them."""
        flat = np.concatenate([array.ravel() for array in arrays])
        significand, exponent = np.frexp(flat)
        whole = np.ldexp(significand, 53).astype(np.int64)
        every = int(np.bitwise_or.reduce(whole))  # its lowest bit is the lowest of them all
        spare = max((every & -every).bit_length() - 1, 0)
        exponent[whole == 0] = least = int(exponent.min(where=whole != 0, initial=1100))
        shifts = exponent - least
        kind = np.int64 if shifts.max(initial=0) <= 9 + spare else object  # 53 bits and the sign
        numbers = ((whole >> spare).astype(kind) << shifts.astype(kind)).astype(object)
        found, start = [], 0
        for array in arrays:
            part = numbers[start : start + array.size].reshape(array.shape)
            found.append(cls(part, least - 53 + spare))
            start += array.size
        return found

    def _at(self, exponent: int) -> Any:
        """The whole numbers for an exponent that is no larger."""
        shift = self.exponent - exponent
        return self.numbers << shift if shift else self.numbers

    def __add__(self, other: Dyadics) -> Dyadics:
        exponent = min(self.exponent, other.exponent)
        return Dyadics(self._at(exponent) + other._at(exponent), exponent)

    def __matmul__(self, other: Dyadics) -> Dyadics:
        return Dyadics(self.numbers @ other.numbers, self.exponent + other.exponent)

    def relu(self) -> Dyadics:
        """max(z, 0)."""
        return Dyadics(np.maximum(self.numbers, 0), self.exponent)

    def swapaxes(self, first: int, second: int) -> Dyadics:
        """As NumPy's."""
        return Dyadics(self.numbers.swapaxes(first, second), self.exponent)

    def __getitem__(self, index: Any) -> Dyadics:
        return Dyadics(self.numbers[index], self.exponent)
