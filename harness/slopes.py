"""The slopes λ at the open gates of one unit, read off that unit's own gradients.

In layer l, unit i of row r contributes δ[r,i] = λ[r,i] g[r,i] to

    ∂J/∂b[i]   = Σ_r δ[r,i]              (if the layer has biases)
    ∂J/∂W[i,:] = Σ_r δ[r,i] a[r,:]

where g and a do not depend on this layer's gates: a small linear system with one unknown for
each open row and 1 + n_{l-1} equations, each of which holds up to rounding. Readings are
proposals, to be tested by containment; nothing is proved here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.arithmetic.enclosure import Enclosure
from harness.enclosed import Enclosed, leaves_bound
from harness.network import Array, Gradients, LeftOut
from harness.reference import parameter_gradients

__all__ = ["CONVENTIONS", "UnitReader"]

CONVENTIONS = (0.0, 1.0, 0.5)
"""The slopes in use at z = 0, tried before any other."""

_ENUMERATED_ROWS = 8
_ANY_SLOPE = float(np.nextafter(1.0, 0.0))
"""A slope without exact products."""


@dataclass(frozen=True, eq=False)
class System:
    """The equations matrix @ λ = rest, each up to a room for rounding.

    Attributes:
        matrix: Float64 (entries, slopes).
        rest: The given entries minus those at slopes 0, (entries,).
        room: About the largest that |rest - matrix @ λ| gets by rounding, (entries,); ∞ where
            an entry says nothing.
    """

    matrix: Array
    rest: Array
    room: Array

    def admits(self, slopes: Array) -> Any:
        """Which of the slopes, of shape (..., slopes), satisfy all equations."""
        known = np.isfinite(self.room)
        matrix, rest, room = self.matrix[known], self.rest[known], self.room[known]
        # Generous by what this product in float64 can err.
        slack = room + 2.0**-46 * np.abs(matrix).sum(axis=1)
        return (np.abs(rest - slopes @ matrix.T) <= slack).all(axis=-1)

    def interval(self) -> tuple[float, float] | None:
        """The range of a single slope; ``None`` if there is none."""
        change = self.matrix[:, 0]
        known = np.isfinite(self.room)
        rest, room = self.rest, self.room
        still = known & (change == 0)
        if (np.abs(rest) > room)[still].any():
            return None
        used = known & ~still
        ends = np.sort(
            (rest[used] + np.multiply.outer((-1.0, 1.0), room[used])) / change[used], axis=0
        )
        lowest = float(np.max(ends[0] - np.abs(ends[0]) * 2.0**-48, initial=0.0))
        highest = float(np.min(ends[1] + np.abs(ends[1]) * 2.0**-48, initial=1.0))
        return (lowest, highest) if lowest <= highest else None


def _centers_and_margins(entries: Sequence[Enclosure]) -> tuple[Array, Array]:
    return (
        np.concatenate([each.high.ravel() for each in entries]),
        np.concatenate([each.margin.ravel() for each in entries]),
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
        self._cotangent, self._column = cotangent, cotangent[:, self._here]
        self._shut = certain[:, self._here]
        inputs = enclosed.case.network.widths[layer - 1]
        observed = [_part(given.weights[self._at], unit, inputs)]
        if given.biases[self._at] is not None:
            observed.append(_part(given.biases[self._at], self._here, 1))
        self._observed = np.concatenate([values for values, _ in observed])
        self._compared = np.concatenate([compared for _, compared in observed])

    def is_silent(self, row: int) -> bool:
        """Whether the gate has no effect because its cotangent is zero."""
        return bool(self._column.reach[row, 0] == 0)

    def fits(self, rows: Sequence[int], slopes: Sequence[float]) -> bool:
        """Whether the unit's entries lie within their bounds for these slopes."""
        entries = self._with(rows, slopes)
        cut = [entries[0].shape[-1]]  # weights, then the bias
        return not any(
            (leaves_bound(bound, values) & compared).any()
            for bound, values, compared in zip(
                entries, np.split(self._observed, cut), np.split(self._compared, cut), strict=False
            )
        )

    def system(self, rows: Sequence[int]) -> System:
        """The unit's entries as equations in the slopes of its open ``rows``."""
        key = ("system", self._at, self._here.start, id(self._cotangent), *rows)
        matrix, at_zero, room = self._enclosed.once(
            key, self._cotangent, lambda: self._equations(rows)
        )
        rest = self._observed - at_zero
        room = np.where(self._compared, room * (1.0 + 2.0**-40) + 2.0**-52 * np.abs(rest), np.inf)
        return System(matrix, rest, room)

    def _equations(self, rows: Sequence[int]) -> tuple[Array, Array, Array]:
        """What of `system` is the same for every gradient: matrix, entries at slopes 0, room."""
        count = len(rows)
        at_zero, margin = _centers_and_margins(self._with(rows, [0.0] * count))
        _, between = _centers_and_margins(self._with(rows, [_ANY_SLOPE] * count))
        room = margin + between
        columns = []
        for row in rows:
            only = np.zeros_like(self._shut)
            only[row, 0] = 1.0
            column, margin = _centers_and_margins(self._entries(only))
            columns.append(column)
            room = room + margin
        matrix = np.stack(columns, axis=1)
        known = np.isfinite(room) & np.isfinite(matrix).all(axis=1) & np.isfinite(at_zero)
        return matrix, at_zero, np.where(known, room, np.inf)

    def readings(self, rows: Sequence[int]) -> Iterator[tuple[float, ...]]:
        """Slopes worth testing for the open rows, the likeliest first."""
        if not rows:
            yield ()
            return
        system = self.system(rows)
        if len(rows) == 1:
            interval = system.interval()
            if interval is not None:
                lowest, highest = interval
                middle = 0.5 * (lowest + highest)
                for slope in sorted(CONVENTIONS, key=lambda slope: abs(slope - middle)):
                    if lowest <= slope <= highest:
                        yield (slope,)
                yield (middle,)
            return
        proposals = np.array([*self._joint_readings(system)])
        admitted = proposals[system.admits(proposals)]
        yield from dict.fromkeys(map(tuple, admitted.tolist()))

    @staticmethod
    def _joint_readings(system: System) -> Iterator[tuple[float, ...]]:
        """Least squares over several open rows, then uniform slopes, then few assignments."""
        count = system.matrix.shape[1]
        known = np.isfinite(system.room) & np.isfinite(system.rest)
        if known.any():
            yield from _least_squares(system.matrix[known], system.rest[known])
        for slope in CONVENTIONS:
            yield (slope,) * count
        if count <= _ENUMERATED_ROWS:
            yield from itertools.product(CONVENTIONS, repeat=count)

    def _with(self, rows: Sequence[int], slopes: Sequence[float]) -> list[Enclosure]:
        gate = self._shut.copy()
        gate[list(rows), 0] = slopes
        return self._entries(gate)

    def _entries(self, gate: Array) -> list[Enclosure]:
        """The unit's weight gradients, and its bias gradient if it has one."""
        key = (self._at, self._here.start, id(self._cotangent), gate.tobytes())
        return self._enclosed.once(key, self._cotangent, lambda: self._entries_anew(gate))

    def _entries_anew(self, gate: Array) -> list[Enclosure]:
        enclosed, at, here = self._enclosed, self._at, self._here
        bias = enclosed.biases[at]
        for_weight, for_bias = parameter_gradients(
            None if bias is None else bias[here],
            enclosed.trace.activations[at],
            gate * self._column,
        )
        return [for_weight[0]] if for_bias is None else [for_weight[0], for_bias]


def _part(given: Any, here: int | slice, count: int) -> tuple[Array, Any]:
    """A unit's own entries, of shape (count,), and whether they are there to be compared."""
    if isinstance(given, LeftOut):
        return np.full(count, np.nan), np.zeros(count, dtype=bool)
    return np.asarray(given[here], dtype=np.float64), np.ones(count, dtype=bool)


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
