"""What may be said of slopes that explain a gradient: read, without effect, too small to read.

Slopes that give a gradient need not be the only ones that do. Two things are kept apart:

    the exact gradient does not depend on a slope     it has no effect
                                                      (`crosscheck.judge.kinks.influence`)
    it does, but rounding hides by how much           another of the conventions 0, ½ and 1, the
                                                      other slopes as they are, leaves *every*
                                                      entry within its bound: too small to read

Everything else is read: the slope of the simplest explanation that was found, where slopes that
differ at several gates together may explain the gradient as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from crosscheck.judge.decisions import Decision, Effect, GateClass, GateReading, Place
from crosscheck.judge.enclosed import Enclosed
from crosscheck.judge.kinks.explanation import Explanation, is_explained
from crosscheck.judge.kinks.influence import (
    Influence,
    Slopes,
    cotangents,
    gates_with,
    influences,
)
from crosscheck.judge.kinks.slopes import CONVENTIONS, UnitReader
from crosscheck.network.dense import Gradients
from crosscheck.tools.budget import Budget, Exhausted

__all__ = ["MOST_PRODUCTS", "gate_readings", "reading_of"]

MOST_PRODUCTS = 2**25
"""How many products on enclosures the question takes, whether slopes are too small to read."""


def gate_readings(
    enclosed: Enclosed, plain: Enclosed, given: Gradients, explanation: Explanation
) -> tuple[GateReading, ...]:
    """The open gates with what is known of the slopes that were used there.

    Args:
        enclosed: A single finite case, in the arithmetic that explains the gradient.
        plain: The same in the arithmetic of its dtype, whose exact values are the case's.
        given: The gradient.
        explanation: How it comes about, on ``enclosed``.
    """
    slopes = explanation.slopes
    if not explanation.found:
        return tuple(
            reading_of(gate, gate.side, Effect.NOT_DECIDED) for gate in enclosed.open_gates
        )
    effects = _effects(enclosed, plain, given, slopes)
    return tuple(
        reading_of(gate, slopes[gate.place], effects[gate.place]) for gate in enclosed.open_gates
    )


def reading_of(gate: Decision, slope: float, effect: Effect) -> GateReading:
    """An open gate with the slope that was tested there, which is shown only if it was read."""
    return GateReading(
        place=gate.place,
        gate=gate.gate,
        value=gate.value,
        slope=slope if effect is Effect.READ else None,
        flipped=gate.gate is GateClass.UNDECIDED
        and slope != gate.side
        and effect in (Effect.READ, Effect.TOO_SMALL),
        effect=effect,
    )


_EFFECTS = {
    Influence.NONE: Effect.NONE,
    Influence.TOGETHER: Effect.READ,
    Influence.UNKNOWN: Effect.NOT_DECIDED,
}


def _effects(
    enclosed: Enclosed, plain: Enclosed, given: Gradients, slopes: Slopes
) -> dict[Place, Effect]:
    found = {}
    smallness = _Smallness(enclosed, given, slopes)
    if enclosed.model.arithmetic is not None:  # exact arithmetic says nothing about it
        return {place: smallness.effect(place) for place in slopes}
    for place, influence in influences(plain, given, slopes).items():
        found[place] = _EFFECTS.get(influence) or smallness.effect(place)
    small = [place for place, effect in found.items() if effect is Effect.TOO_SMALL]
    if small and Effect.NONE in found.values():
        # With another slope where it is too small to read, these might have an effect.
        for place, influence in influences(plain, given, slopes, unread=small).items():
            if found[place] is Effect.NONE:
                found[place] = _EFFECTS[influence]
    return found


class _Smallness:
    """Whether the slopes of gates with an effect are too small to read."""

    def __init__(self, enclosed: Enclosed, given: Gradients, slopes: Slopes) -> None:
        self.enclosed, self.given, self.slopes = enclosed, given, slopes
        case = enclosed.case
        self._size = case.rows * sum(weight.size for weight in case.weights)
        self._budget = Budget(MOST_PRODUCTS)
        self._rows: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place in slopes:
            self._rows[place.layer, place.unit].append(place.row)
        lowest = min((place.layer for place in slopes), default=1)
        self._cotangents = cotangents(enclosed, gates_with(enclosed, slopes), lowest)

    def effect(self, place: Place) -> Effect:
        """Of the gate at ``place``, the others as they are."""
        try:
            for other in self._others(place):
                self._budget.spend(self._size)
                if is_explained(self.enclosed, self.given, {**self.slopes, place: other}):
                    return Effect.TOO_SMALL
        except Exhausted:
            return Effect.NOT_DECIDED
        return Effect.READ

    def _others(self, place: Place) -> Iterator[float]:
        """The other conventions that the unit's own entries do not exclude."""
        layer, unit = place.layer, place.unit
        rows, slope = self._rows[layer, unit], self.slopes[place]
        reader = UnitReader(self.enclosed, self.given, layer, unit, self._cotangents[layer])
        # Entries are affine in one slope: the nearest convention on either side is enough.
        nearest = {max((c for c in CONVENTIONS if c < slope), default=slope)}
        nearest.add(min((c for c in CONVENTIONS if c > slope), default=slope))
        for other in sorted(nearest - {slope}):
            changed = {**self.slopes, place: other}
            with np.errstate(all="ignore"):
                # Bounds of forward mode's own are not those of the unit's entries here.
                if self.enclosed.derivation == "forward" or reader.fits(
                    rows, [changed[Place.of_gate(layer, row, unit)] for row in rows]
                ):
                    yield other
