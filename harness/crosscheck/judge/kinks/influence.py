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

**Is a polynomial zero?** The slopes of a layer occur in that layer alone, so g is a product of
matrices in different variables, and the span of its coefficient vectors, over all monomials, is
found layer by layer (Raz and Shpilka, *Deterministic polynomial identity testing in
non-commutative models*, 2005). If U spans those of g_l then those of δ_l are spanned by

    s ∘ u at the fixed gates and 0 at those of S, for u in U;
    the unit vector e_j, for j in S where some u in U has u_j ≠ 0,

and W_l takes them to those of g_{l-1}. g_v is zero iff every u in U has u_i = 0. For D_v the same
is done from below: let R span the functionals of δ_l that appear as coefficients in some entry.
Where layer l has a bias, or a_{l-1}[r] ≠ 0, that is all of them, and no D_v is zero. Elsewhere an
entry depends on δ_l through δ_{l-1} = s_{l-1} ∘ (δ_l W_l) only. All on rationals. A layer adds at
most one vector for each of its gates in S, so that there are never more than gates, and one.

Most gates need nothing of this: an enclosure shows that g_v is not zero, or that it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Place
from crosscheck.judge.enclosed import Enclosed
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.exact import rationals
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
    "silent_gates",
]

Slopes = Mapping[Place, float]
"""λ at each open gate."""

Vector = dict[int, Any]
"""Unit to rational; zero elsewhere."""

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
            polynomials = _Row(
                enclosed.case, gates, row, partial(seen.directly, row=row), seen.inputs, budget
            )
            found.update(polynomials.influences(unclear, loose))
        except Exhausted:
            found.update(dict.fromkeys(unclear, Influence.UNKNOWN))
    return found


def silent_gates(
    case: Case,
    gates: Sequence[Any],
    directly: Callable[[int], bool],
    inputs: bool,
    places: Collection[Place],
    free: Collection[Place],
    budget: Budget,
) -> set[Place]:
    """Which gates of a single row have no influence, whatever the slopes of others are.

    Args:
        case: A finite single case with one row.
        gates: s_1 … s_L, float64 (1, n_l), read at the gates that are not free.
        directly: Whether every δ_l has a coefficient other than zero in dJ/dW_l or dJ/db_l.
        inputs: Whether dJ/dx counts.
        places: The gates, at least one.
        free: The gates that may have any slope, all in row 0.
        budget: What it may take.

    Raises:
        Exhausted: It takes more.
    """
    return _Row(case, gates, 0, directly, inputs, budget).silent(places, frozenset(free))


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


