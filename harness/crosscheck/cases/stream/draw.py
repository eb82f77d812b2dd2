"""Random words by counter, and numbers made of them by arithmetic that is the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from crosscheck.cases.stream.settings import Shape
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format

__all__ = [
    "BYTES",
    "EXPONENTS",
    "NORMALS",
    "SIGNS",
    "SPECIALS",
    "TABLES",
    "Draw",
    "Words",
    "normals",
    "quantiles",
    "significands",
    "trailing_zeros",
]

# What is drawn, in the third word of the counter.
BYTES, TABLES, NORMALS, EXPONENTS, SPECIALS, SIGNS = range(6)

_NORMAL_PIECES = 4096

Words = NDArray[np.uint64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Draw:
    """The random words of one block."""

    shape: Shape
    seed: int
    number: int

    def words(self, purpose: int, count: int) -> Words:
        """``count`` words of 64 bits. The lowest word of the counter counts them by fours."""
        generator = np.random.Philox(
            key=np.array([self.seed, self.shape.key], dtype=np.uint64),
            counter=np.array([0, self.number, purpose, 0], dtype=np.uint64),
        )
        return generator.random_raw(count)

    def raw_bytes(self, purpose: int, count: int) -> Bytes:
        """``count`` bytes, those of each word in little-endian order."""
        words = self.words(purpose, -(-count // 8)).astype("<u8", copy=False)
        return words.view(np.uint8)[:count]


def significands(words: Words) -> Array:
    """Numbers uniform in [1, 2), all 53 bits of the significand in use: exact."""
    return 1.0 + (words >> np.uint64(12)).astype(np.float64) * 2.0**-52


def trailing_zeros(words: Words) -> NDArray[np.int64]:
    """Zeros at the end of each word: k with the probability 2^-(k+1)."""
    lowest = words & (~words + np.uint64(1))
    return np.frexp(lowest.astype(np.float64))[1].astype(np.int64) - 1


@cache
def quantiles() -> Array:
    """Quantiles of the normal distribution at (i + ½) / 4097, to a multiple of 2^-20.

    The rounding makes them the same everywhere, whatever the last bit of a logarithm is.
    """
    normal = NormalDist()
    exact = [normal.inv_cdf((i + 0.5) / (_NORMAL_PIECES + 1)) for i in range(_NORMAL_PIECES + 1)]
    return np.array([round(value * 2**20) / 2**20 for value in exact])


def normals(draw: Draw, count: int, form: Format) -> Array:
    """Normal numbers: the quantile function, linear between 4,097 of its points.

    The upper 12 bits of a word choose the piece, the others the place on it.
    """
    points = quantiles()
    words = draw.words(NORMALS, count)
    piece = (words >> np.uint64(52)).astype(np.int64)
    place = (words & np.uint64(2**52 - 1)).astype(np.float64)
    place *= 2.0**-52
    place *= np.diff(points).take(piece)
    place += points.take(piece)
    return form.round(place)
