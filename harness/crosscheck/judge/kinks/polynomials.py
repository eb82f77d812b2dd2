"""Which polynomials in the slopes of one row's open gates are zero: on rationals, by spans.

With g_v the cotangent at a gate v and D_v what δ_v = 1 adds to the entries
(`crosscheck.judge.kinks.influence`), both as polynomials in the slopes of a set S of gates: the
slopes of a layer occur in that layer alone, so g is a product of matrices in different variables,
and the span of its coefficient vectors, over all monomials, is found layer by layer (Raz and
Shpilka, *Deterministic polynomial identity testing in non-commutative models*, 2005). If U spans
those of g_l then those of δ_l are spanned by

    s ∘ u at the fixed gates and 0 at those of S, for u in U;
    the unit vector e_j, for j in S where some u in U has u_j ≠ 0,

and W_l takes them to those of g_{l-1}. g_v is zero iff every u in U has u_i = 0. For D_v the same
is done from below: let R span the functionals of δ_l that appear as coefficients in some entry.
Where layer l has a bias, or a_{l-1}[r] ≠ 0, that is all of them, and no D_v is zero. Elsewhere an
entry depends on δ_l through δ_{l-1} = s_{l-1} ∘ (δ_l W_l) only. All on rationals. A layer adds at
most one vector for each of its gates in S, so that there are never more than gates, and one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Place
from crosscheck.network.dense import Case
from crosscheck.network.exact import rationals
from crosscheck.tools.budget import Budget

__all__ = ["Row", "silent_gates"]

Vector = dict[int, Any]
"""Unit to rational; zero elsewhere."""


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
    return Row(case, gates, 0, directly, inputs, budget).silent(places, frozenset(free))


class Row:
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