class _Row:
    """The polynomials of one row, on rationals."""

    def __init__(
        self,
        case: Case,
        gates: Sequence[Any],
        row: int,
        directly: Callable[[int], bool],
        inputs: bool,
        budget: Budget,
    ) -> None:
        self.case, self.row, self.budget = case, row, budget
        self._gates, self._directly, self._inputs = gates, directly, inputs
        self._rows: dict[tuple[int, int], Any] = {}
        self._residual: Vector | None = None

    def influences(
        self, unclear: Collection[Place], loose: frozenset[Place]
    ) -> dict[Place, Influence]:
        """Of those gates of the row for which no enclosure has answered."""
        alone = self.silent(unclear, frozenset())
        together = self.silent(alone, loose | alone) if alone else set()
        return {
            place: Influence.NONE
            if place in together
            else Influence.TOGETHER
            if place in alone
            else Influence.ALONE
            for place in unclear
        }

    def silent(self, places: Collection[Place], free: frozenset[Place]) -> set[Place]:
        """The gates for which g or D is the zero polynomial in the slopes of ``free``."""
        layers = [place.layer for place in places]
        above, below = self._above(min(layers), free), self._below(max(layers), free)
        found = set()
        for place in places:
            shows, unit = below[place.layer], place.unit
            if not any(unit in vector for vector in above[place.layer]) or not (
                shows is None or any(unit in vector for vector in shows)
            ):
                found.add(place)
        return found

    def _above(self, lowest: int, free: frozenset[Place]) -> dict[int, list[Vector]]:
        """Vectors that span the coefficients of g_L … g_lowest; of g_L up to a factor."""
        depth = self.case.network.depth
        found = {depth: [self._of_loss()]}
        for layer in range(depth, lowest, -1):
            passed = self._passed(layer, found[layer], free)
            sums = [self._times(layer, vector) for vector in passed]
            found[layer - 1] = [vector for vector in sums if vector]
        return found

    def _below(self, highest: int, free: frozenset[Place]) -> dict[int, list[Vector] | None]:
        """Functionals of δ_1 … δ_highest that span those in the entries; ``None`` for all."""
        found: dict[int, list[Vector] | None] = {}
        shows: list[Vector] | None = None if self._inputs else []  # of g_0, here
        for layer in range(1, highest + 1):
            if self._directly(layer):
                found[layer] = shows = None
                continue
            inputs = range(self.case.network.widths[layer - 1])
            if shows is None:
                units = [
                    j
                    for j in inputs
                    if layer == 1
                    or Place.of_gate(layer - 1, self.row, j) in free
                    or self._gate(layer - 1, j)
                ]
                vectors = [self._column(layer, j) for j in units]
            else:
                passed = shows if layer == 1 else self._passed(layer - 1, shows, free)
                vectors = [self._times_columns(layer, vector) for vector in passed]
            found[layer] = shows = [vector for vector in vectors if vector]
        return found

    def _passed(
        self, layer: int, vectors: Sequence[Vector], free: frozenset[Place]
    ) -> list[Vector]:
        """What the gates of a layer make of coefficient vectors."""
        fixed = []
        loose: set[int] = set()
        for vector in vectors:
            kept = {}
            for unit, value in vector.items():
                if Place.of_gate(layer, self.row, unit) in free:
                    loose.add(unit)
                elif gate := self._gate(layer, unit):
                    kept[unit] = value if gate == 1.0 else value * _rational(gate)
            if kept:
                fixed.append(kept)
        return fixed + [{unit: _rational(1.0)} for unit in sorted(loose)]

    def _gate(self, layer: int, unit: int) -> float:
        gate = self._gates[layer - 1]
        return 1.0 if gate is None else float(gate[self.row, unit])

    def _of_loss(self) -> Vector:
        """a_L - y of the row."""
        if self._residual is None:
            case, network = self.case, self.case.network
            a = _sparse(rationals(case.x[self.row]))
            for layer, (weight, bias) in enumerate(zip(case.weights, case.biases, strict=True), 1):
                live = sorted(a)
                self.budget.spend(len(weight) * (len(live) + 1))
                z = rationals(np.zeros(len(weight)) if bias is None else bias)
                if live:
                    z = z + rationals(weight[:, live]) @ np.array([a[j] for j in live], object)
                a = _sparse(z)
                if network.has_relu(layer):
                    a = {unit: value for unit, value in a.items() if value > 0}
            y = rationals(case.y[self.row])
            dense = [a.get(unit, y[0] * 0) - target for unit, target in enumerate(y)]
            self._residual = _sparse(dense)
        return self._residual

    def _times(self, layer: int, vector: Vector) -> Vector:
        """vector · W_l."""
        total: Any = None
        for unit, value in vector.items():
            self.budget.spend(self.case.network.widths[layer - 1])
            if (layer, unit) not in self._rows:
                self._rows[layer, unit] = rationals(self.case.weights[layer - 1][unit])
            added = self._rows[layer, unit] * value
            total = added if total is None else total + added
        return {} if total is None else _sparse(total)

    def _times_columns(self, layer: int, vector: Vector) -> Vector:
        """W_l · vector."""
        self.budget.spend(len(vector) * self.case.network.widths[layer])
        units = sorted(vector)
        columns = rationals(self.case.weights[layer - 1][:, units])
        return _sparse(columns @ np.array([vector[j] for j in units], object))

    def _column(self, layer: int, j: int) -> Vector:
        self.budget.spend(self.case.network.widths[layer])
        return _sparse(rationals(self.case.weights[layer - 1][:, j]))


def _rational(value: float) -> Any:
    return rationals(np.array([value]))[0]


def _sparse(values: Any) -> Vector:
    return {unit: value for unit, value in enumerate(values) if value != 0}
