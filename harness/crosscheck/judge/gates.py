"""The sign of every pre-activation: certified where the bound allows, exact where it does not.

An enclosure of a pre-activation z says that every correct evaluation ẑ lies within its margin
of the reference's value. Where that interval misses zero the gate is the same for everyone.
Under flush-to-zero it has to miss the subnormal numbers as well, since a framework may read
them as zero. What is left open is decided with exact rationals: z = 0 or z ≠ 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.verdict import GateClass
from crosscheck.network.exact import nearest_float
from crosscheck.network.reference import Trace
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import TINY

__all__ = ["Gate", "OpenGate", "Signs", "all_gates", "certain_signs", "open_gate", "open_gates"]

Signs = NDArray[np.int8]


@dataclass(frozen=True)
class OpenGate:
    """A gate that is not the same for every correct evaluation.

    Attributes:
        layer: 1 … L.
        row: Row of the batch, from 0.
        unit: Index within the layer, from 0.
        gate: ``KINK``, ``MAYBE_MISSED`` or ``UNDECIDED``.
        pre_activation: The exact z rounded to float64, to its smallest number where it would
            vanish: 0.0 only if z is zero.
        sign: Sign of the exact z.
    """

    layer: int
    row: int
    unit: int
    gate: GateClass
    pre_activation: float
    sign: int


def certain_signs(z: Enclosure) -> Signs:
    """+1 where every evaluation is active, -1 where every one is inactive, 0 where it is open."""
    high, margin, least = z.high, z.margin, z.model.least
    # |high| - margin is exact near its zero (Sterbenz), so its sign is right.
    gap = np.abs(high) - margin
    clear = gap >= least if z.model.flush else gap > 0
    signs: Signs = np.where(clear, np.sign(high), 0).astype(np.int8)
    return signs


def _never_vanishing(value: Any) -> float:
    rounded = nearest_float(value)
    if rounded != 0.0 or value == 0:
        return rounded
    return float(np.copysign(TINY, 1 if value > 0 else -1))


@dataclass(frozen=True)
class Gate:
    """One pre-activation and what is known of its sign.

    Attributes:
        layer: 1 … L.
        row: Row of the batch, from 0.
        unit: Index within the layer, from 0.
        gate: Its class.
        pre_activation: The reference's z as float64; exact where it is not certain.
    """

    layer: int
    row: int
    unit: int
    gate: GateClass
    pre_activation: float

    def __str__(self) -> str:
        where = f"layer {self.layer}, unit {self.unit}, row {self.row}"
        return f"{where}: {self.gate}, z = {self.pre_activation.hex()}"


def all_gates(
    enclosures: Trace, signs: tuple[Signs | None, ...], uncertain: Sequence[OpenGate]
) -> tuple[Gate, ...]:
    """Every gate of a single case, certain or not, in the order layer, row, unit.

    Args:
        enclosures: Forward pass on enclosures.
        signs: `certain_signs` of each layer; ``None`` for a layer without ReLU.
        uncertain: `open_gates` of the same.
    """
    known = {(gate.layer, gate.row, gate.unit): gate for gate in uncertain}
    found = []
    for layer, sign in enumerate(signs, start=1):
        if sign is None:
            continue
        high = enclosures.pre_activations[layer - 1].high
        for row, unit in np.ndindex(*sign.shape):
            if (layer, row, unit) in known:
                gate = known[layer, row, unit]
                found.append(Gate(layer, row, unit, gate.gate, gate.pre_activation))
            else:
                certain = GateClass.ACTIVE if sign[row, unit] > 0 else GateClass.INACTIVE
                found.append(Gate(layer, row, unit, certain, float(high[row, unit])))
    return tuple(found)


def open_gates(
    enclosures: Trace, values: Mapping[tuple[int, int, int], Any]
) -> tuple[OpenGate, ...]:
    """The open gates of a single case, in the order of ``values``.

    Args:
        enclosures: Forward pass on enclosures.
        values: (layer, row, unit) of each open gate to its exact pre-activation.
    """
    found = []
    for (layer, row, unit), value in values.items():
        enclosure: Enclosure = enclosures.pre_activations[layer - 1]
        found.append(open_gate(layer, row, unit, value, bool(enclosure.exact[row, unit])))
    return tuple(found)


def open_gate(layer: int, row: int, unit: int, value: Any, exact: bool) -> OpenGate:
    """One gate that is open.

    Args:
        layer: 1 … L.
        row: Row of the batch, from 0.
        unit: Index within the layer, from 0.
        value: The exact pre-activation.
        exact: Whether every evaluation has it without error.
    """
    if value != 0:
        gate = GateClass.UNDECIDED
    else:
        gate = GateClass.KINK if exact else GateClass.MAYBE_MISSED
    sign = int(value > 0) - int(value < 0)
    return OpenGate(layer, row, unit, gate, _never_vanishing(value), sign)
