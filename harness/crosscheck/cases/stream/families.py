"""The families of cases in a sweep, their shares, and which family a case number belongs to.

A case whose gates are all certain is judged together with thousands of others; a case with a kink
takes exact arithmetic of its own, a thousand times as long. The default shares keep the second
kind to about one case in thirty thousand, so that a sweep runs at the speed of the first; the
searches of ``crosscheck run`` have half of their cases on the boundary. `Mix` changes the shares.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from crosscheck.tools.errors import UsageError

__all__ = ["DEFAULT_MIX", "FAMILIES", "HARD", "Mix"]

FAMILIES = MappingProxyType(
    {
        "uniform": "numbers uniform in (-1, 1), all bits of the significand in use",
        "gaussian": "standard normal numbers, cut at 3.7 standard deviations",
        "wide": "numbers of either sign whose exponents are uniform over a wide range",
        "dyadic": "small whole numbers, with biases k + 2^-l in layer l so that no pre-activation "
        "is zero: gradients are exact, and compared bit for bit",
        "cancelling": "uniform, with first biases that cancel all but a few bits of the sum",
        "kinks": "small whole numbers: pre-activations are often exactly zero",
        "undecided": "uniform, with first biases that cancel the sum up to its last bit",
        "special": "uniform, with NaN, infinities, subnormal, huge and signed zero numbers",
    }
)
"""The families, in the order that numbers them."""

HARD = ("kinks", "undecided", "special")
"""Families most of whose cases are not decided by the batch they are in."""


@dataclass(frozen=True)
class Mix:
    """Families and their shares.

    Attributes:
        shares: (family, share) for each family that is to occur, in any order. Shares are
            positive and relative to their sum.

    Raises:
        UsageError: A family is not known or named twice, or a share is not positive.
    """

    shares: tuple[tuple[str, float], ...]

    def __post_init__(self) -> None:
        names = [name for name, _ in self.shares]
        for name, share in self.shares:
            if name not in FAMILIES:
                raise UsageError(f"mix: no family {name!r}; wanted {', '.join(FAMILIES)}")
            if names.count(name) > 1:
                raise UsageError(f"mix: {name} is named twice")
            if not (isinstance(share, int | float) and 0 < share < float("inf")):
                raise UsageError(f"mix: {name}={share!r}, wanted a positive share")
        if not names:
            raise UsageError(f"mix: empty, wanted at least one of {', '.join(FAMILIES)}")
        order = list(FAMILIES)
        ordered = sorted(self.shares, key=lambda each: order.index(each[0]))
        object.__setattr__(self, "shares", tuple((name, float(share)) for name, share in ordered))

    @classmethod
    def parse(cls, text: str) -> Mix:
        """The mix written as ``uniform=3,kinks=1``; a name alone has the share 1.

        Raises:
            UsageError: It cannot be read.
        """
        shares = []
        for word in text.split(","):
            name, separator, share = word.strip().partition("=")
            try:
                shares.append((name, float(share) if separator else 1.0))
            except ValueError:
                raise UsageError(
                    f"mix: {word.strip()!r}, wanted FAMILY=SHARE with a number as the share"
                ) from None
        return cls(tuple(shares))

    def __str__(self) -> str:
        return ",".join(f"{name}={share:g}" for name, share in self.shares)

    def share(self, names: Sequence[str]) -> float:
        """The share, of 1, that families have together."""
        total = sum(share for _, share in self.shares)
        return sum(share for name, share in self.shares if name in names) / total

    def families(self, start: int, count: int) -> NDArray[np.int8]:
        """Families of ``count`` cases from number ``start`` on: positions in `FAMILIES`, int8.

        Case i belongs to the family in whose part of [0, 1) the van der Corput number of i lies:
        the binary digits of i, mirrored at the point. Any 2^k consecutive numbers hit each of 2^k
        equal parts once, so shares hold as closely as they can in every stretch of a stream, and
        the family of a case depends on its number alone.
        """
        edges, numbers = self.parts()
        mirrored = _mirrored(np.arange(start, start + count, dtype=np.uint64))
        found: NDArray[np.int8] = numbers[np.searchsorted(edges, mirrored, side="right")]
        return found

    def pattern(self, count: int) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """What the families of any ``count`` cases from a multiple of ``count`` on have in common.

        The van der Corput numbers of such cases are those of the first ``count`` ones, which are
        1 / count apart, and less than that more, the same for all. So a case is always of the same
        family unless a part begins within 1 / count of its number.

        Args:
            count: A power of two.

        Returns:
            Family numbers, int8; and the positions, int64, where `families` may say something
            else, not more than there are edges.
        """
        return _pattern(self, count)

    def parts(self) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
        """The parts of [0, 1) that belong to families.

        Returns:
            Where each but the first begins, float64; and the number of the family of each, int8.
        """
        return _parts(self)


@cache
def _parts(mix: Mix) -> tuple[NDArray[np.float64], NDArray[np.int8]]:
    # The hard families are first in line: number 0 is one of theirs, however small a share.
    line = sorted(mix.shares, key=lambda each: each[0] not in HARD)
    total = math.fsum(share for _, share in line)
    edges = [edge / total for edge in itertools.accumulate(share for _, share in line)][:-1]
    numbers = [list(FAMILIES).index(name) for name, _ in line]
    found = np.array(edges, dtype=np.float64), np.array(numbers, dtype=np.int8)
    for array in found:
        array.setflags(write=False)  # everybody has the same one
    return found


@cache
def _pattern(mix: Mix, count: int) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
    edges, _ = mix.parts()
    places = _mirrored(np.arange(count, dtype=np.uint64)) * count
    found = mix.families(0, count), np.flatnonzero(np.isin(places, np.floor(edges * count)))
    for array in found:
        array.setflags(write=False)
    return found


def _mirrored(numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """The binary digits of 64-bit whole numbers mirrored at the point, in [0, 1)."""
    # Bits within bytes by a table, bytes by a view.
    flipped = _MIRRORED_BYTES[np.ascontiguousarray(numbers, dtype="<u8").view(np.uint8)]
    mirrored = flipped.view(">u8").astype(np.uint64) >> np.uint64(11)  # 53 bits: exact in float64
    return mirrored.astype(np.float64) * 2.0**-53


_MIRRORED_BYTES = np.array([int(f"{byte:08b}"[::-1], 2) for byte in range(256)], dtype=np.uint8)

DEFAULT_MIX = Mix(
    (
        ("uniform", 6.0),
        ("gaussian", 1.0),
        ("wide", 4.0),
        ("dyadic", 3.0),
        ("cancelling", 2.0),
        ("kinks", 2.0**-12),
        ("undecided", 2.0**-13),
        ("special", 2.0**-13),
    )
)
"""Shares: uniform 6/16, wide 4/16, dyadic 3/16, cancelling 2/16, gaussian 1/16, nearly; and one
case in about 65,536 with kinks, one in 131,072 undecided, one in 131,072 special. A Gaussian number
takes eight random bytes where others take one."""
