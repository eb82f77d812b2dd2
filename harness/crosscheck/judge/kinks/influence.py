"""What the slope λ of an open gate does to the exact gradient: something, or nothing whatever.

Write λ_v for the slopes at the open gates. With everything else fixed each entry of the exact
gradient is a polynomial in them. A row r of the batch adds to it by itself, and within the row

    g_L = const,   δ_l = s_l ∘ g_l,   g_{l-1} = δ_l W_l,   s_l = λ at open gates, else 0 or 1,

so that the derivative of the whole gradient with respect to λ_v, v in layer l and unit i, is

    g_v · D_v,      g_v   the cotangent at v, a polynomial in the slopes of the layers above,
                    D_v   what δ_v = 1 adds to the entries: a_{l-1}[r] to dJ/dW_l[i], 1 to
                          dJ/db_l[i], and what comes of W_l[i] in the layers below.

These are polynomials in different variables, so that their product is the zero polynomial if and
only if one of them is. Let S be a set of open gates, and the others be fixed at their slopes. The
gradient is constant over all slopes of S jointly, S is *immaterial*, if and only if g_v or D_v is
the zero polynomial in the slopes of S, for every v in S.

Gates without influence one at a time need not be immaterial together: at λ = (½, ½) neither slope
of (2 λ_1 - 1)(2 λ_2 - 1) has any. So there may be no largest immaterial set, but there is a
canonical one. Let S₀ hold the gates that have no influence alone, which is every immaterial set's
superset, and let a gate be without influence if g_v or D_v is zero over S₀: no slopes in S₀ give
its slope any. These gates are immaterial together, since a zero polynomial stays one where some
of its variables become numbers.

Whether a polynomial is zero is decided on rationals (`crosscheck.judge.kinks.polynomials`).
Most gates need nothing of this: an enclosure shows that g_v is not zero, or that it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Place
from crosscheck.judge.enclosed import Enclosed
from crosscheck.judge.kinks.polynomials import Row
from crosscheck.network.dense import Gradients
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.tools.budget import Budget, Exhausted

__all__ = [
    "MOST_OPERATIONS",
    "Influence",
    "Slopes",
    "cotangents",
    "gates_with",
    "influences",
]

Slopes = Mapping[Place, float]
"""λ at each open gate."""

MOST_OPERATIONS = 2**21
"""How many products of rationals one gradient may take before what is left is not decided."""


class Influence(Enum):
    """What the slope of an open gate does to the exact gradient."""

    ALONE = "it changes the gradient, the other slopes as they are"
    TOGETHER = "it changes the gradient only where others that have no influence alone change too"
    NONE = "it changes nothing, whatever the others are that have no influence alone"
    UNKNOWN = "the question was given up"


def gates_with(enclosed: Enclosed, slopes: Slopes) -> list[Array | None]:
    """s_1 … s_L of a single case with these slopes at its open gates."""
    gates = [None if gate is None else gate.copy() for gate in enclosed.certain_gates]
    for place, slope in slopes.items():
        gate = gates[place.layer - 1]
        assert gate is not None
        gate[place.index] = slope
    return gates


def influences(
    enclosed: Enclosed,
    given: Gradients,
    slopes: Slopes,
    budget: Budget | None = None,
    unread: Collection[Place] = (),
) -> dict[Place, Influence]:
    """What each open gate does to those entries of the exact gradient that are there.

    Args:
        enclosed: A single finite case, in the plain arithmetic of its dtype: only its signs and
            its exact values matter.
        given: A gradient of it. What is `LEFT_OUT` does not count; its numbers do not matter.
        slopes: λ at the open gates, of this enclosure or of another one's. A gate that is open
            here and has no slope has its exact side.
        budget: What the exact part may take, `MOST_OPERATIONS` by default.
        unread: Gates that may have other slopes than these as well, whatever they influence: what
            has none has none for any of theirs.
    """
    budget = Budget(MOST_OPERATIONS) if budget is None else budget
    sides = {gate.place: gate.side for gate in enclosed.open_gates}
    gates = gates_with(enclosed, sides | dict(slopes))
    of_row: dict[int, list[Place]] = defaultdict(list)
    for place in slopes:
        of_row[place.row].append(place)
    seen = _Seen(enclosed, given, sides)
    of_layer = cotangents(enclosed, gates, min((place.layer for place in slopes), default=1))
    found = dict.fromkeys(slopes, Influence.ALONE)
    for row, places in of_row.items():
        unclear = {
            place
            for place in places
            if not (
                seen.directly(place.layer, row) and _is_not_zero(of_layer[place.layer], place.index)
            )
        }
        if not unclear:
            continue
        loose = frozenset(place for place in unread if place.row == row)
        if not loose and all(of_layer[place.layer].reach[place.index] == 0 for place in unclear):
            # From the top down: those above contribute nothing, so no slope of these does.
            found.update(dict.fromkeys(unclear, Influence.NONE))
            continue
        try:
            polynomials = Row(
                enclosed.case, gates, row, partial(seen.directly, row=row), seen.inputs, budget
            )
            found.update(_of_row(polynomials, unclear, loose))
        except Exhausted:
            found.update(dict.fromkeys(unclear, Influence.UNKNOWN))
    return found


def _of_row(
    polynomials: Row, unclear: Collection[Place], loose: frozenset[Place]
) -> dict[Place, Influence]:
    """Of those gates of a row for which no enclosure has answered."""
    alone = polynomials.silent(unclear, frozenset())
    together = polynomials.silent(alone, loose | alone) if alone else set()
    return {
        place: Influence.NONE
        if place in together
        else Influence.TOGETHER
        if place in alone
        else Influence.ALONE
        for place in unclear
    }


def cotangents(enclosed: Enclosed, gates: Sequence[Any], lowest: int) -> dict[int, Any]:
    """Enclosures of g_L … g_lowest of a single case for these gates."""
    found = {enclosed.case.network.depth: enclosed.cotangent}
    with np.errstate(all="ignore"):
        for layer in range(enclosed.case.network.depth, lowest, -1):
            *_, found[layer - 1] = enclosed.backward_layer(layer, found[layer], gates[layer - 1])
    return found


def _is_not_zero(cotangent: Any, index: tuple[int, ...]) -> bool:
    return bool(abs(cotangent.high[index]) > cotangent.margin[index])


class _Seen:
    """In which layers each row's δ shows in the entries of that layer itself."""

    def __init__(self, enclosed: Enclosed, given: Gradients, sides: Mapping[Place, float]) -> None:
        self._enclosed, self._given, self._sides = enclosed, given, sides
        self.inputs = not isinstance(given.x, LeftOut)

    def directly(self, layer: int, row: int) -> bool:
        """Whether every δ_l[r, i] has a coefficient other than zero in dJ/dW_l or dJ/db_l."""
        bias = self._given.biases[layer - 1]
        if bias is not None and not isinstance(bias, LeftOut):
            return True
        if isinstance(self._given.weights[layer - 1], LeftOut):
            return False
        if layer == 1:
            return bool(self._enclosed.case.x[row].any())
        sign = self._enclosed.signs[layer - 2]
        assert sign is not None  # hidden layers end in a ReLU
        return bool((sign[row] > 0).any()) or any(
            self._sides.get(Place.of_gate(layer - 1, row, int(unit)), 0.0) > 0
            for unit in np.flatnonzero(sign[row] == 0)
        )
