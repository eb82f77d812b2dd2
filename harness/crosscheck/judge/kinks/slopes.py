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

from crosscheck.judge.enclosed import Enclosed, leaves_bound
from crosscheck.network.dense import Gradients
from crosscheck.network.reference import parameter_gradients
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure

__all__ = ["CONVENTIONS", "Equations", "System", "UnitReader", "likely_slopes"]

CONVENTIONS = (0.0, 1.0, 0.5)
"""The slopes in use at z = 0, tried before any other."""

_ENUMERATED_ROWS = 8
_ANY_SLOPE = float(np.nextafter(1.0, 0.0))
"""A slope without exact products."""


@dataclass(frozen=True, eq=False)
class System:
    """The equations matrix @ λ = rest, each up to a room for rounding; of one gradient or a stack.

    Attributes:
        matrix: Float64 ([C,] entries, slopes).
        rest: The given entries minus those at slopes 0, ([C,] entries).
        room: About the largest that |rest - matrix @ λ| gets by rounding, ([C,] entries); ∞ where
            an entry says nothing.
    """

    matrix: Array
    rest: Array
    room: Array

    def admits(self, slopes: Array) -> Any:
        """Which of the slopes, of shape (..., slopes), satisfy all equations; for one gradient."""
        known = np.isfinite(self.room)
        matrix, rest, room = self.matrix[known], self.rest[known], self.room[known]
        # Generous by what this product in float64 can err.
        slack = room + 2.0**-46 * np.abs(matrix).sum(axis=1)
        return (np.abs(rest - slopes @ matrix.T) <= slack).all(axis=-1)

    def interval(self) -> tuple[Array, Array]:
        """The range of a single slope, two arrays ([C]); not low <= high if there is none."""
        change = self.matrix[..., 0]
        known = np.isfinite(self.room)
        still = known & (change == 0)
        broken = ((np.abs(self.rest) > self.room) & still).any(axis=-1)
        used = known & ~still
        ends = self.rest + np.multiply.outer((-1.0, 1.0), self.room)
        low, high = np.sort(ends / np.where(used, change, 1.0), axis=0)
        low = np.max(low - np.abs(low) * 2.0**-48, axis=-1, where=used, initial=0.0)
        high = np.min(high + np.abs(high) * 2.0**-48, axis=-1, where=used, initial=1.0)
        return np.where(broken, np.inf, low), high


def likely_slopes(lowest: float, highest: float) -> Iterator[float]:
    """What to try for a single slope in a range: conventions nearest to its middle, the middle."""
    if not lowest <= highest:  # NaN where a quotient overflowed
        return
    middle = 0.5 * (lowest + highest)
    for slope in sorted(CONVENTIONS, key=lambda slope: abs(slope - middle)):
        if lowest <= slope <= highest:
            yield slope
    yield middle


def unit_gradients(bias: Any, activation: Any, column: Any, gate: Array) -> list[Any]:
    """A unit's weight gradients ([C,] n_{l-1}), and its bias gradient ([C,] 1) if it has one.

    Args:
        bias: ``b_l``; only whether it is ``None`` matters.
        activation: ``a_{l-1}``, ([C,] B, n_{l-1}).
        column: The unit's part of ``g_l``, ([C,] B, 1).
        gate: Its gates, ([C,] B, 1).
    """
    for_weight, for_bias = parameter_gradients(bias, activation, gate * column)
    return [for_weight[..., 0, :]] if for_bias is None else [for_weight[..., 0, :], for_bias]


@dataclass(frozen=True, eq=False)
class Equations:
    """What of a `System` is the same for every gradient.

    Attributes:
        matrix: Float64 ([C,] entries, slopes).
        at_zero: The unit's entries at slopes 0, ([C,] entries).
        room: What rounding does to entries, ([C,] entries); ∞ where nothing is known.
    """

    matrix: Array
    at_zero: Array
    room: Array

    @classmethod
    def of(cls, bias: Any, activation: Any, column: Any, shut: Array, opened: Array) -> Equations:
        """The equations of one unit, or of a stack of units.

        Args:
            bias: As for `unit_gradients`.
            activation: As for `unit_gradients`.
            column: As for `unit_gradients`.
            shut: The unit's gates, 0 where they are open, ([C,] B, 1).
            opened: For each unknown slope, 1 at its gate and 0 elsewhere, (slopes, [C,] B, 1).
        """
        gates = np.stack([shut, shut + _ANY_SLOPE * opened.sum(axis=0), *opened])
        entries = unit_gradients(bias, activation, column, gates)
        centers = np.concatenate([each.high for each in entries], axis=-1)
        margins = np.concatenate([each.margin for each in entries], axis=-1)
        room = margins[0]
        for margin in margins[1:]:
            room = room + margin
        matrix, at_zero = np.moveaxis(centers[2:], 0, -1), centers[0]
        known = np.isfinite(room) & np.isfinite(matrix).all(axis=-1) & np.isfinite(at_zero)
        return cls(matrix, at_zero, np.where(known, room, np.inf))

    def with_given(self, observed: Array, compared: Any = True) -> System:
        """The system for one gradient, or one of each.

        Args:
            observed: The unit's entries in it, ([C,] entries).
            compared: Which of them are there.
        """
        rest = observed - self.at_zero
        room = np.where(compared, self.room * (1.0 + 2.0**-40) + 2.0**-52 * np.abs(rest), np.inf)
        return System(self.matrix, rest, room)

    def __getitem__(self, index: Any) -> Equations:
        return Equations(self.matrix[index], self.at_zero[index], self.room[index])


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
        equations = self._enclosed.once(key, self._cotangent, lambda: self._equations(rows))
        return equations.with_given(self._observed, self._compared)

    def _equations(self, rows: Sequence[int]) -> Equations:
        opened = np.zeros((len(rows), *self._shut.shape))
        opened[np.arange(len(rows)), list(rows)] = 1.0
        bias, activation = self._parameters
        return Equations.of(bias, activation, self._column, self._shut, opened)

    def readings(self, rows: Sequence[int]) -> Iterator[tuple[float, ...]]:
        """Slopes worth testing for the open rows, the likeliest first."""
        if not rows:
            yield ()
            return
        system = self.system(rows)
        if len(rows) == 1:
            lowest, highest = system.interval()
            for slope in likely_slopes(float(lowest), float(highest)):
                yield (slope,)
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
        bias, activation = self._parameters
        return self._enclosed.once(
            key, self._cotangent, lambda: unit_gradients(bias, activation, self._column, gate)
        )

    @property
    def _parameters(self) -> tuple[Any, Any]:
        return self._enclosed.biases[self._at], self._enclosed.trace.activations[self._at]


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
