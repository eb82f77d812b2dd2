"""The sign of every pre-activation: certified where the bound allows, exact where it does not.

An enclosure of a pre-activation z says that every correct evaluation ẑ lies within its margin
of the reference's value. Where that interval misses zero the gate is the same for everyone.
Under flush-to-zero it has to miss the subnormal numbers as well, since a framework may read
them as zero. What is left open is decided with exact rationals: z = 0 or z ≠ 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.decisions import Decision, GateClass, Place
from crosscheck.network.exact import nearest_float
from crosscheck.network.reference import Trace
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.multilinear import fraction

__all__ = ["Signs", "all_gates", "certain_signs", "open_decision", "open_gates"]

Signs = NDArray[np.int8]

_ZERO = Fraction(0)


def certain_signs(z: Enclosure) -> Signs:
    """+1 where every evaluation is active, -1 where every one is inactive, 0 where it is open."""
    high, margin, least = z.high, z.margin, z.model.least
    # |high| - margin is exact near its zero (Sterbenz), so its sign is right.
    gap = np.abs(high) - margin
    clear = gap >= least if z.model.flush else gap > 0
    signs: Signs = np.where(clear, np.sign(high), 0).astype(np.int8)
    return signs


def all_gates(
    enclosures: Trace, signs: tuple[Signs | None, ...], uncertain: Sequence[Decision]
) -> tuple[Decision, ...]:
    """Every gate of a single case, certain or not, in the order of places.

    Args:
        enclosures: Forward pass on enclosures.
        signs: `certain_signs` of each layer; ``None`` for a layer without ReLU.
        uncertain: `open_gates` of the same.
    """
    known = {gate.place: gate for gate in uncertain}
    found = []
    for layer, sign in enumerate(signs, start=1):
        if sign is None:
            continue
        high = enclosures.pre_activations[layer - 1].high
        for index in np.ndindex(*sign.shape):
            place = Place(layer, index)
            if place in known:
                found.append(known[place])
            else:
                certain = GateClass.ACTIVE if sign[index] > 0 else GateClass.INACTIVE
                found.append(Decision(place, certain, float(high[index]), int(sign[index])))
    return tuple(found)


def open_gates(
    enclosures: Trace, values: Mapping[tuple[int, int, int], Any]
) -> tuple[Decision, ...]:
    """The open gates of a single case, in the order of ``values``.

    Args:
        enclosures: Forward pass on enclosures.
        values: (layer, row, unit) of each open gate to its exact pre-activation.
    """
    found = []
    for gate, value in values.items():
        place = Place.of_gate(*gate)
        enclosure: Enclosure = enclosures.pre_activations[place.layer - 1]
        found.append(open_decision(place, value, bool(enclosure.exact[place.index])))
    return tuple(found)


def open_decision(place: Place, value: Any, exact: bool, breakpoint: Fraction = _ZERO) -> Decision:
    """A decision that is open.

    Args:
        place: Where.
        value: The exact value that is decided upon, a rational.
        exact: Whether every evaluation has it without error.
        breakpoint: The nearest value at which slopes meet.
    """
    gap = fraction(value) - breakpoint if breakpoint else value
    gate = GateClass.KINK if exact else GateClass.MAYBE_MISSED
    if gap != 0:
        gate = GateClass.UNDECIDED
    rounded = nearest_float(value)
    if rounded == 0.0 and value != 0:
        rounded = TINY if value > 0 else -TINY
    if gap != 0 and breakpoint and isfinite(rounded) and Fraction(rounded) == breakpoint:
        rounded = float(np.nextafter(rounded, np.inf if gap > 0 else -np.inf))
    return Decision(place, gate, rounded, int(gap > 0) - int(gap < 0), breakpoint)
