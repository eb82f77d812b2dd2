"""The slopes λ at the open gates of one unit, read off that unit's own gradients.

In layer l, unit i of row r contributes δ[r,i] = λ[r,i] g[r,i] to

    ∂J/∂b[i]   = Σ_r δ[r,i]              (if the layer has biases)
    ∂J/∂W[i,:] = Σ_r δ[r,i] a[r,:]

where g and a do not depend on this layer's gates: a small linear system with one unknown for
each open row and 1 + n_{l-1} equations.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from harness.arithmetic.enclosure import Enclosure
from harness.enclosed import Enclosed, leaves_bound
from harness.network import Array, Gradients
from harness.reference import backward_layer

__all__ = ["CONVENTIONS", "Hull", "UnitReader"]

CONVENTIONS = (0.0, 1.0, 0.5)
"""The slopes in use at z = 0, tried before any other."""

_ENUMERATED_ROWS = 5
_ANY_SLOPE = float(np.nextafter(1.0, 0.0))
"""A slope whose product with a cotangent is bounded like that of the worst slope in [0, 1]: the
bounds grow with the slope, but 0, ½ and 1 are exact."""


class Hull:
    """Gates that are known only up to an interval within [0, 1].

    ``hull * g`` encloses s ∘ g for every s with low <= s <= high, entry by entry: its centre is
    m g with m = ½ (low + high), and ½ (high - low) |g| is added to what a product with any
    slope can err by. Where low = high the gate is known and the product is the usual one.

    Attributes:
        low: Float64 array shaped as the gate.
        high: Likewise.
    """

    def __init__(self, low: Array, high: Array) -> None:
        self.low = low
        self.high = high

    def __mul__(self, cotangent: Enclosure) -> Enclosure:
        known = self.low == self.high
        middle = np.where(known, self.low, 0.5 * (self.low + self.high))
        half = np.where(known, 0.0, 0.5 * (self.high - self.low))
        center = middle * cotangent
        worst = np.where(known, self.low, _ANY_SLOPE) * cotangent
        # Rounding of middle and half, and of this sum of positive numbers, is far below 2^-48.
        e = (half * cotangent.reach + worst.e + 2.0**-52 * cotangent.reach) * (1.0 + 2.0**-48)
        r = np.where(known, center.r, worst.r + center.r)
        return Enclosure(
            cotangent.model, center.c, r, np.where(known | (cotangent.reach == 0), center.e, e)
        )


class UnitReader:
    """Reads the slopes of one unit off one framework's gradient.

    Args:
        enclosed: A single finite case.
        given: The framework's gradient.
        layer: 1 … L.
        unit: Index within the layer.
        cotangent: Enclosure of g_l, of shape (B, n_l).
    """

    def __init__(
        self, enclosed: Enclosed, given: Gradients, layer: int, unit: int, cotangent: Enclosure
    ) -> None:
        certain = enclosed.certain_gates[layer - 1]
        assert certain is not None
        self._enclosed, self._at = enclosed, layer - 1
        self._here = slice(unit, unit + 1)
        self._column = cotangent[:, self._here]
        self._shut = certain[:, self._here]
        observed = [np.asarray(given.weights[self._at][unit], dtype=np.float64)]
        if given.biases[self._at] is not None:
            observed.append(np.asarray(given.biases[self._at][self._here], dtype=np.float64))
        self._observed = np.concatenate(observed)

    def is_silent(self, row: int) -> bool:
        """Whether the gate has no effect because its cotangent is zero."""
        return bool(self._column.reach[row, 0] == 0)

    def fits(self, rows: Sequence[int], slopes: Sequence[float]) -> bool:
        """Whether the unit's entries lie within their bounds for these slopes."""
        return not any(
            leaves_bound(bound, values).any() for bound, values in self._entries(rows, slopes)
        )

    def interval(self, row: int) -> tuple[float, float] | None:
        """The slopes in [0, 1] that ``row``, the unit's only open row, leaves; ``None`` if none.

        With c₀, c₁ an entry at λ = 0 and 1, the framework's value is within β₀ + β₁ + β of
        c₀ + λ (c₁ - c₀) for every λ in [0, 1]: β₀ and β₁ are the bounds at the two ends, and β,
        the bound at a slope without exact products, is that of the worst slope between. Twice
        that pays for forming the interval in float64. An empty intersection over the entries is
        a proof that no slope explains them.
        """
        at_zero, below = self._values_and_bounds([row], [0.0])
        at_one, above = self._values_and_bounds([row], [1.0])
        _, between = self._values_and_bounds([row], [_ANY_SLOPE])
        room, change = 2.0 * (below + above + between), at_one - at_zero
        rest = self._observed - at_zero
        usable = np.isfinite(room) & np.isfinite(change)
        if (~np.isfinite(rest) & usable).any():
            return None
        # The reference's own rounding can hide or feign a change, but then the room covers it.
        blind = usable & (np.abs(change) <= 2.0**-48 * (np.abs(at_one) + np.abs(at_zero)))
        if (np.abs(rest)[blind] > (room + np.abs(change))[blind]).any():
            return None
        used = usable & ~blind
        ends = np.sort(
            (rest[used] + np.multiply.outer((-1.0, 1.0), room[used])) / change[used], axis=0
        )
        lowest = float(np.max(ends[0] - np.abs(ends[0]) * 2.0**-48, initial=0.0))
        highest = float(np.min(ends[1] + np.abs(ends[1]) * 2.0**-48, initial=1.0))
        return (lowest, highest) if lowest <= highest else None

    def readings(self, rows: Sequence[int]) -> Iterator[tuple[float, ...]]:
        """Slopes worth testing for the open rows, the likeliest first."""
        if not rows:
            yield ()
        elif len(rows) == 1:
            interval = self.interval(rows[0])
            if interval is not None:
                lowest, highest = interval
                middle = 0.5 * (lowest + highest)
                for slope in sorted(CONVENTIONS, key=lambda slope: abs(slope - middle)):
                    if lowest <= slope <= highest:
                        yield (slope,)
                yield (middle,)
        else:
            yield from self._joint_readings(rows)

    def _joint_readings(self, rows: Sequence[int]) -> Iterator[tuple[float, ...]]:
        """Least squares over several open rows, then uniform slopes, then few assignments."""
        count = len(rows)
        at_zero, _ = self._values_and_bounds(rows, [0.0] * count)
        matrix = np.stack(
            [self._values_and_bounds([row], [1.0])[0] - at_zero for row in rows], axis=1
        )
        remainder = self._observed - at_zero
        if np.isfinite(matrix).all() and np.isfinite(remainder).all():
            yield from _least_squares(matrix, remainder)
        for slope in CONVENTIONS:
            yield (slope,) * count
        if count <= _ENUMERATED_ROWS:
            yield from itertools.product(CONVENTIONS, repeat=count)

    def _values_and_bounds(
        self, rows: Sequence[int], slopes: Sequence[float]
    ) -> tuple[Array, Array]:
        bounds = [bound for bound, _ in self._entries(rows, slopes)]
        return (
            np.concatenate([bound.high.ravel() for bound in bounds]),
            np.concatenate([bound.bound.ravel() for bound in bounds]),
        )

    def _entries(
        self, rows: Sequence[int], slopes: Sequence[float]
    ) -> Iterator[tuple[Enclosure, Any]]:
        """The unit's weight and bias gradients: enclosed, and as given."""
        enclosed, at, here = self._enclosed, self._at, self._here
        gate = self._shut.copy()
        gate[list(rows), 0] = slopes
        bias = enclosed.biases[at]
        for_weight, for_bias, _ = backward_layer(
            enclosed.weights[at][here],
            None if bias is None else bias[here],
            enclosed.trace.activations[at],
            self._column,
            gate,
        )
        inputs = for_weight.shape[-1]
        yield for_weight, self._observed[None, :inputs]
        if for_bias is not None:
            yield for_bias, self._observed[inputs:]


