"""The slopes λ that a framework used at its open gates, read off its own gradients.

In one layer, unit i of row r contributes δ[r,i] = λ[r,i] g[r,i] to

    ∂J/∂b[i]   = Σ_r δ[r,i]              (if the layer has biases)
    ∂J/∂W[i,:] = Σ_r δ[r,i] a[r,:]

where g and a do not depend on this layer's gates. Going down from the top layer, g is known
once the slopes above are, so the slopes of a unit solve a small linear system: one unknown for
each open row, 1 + n_{l-1} equations. The cost is linear in the number of gates; nothing is
enumerated over 2^k or 3^k assignments.

What is read is then tested: with the slopes put in, every entry of the gradient has to lie
within its bound. A slope is first rounded to the nearest of 0, ½ and 1, the conventions in use,
and only kept as it was read when that fails.

One open row of a unit leaves an interval of slopes, and an empty one proves that none fits.
Several open rows are read by least squares, which may have no unique solution: then the uniform
slopes are tried, and for a few rows every assignment of 0, ½ and 1; the ones that fit the unit's
own entries are tried in the layers below, up to `BUDGET` in all. Slopes that this does not find
are not excluded by it: the gradient is then tested against `Hull`, which holds the result for
every choice of slopes in [0, 1]. Outside it, no slopes explain the gradient: that is proved.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.arithmetic.enclosure import Enclosure
from harness.enclosed import Enclosed, leaves_bound
from harness.network import Array, Gradients
from harness.reference import backward_layer
from harness.verdict import GateClass

__all__ = ["Explanation", "Hull", "explain"]

BUDGET = 256
"""How many layer-wide assignments are tried before the hull is asked."""

_CONVENTIONS = (0.0, 1.0, 0.5)
_ENUMERATED_ROWS = 5
_ANY_SLOPE = float(np.nextafter(1.0, 0.0))
"""A slope whose product with a cotangent is bounded like that of the worst slope in [0, 1]: the
bounds grow with the slope, but 0, ½ and 1 are exact."""

Slopes = Mapping[tuple[int, int, int], float | None]


@dataclass(frozen=True, eq=False)
class Explanation:
    """How a gradient comes about.

    Attributes:
        slopes: (layer, row, unit) of each open gate to λ; ``None`` where the gate has no
            effect because the upstream cotangent is zero, or where ``slopes`` could not be
            told apart (`proved` is then False).
        gradients: The gradient on enclosures with these slopes.
        proved: Whether these very slopes give the gradient; False when it merely lies in the
            hull of all slopes.
    """

    slopes: Slopes
    gradients: Gradients
    proved: bool = True


class Hull:
    """A gate that is known in some entries and anything in [0, 1] in the others.

    ``hull * g`` encloses s ∘ g for every such s: where s is open, the values between 0 and g,
    as ½ g with ½ |g| added to the bound.
    """

    def __init__(self, gate: Array, is_open: Any) -> None:
        self.gate = gate
        self.is_open = is_open

    def __mul__(self, cotangent: Enclosure) -> Enclosure:
        full = np.where(self.is_open, _ANY_SLOPE, self.gate) * cotangent
        half = np.where(self.is_open, 0.5, self.gate) * cotangent
        # Four more roundings of positive numbers, and room for the model's own product.
        widened = (full.reach + full.e + half.e + half.r) * (1.0 + 2.0**-48)
        return Enclosure(
            cotangent.model, half.c, half.r, np.where(self.is_open, widened, half.e)
        )


def explain(enclosed: Enclosed, given: Gradients) -> Explanation | None:
    """Slopes at the open gates for which ``given`` is a correct gradient, if there are any.

    Args:
        enclosed: A single finite case.
        given: What a framework returned for it.

    Returns:
        ``None`` if, by proof, no slopes in [0, 1] explain the gradient.
    """
    with np.errstate(all="ignore"):
        if leaves_bound(enclosed.loss, given.loss).any():
            return None
        if not enclosed.open_gates:
            gradients = enclosed.certain_gradients
            return Explanation({}, gradients) if _contains(gradients, given) else None
        search = _Search(enclosed, given)
        slopes = search.descend(enclosed.case.network.depth, enclosed.cotangent, {})
        if slopes is not None:
            return Explanation(slopes, enclosed.gradients(_gates(enclosed, slopes)))
        if search.exhausted:
            return None
        hull = enclosed.gradients(
            [
                None if sign is None else Hull((sign > 0) * 1.0, sign == 0)
                for sign in enclosed.signs
            ]
        )
        if not _contains(hull, given):
            return None
        unknown = {(gate.layer, gate.row, gate.unit): None for gate in enclosed.open_gates}
        return Explanation(unknown, hull, proved=False)


def _contains(enclosure: Gradients, given: Gradients) -> bool:
    return not any(
        leaves_bound(bound, value).any()
        for (_, bound), (_, value) in zip(enclosure.entries(), given.entries(), strict=True)
    )


def _gates(enclosed: Enclosed, slopes: Slopes) -> list[Array | None]:
    gates = [None if gate is None else gate.copy() for gate in enclosed.certain_gates]
    for (layer, row, unit), slope in slopes.items():
        gate = gates[layer - 1]
        assert gate is not None
        gate[row, unit] = 0.0 if slope is None else slope
    return gates


class _Search:
    """Depth-first over the layers, from the top; almost always without a second branch."""

    def __init__(self, enclosed: Enclosed, given: Gradients) -> None:
        self.enclosed = enclosed
        self.given = given
        self.budget = BUDGET
        self.exhausted = True  # whether failing means that no slopes exist

    def descend(self, layer: int, cotangent: Enclosure, above: Slopes) -> Slopes | None:
        """Slopes for ``layer`` and all below it that explain the gradient, or ``None``."""
        if layer == 0:
            return None if leaves_bound(cotangent, self.given.x).any() else above
        enclosed, given, at = self.enclosed, self.given, layer - 1
        certain = enclosed.certain_gates[at]
        for slopes in self._candidates(layer, cotangent):
            if self.budget == 0:
                self.exhausted = False
                return None
            self.budget -= 1
            gate = certain
            if certain is not None and slopes:
                gate = certain.copy()
                for (_, row, unit), slope in slopes.items():
                    gate[row, unit] = slope or 0.0
            for_weight, for_bias, below = backward_layer(
                enclosed.weights[at],
                enclosed.biases[at],
                enclosed.trace.activations[at],
                cotangent,
                gate,
            )
            if leaves_bound(for_weight, given.weights[at]).any():
                continue
            if for_bias is not None and leaves_bound(for_bias, given.biases[at]).any():
                continue
            found = self.descend(at, below, {**above, **slopes})
            if found is not None:
                return found
        return None

    def _candidates(self, layer: int, cotangent: Enclosure) -> Iterator[Slopes]:
        """Assignments for the open gates of one layer, the simplest explanation first.

        Where a unit has several open rows, one slope for all kinks of the layer, and the exact
        side for undecided gates, comes before the assignments that fit each unit's own entries.
        """
        gates = [gate for gate in self.enclosed.open_gates if gate.layer == layer]
        rows_of: dict[int, list[int]] = defaultdict(list)
        for gate in gates:
            rows_of[gate.unit].append(gate.row)
        if any(len(rows) > 1 for rows in rows_of.values()):
            for slope in _CONVENTIONS:
                yield {
                    (layer, gate.row, gate.unit): None
                    if cotangent.reach[gate.row, gate.unit] == 0
                    else slope
                    if gate.gate is not GateClass.UNDECIDED
                    else float(gate.sign > 0)
                    for gate in gates
                }
        per_unit = [
            list(self._unit_options(layer, unit, rows, cotangent))
            for unit, rows in rows_of.items()
        ]
        for choice in itertools.product(*per_unit):
            merged: dict[tuple[int, int, int], float | None] = {}
            for options in choice:
                merged.update(options)
            yield merged

    def _unit_options(
        self, layer: int, unit: int, rows: list[int], cotangent: Enclosure
    ) -> Iterator[Slopes]:
        enclosed, at = self.enclosed, layer - 1
        certain = enclosed.certain_gates[at]
        assert certain is not None
        column = cotangent[:, unit : unit + 1]
        silent = {(layer, row, unit): None for row in rows if column.reach[row, 0] == 0}
        heard = [row for row in rows if column.reach[row, 0] != 0]
        seen: set[tuple[float, ...]] = set()
        for option in self._readings(layer, unit, heard, column):
            if option in seen:
                continue
            seen.add(option)
            gate = certain[:, unit : unit + 1].copy()
            gate[heard, 0] = option
            for_weight, for_bias = self._unit_gradients(layer, unit, column, gate)
            if leaves_bound(for_weight, self.given.weights[at][unit : unit + 1]).any():
                continue
            given_bias = self.given.biases[at]
            if for_bias is not None and leaves_bound(for_bias, given_bias[unit : unit + 1]).any():
                continue
            yield {
                **silent,
                **{(layer, row, unit): slope for row, slope in zip(heard, option, strict=True)},
            }

    def _readings(
        self, layer: int, unit: int, rows: list[int], column: Enclosure
    ) -> Iterator[tuple[float, ...]]:
        """Slopes worth testing for the open rows of one unit, the likeliest first."""
        certain = self.enclosed.certain_gates[layer - 1]
        assert certain is not None
        shut = certain[:, unit : unit + 1]
        if not rows:
            yield ()
            return
        if len(rows) == 1:
            opened = shut.copy()
            opened[rows[0], 0] = 1.0
            yield from self._single_reading(layer, unit, column, shut, opened)
            return
        yield from self._joint_readings(layer, unit, rows, column, shut)

    def _single_reading(
        self, layer: int, unit: int, column: Enclosure, shut: Array, opened: Array
    ) -> Iterator[tuple[float, ...]]:
        """The interval of slopes that one open row leaves, entry by entry; maybe empty.

        With c₀, c₁ the entry at λ = 0 and 1, the framework's value is within β₀ + β₁ + β of
        c₀ + λ (c₁ - c₀) for every λ in [0, 1]: β₀ and β₁ are the bounds at the two ends, and β,
        the bound at `_ANY_SLOPE`, is that of the worst slope between. Twice that pays for
        forming the interval in float64. An empty intersection is a proof that no slope
        explains the entries.
        """
        observed, at_zero, below = self._unit_entries(layer, unit, column, shut)
        _, at_one, above = self._unit_entries(layer, unit, column, opened)
        _, _, between = self._unit_entries(
            layer, unit, column, np.where(shut == opened, shut, _ANY_SLOPE)
        )
        if not all(np.isfinite(array).all() for array in (observed, at_zero, at_one)):
            yield from ((slope,) for slope in _CONVENTIONS)
            return
        room, change = 2.0 * (below + above + between), at_one - at_zero
        # The reference's own rounding can hide a change, but then it is within the room.
        blind = np.abs(change) <= 2.0**-48 * (np.abs(at_one) + np.abs(at_zero))
        room = np.where(blind, room + np.abs(change), room)
        if (np.abs(observed - at_zero)[blind] > room[blind]).any():
            return
        ends = (observed - at_zero)[~blind] + np.multiply.outer((-1.0, 1.0), room[~blind])
        ends = np.sort(ends / change[~blind], axis=0)
        lowest = max(0.0, float(np.max(ends[0] - np.abs(ends[0]) * 2.0**-48, initial=0.0)))
        highest = min(1.0, float(np.min(ends[1] + np.abs(ends[1]) * 2.0**-48, initial=1.0)))
        if lowest > highest:
            return
        middle = 0.5 * (lowest + highest)
        for slope in sorted(_CONVENTIONS, key=lambda slope: abs(slope - middle)):
            if lowest <= slope <= highest:
                yield (slope,)
        yield (middle,)
        self.exhausted = False

    def _joint_readings(
        self, layer: int, unit: int, rows: list[int], column: Enclosure, shut: Array
    ) -> Iterator[tuple[float, ...]]:
        """Least squares over several open rows, then uniform slopes, then few assignments."""
        count = len(rows)
        observed, at_zero, _ = self._unit_entries(layer, unit, column, shut)
        columns = []
        for row in rows:
            opened = shut.copy()
            opened[row, 0] = 1.0
            columns.append(self._unit_entries(layer, unit, column, opened)[1] - at_zero)
        matrix, remainder = np.stack(columns, axis=1), observed - at_zero
        self.exhausted = False
        if np.isfinite(matrix).all() and np.isfinite(remainder).all():
            # Scaling the columns to powers of two keeps tiny and huge cotangents readable.
            peak = np.abs(matrix).max(axis=0)
            scale = np.ldexp(1.0, -np.frexp(np.where(peak > 0, peak, 1.0))[1])
            read, _, rank, _ = np.linalg.lstsq(matrix * scale, remainder, rcond=None)
            read = np.clip(np.nan_to_num(read * scale), 0.0, 1.0)
            if int(rank) == count:
                yield tuple((np.rint(read * 2.0) / 2.0).tolist())
                yield tuple(read.tolist())
            pooled = matrix.sum(axis=1)
            if pooled.any():
                shared = float(pooled @ remainder / (pooled @ pooled))
                if 0.0 <= shared <= 1.0:
                    yield (shared,) * count
        for slope in _CONVENTIONS:
            yield (slope,) * count
        if count <= _ENUMERATED_ROWS:
            yield from itertools.product(_CONVENTIONS, repeat=count)

    def _unit_entries(
        self, layer: int, unit: int, column: Enclosure, gate: Array
    ) -> tuple[Array, Array, Array]:
        """The unit's weight and bias gradients: as given, on the reference, and its bound."""
        for_weight, for_bias = self._unit_gradients(layer, unit, column, gate)
        observed = [np.asarray(self.given.weights[layer - 1][unit], dtype=np.float64)]
        values, bounds = [for_weight.high[0]], [for_weight.bound[0]]
        if for_bias is not None:
            observed.append(np.asarray(self.given.biases[layer - 1][unit : unit + 1]))
            values.append(for_bias.high)
            bounds.append(for_bias.bound)
        return np.concatenate(observed), np.concatenate(values), np.concatenate(bounds)

    def _unit_gradients(
        self, layer: int, unit: int, column: Enclosure, gate: Array
    ) -> tuple[Enclosure, Enclosure | None]:
        enclosed, at, here = self.enclosed, layer - 1, slice(unit, unit + 1)
        bias = enclosed.biases[at]
        for_weight, for_bias, _ = backward_layer(
            enclosed.weights[at][here],
            None if bias is None else bias[here],
            enclosed.trace.activations[at],
            column,
            gate,
        )
        return for_weight, for_bias
