"""Windows over the axes between rows and features: (rows, positions …, features).

A window of size k with stride s, dilation d and padding p, zeros on both sides, has its entries at

    position · s + tap · d - p,    tap = 0 … k - 1,

and there are ⌊(length + 2p - d (k - 1) - 1) / s⌋ + 1 positions. Frameworks that have the features
before the positions are handed another arrangement of the axes, by their lines.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.operators.places import numbered
from crosscheck.program.graph import Shape
from crosscheck.tools.errors import UsageError

__all__ = ["Windows"]


@dataclass(frozen=True)
class Windows:
    """Windows over some axes.

    Attributes:
        size: k, for each axis.
        stride: s, likewise.
        padding: p, likewise.
        dilation: d, likewise.
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]

    def positions(self, name: str, shape: Shape) -> Shape:
        """How many positions there are along each axis.

        Args:
            name: Of the operator, in messages.
            shape: Rows, the axes, features.

        Raises:
            UsageError: It has another number of axes, or no window fits.
        """
        if len(shape) != len(self.size) + 2:
            axes = "rows, length, features" if len(self.size) == 1 else "rows, …, features"
            raise UsageError(f"{name}: shape {shape}, wanted {len(self.size) + 2} axes ({axes})")
        found = tuple(
            (length + 2 * p - d * (k - 1) - 1) // s + 1
            for length, k, s, p, d in zip(
                shape[1:-1], self.size, self.stride, self.padding, self.dilation, strict=True
            )
        )
        if min(found) < 1:
            raise UsageError(f"{name}: windows {self.size} do not fit into {shape}")
        return found

    def places(self, name: str, shape: Shape) -> NDArray[np.intp]:
        """The places of the entries of all windows.

        Args:
            name: As of `positions`.
            shape: Likewise.

        Returns:
            (rows, positions …, taps …, features), -1 for a zero of the padding.
        """
        positions = self.positions(name, shape)
        beside = [(0, 0), *((p, p) for p in self.padding), (0, 0)]
        padded = np.pad(numbered(shape), beside, constant_values=-1)
        found = np.empty((shape[0], *positions, *self.size, shape[-1]), dtype=np.intp)
        for taps in itertools.product(*map(range, self.size)):
            along = [
                slice(tap * d, tap * d + (count - 1) * s + 1, s)
                for tap, d, s, count in zip(
                    taps, self.dilation, self.stride, positions, strict=True
                )
            ]
            here: Any = (*[slice(None)] * (len(taps) + 1), *taps)
            found[here] = padded[(slice(None), *along)]
        return found