def _least_squares(matrix: Array, remainder: Array) -> Iterator[tuple[float, ...]]:
    """Slopes in [0, 1] that nearly solve the system: one for each row, then one for all rows.

    Only a proposal, so that neither rank nor accuracy matters for what is proved.
    """
    # One power of two for the whole system, then one for each column, keeps tiny and huge
    # cotangents readable.
    whole = np.frexp(max(np.abs(matrix).max(), np.abs(remainder).max(), 2.0**-1000))[1]
    matrix, remainder = np.ldexp(matrix, -whole), np.ldexp(remainder, -whole)
    peak = np.abs(matrix).max(axis=0)
    scale = np.ldexp(1.0, np.minimum(-np.frexp(np.where(peak > 0, peak, 1.0))[1], 1000))
    try:
        read, _, rank, _ = np.linalg.lstsq(matrix * scale, remainder, rcond=None)
    except np.linalg.LinAlgError:
        return
    read = np.clip(np.nan_to_num(read * scale), 0.0, 1.0)
    if int(rank) == matrix.shape[1]:
        yield tuple((np.rint(read * 2.0) / 2.0).tolist())
        yield tuple(read.tolist())
    pooled = matrix.sum(axis=1)
    weight = float(pooled @ pooled)
    shared = float(pooled @ remainder) / weight if weight > 0 else -1.0
    if 0.0 <= shared <= 1.0:
        yield (shared,) * matrix.shape[1]
