"""Excluding slopes: whether any λ in [0, 1] at the open gates can give a gradient, by proof.

Take δ = λ g at each open gate as the unknown, not λ. Everything is linear in these unknowns then:
the cotangents below, g_{l-1} = δ_l W_l with δ = g at active and 0 at inactive gates, and all
entries of the gradient, Σ_r δ[r,i] a[r,j], Σ_r δ[r,i] and δ_1 W_1. The coefficients are known
exactly. A framework's entry differs from the exact value, for its own slopes, by at most its bound;
so right slopes satisfy, with exact rationals throughout,

    |entry - constant - Σ_v coefficient_v δ_v| <= room            for every entry,
    0 <= δ_v <= g_v  or  g_v <= δ_v <= 0                          for every open gate.

``room`` is the bound e of an evaluation in which each open gate is anything in [0, 1] (`Hull`),
in the mode of differentiation that the framework used: forward mode evaluates the same gradient,
so that the exact coefficients are the same and only the room differs.
Where g_v has one sign whatever the gates above it do, the second line is linear as well. Elsewhere
the pairs (g, δ) with g in [g⁻, g⁺], g⁻ < 0 < g⁺, fill two triangles, whose convex hull is

    g⁻ (g⁺ - g) / (g⁺ - g⁻) <= δ <= g⁺ (g - g⁻) / (g⁺ - g⁻)

(McCormick 1976); if the solution of the relaxed program lies in neither triangle, both signs are
tried. No solution in any branch is a proof that no slopes explain the gradient.

The entries of each unit bound its own unknowns first. Where there are more unknowns than a
program can take, those with the narrowest intervals are left out, which only makes the answer
less sharp.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Place
from crosscheck.judge.enclosed import Enclosed, leaves_bound
from crosscheck.judge.kinks.inequalities import Inequalities, Unknown
from crosscheck.network.dense import Gradients
from crosscheck.network.exact import rationals
from crosscheck.network.reference import backward_layer, loss_and_cotangent
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.tools.budget import Budget, Exhausted

__all__ = ["MOST_OPERATIONS", "MOST_PRODUCTS", "Hull", "Left", "Work", "hulls", "possible"]

MOST_OPERATIONS = 2**23
"""How many operations on rationals the search for slopes of one gradient may take: pivots, each as
many as there are numbers in its tableau, and what is done to set the programs up."""

MOST_PRODUCTS = 2**25
"""How many products on enclosures may be spent on slopes that are tried for one gradient."""

_ANY_SLOPE = float(np.nextafter(1.0, 0.0))
"""A slope whose product with a cotangent errs as much as that of any slope in [0, 1]: the bound
grows with the slope, but 0, ½ and 1 are exact."""


class Hull:
    """Gates of which some may be anything in [0, 1].

    ``hull * g`` encloses s ∘ g for every s with low <= s <= high, entry by entry: the exact value
    lies within r of c = m g with m = ½ (low + high), where r includes ½ (high - low) |g|, and a
    framework lies within e of the exact value for its own s. Where low = high the gate is known
    and the product is the usual one. In forward mode g is a tangent ż. Either way the operand may
    depend on slopes that come before: its exact value for any of them lies within its r of its c,
    and e is the rounding alone, so all bounds built on it hold for each choice of slopes.

    Attributes:
        low: Float64 array shaped as the gate, of zeros and ones.
        high: Likewise.
    """

    def __init__(self, low: Array, high: Array) -> None:
        self.low = low
        self.high = high

    def __mul__(self, cotangent: Enclosure) -> Enclosure:
        known = self.low == self.high
        center = 0.5 * (self.low + self.high) * cotangent
        worst = np.where(known, self.low, _ANY_SLOPE) * cotangent
        half = 0.5 * (self.high - self.low)
        r = (half * cotangent.size + center.r + worst.r) * (1.0 + 2.0**-48)
        e = worst.e * (1.0 + 2.0**-48)
        known = known | (cotangent.reach == 0)
        return Enclosure(
            cotangent.model,
            center.c,
            np.where(known, center.r, r),
            np.where(known, center.e, e),
        )


@dataclass(frozen=True)
class Left:
    """Slopes that could not be excluded.

    Attributes:
        gradients: The gradient on enclosures with anything in [0, 1] at the open gates.
        slopes: Slopes that solve the inequalities. Empty where the search for a solution was given
            up.
    """

    gradients: Gradients
    slopes: Mapping[Place, float] = field(default_factory=dict)


def hulls(enclosed: Enclosed) -> list[Hull | None]:
    """Every gate of a single case, anything in [0, 1] where it is open."""
    found = [None if gate is None else Hull(gate, gate.copy()) for gate in enclosed.certain_gates]
    for gate in enclosed.open_gates:
        hull = found[gate.layer - 1]
        assert hull is not None
        hull.high[gate.place.index] = 1.0
    return found


def possible(enclosed: Enclosed, given: Gradients, work: Work | None = None) -> Left | None:
    """What is left of all slopes for ``given``; ``None`` if, by proof, nothing is.

    Args:
        enclosed: A single finite case with open gates.
        given: What a framework returned for it.
        work: What was done for the same gradient in other arithmetics, and what is left to do.
    """
    work = Work() if work is None else work
    bounds = enclosed.gradients(hulls(enclosed))
    # The bounds for all slopes at once; and what no open gate can reach is judged here for good.
    for (_, bound), (_, value) in zip(bounds.entries(), given.entries(), strict=True):
        if leaves_bound(bound, value).any():
            return None
    rooms = tuple(bound.e.tobytes() for _, bound in bounds.entries())
    places = tuple(gate.place for gate in enclosed.open_gates)
    if (places, rooms) not in work.known:
        work.known[places, rooms] = _solved(enclosed, given, bounds, work.budget)
    slopes = work.known[places, rooms]
    return None if slopes is None else Left(bounds, slopes)


def _solved(
    enclosed: Enclosed, given: Gradients, bounds: Gradients, budget: Budget
) -> dict[Place, float] | None:
    """Slopes that solve the inequalities; ``None`` if there are none, empty if it gave up."""
    try:
        system = _System(enclosed, given, bounds, budget)
        return system.solve() if system.consistent else None
    except Exhausted:
        return {}


@dataclass
class Work:
    """The search for slopes of one gradient, in one arithmetic after the other.

    The inequalities depend on the arithmetic through the open gates and their room alone: where
    these are the same so is the answer.

    Attributes:
        products: What is left of the products on enclosures, of slopes that are tried.
        budget: What is left of the operations on rationals.
        known: Open gates and rooms to what was found; ``None`` if no slopes are left, empty if
            the search was given up.
    """

    products: Budget = field(default_factory=lambda: Budget(MOST_PRODUCTS))
    budget: Budget = field(default_factory=lambda: Budget(MOST_OPERATIONS))
    known: dict[tuple[object, ...], dict[Place, float] | None] = field(default_factory=dict)


class _System(Inequalities):
    """The inequalities of one gradient, built from the top layer down."""

    def __init__(
        self, enclosed: Enclosed, given: Gradients, bounds: Gradients, budget: Budget
    ) -> None:
        super().__init__(budget)
        self._places: dict[int, list[Place]] = defaultdict(list)
        for each in enclosed.open_gates:
            self._places[each.layer].append(each.place)
        size = sum(weight.size for weight in enclosed.case.weights)
        budget.spend(3 * enclosed.case.rows * size)  # two passes, and numbers as rationals
        case, trace = enclosed.case, enclosed.exact
        _, cotangent = loss_and_cotangent(case.network, trace.activations[-1], rationals(case.y))
        effects: dict[int, Any] = {}  # unknown to what one unit of it adds to its row of g
        for layer in range(case.network.depth, 0, -1):
            at = layer - 1
            weight, bias = rationals(case.weights[at]), case.biases[at]
            activation, gate = trace.activations[at], enclosed.certain_gates[at]
            reached: dict[int, Any] = {}
            for v, effect in effects.items():
                row = self.unknowns[v].place.row
                reached[v] = effect if gate is None else gate[row].astype(int) * effect
            fresh = self._new_unknowns(layer, cotangent, effects, reached)
            whole = None if gate is None else gate.astype(int)
            for_weight, for_bias, cotangent = backward_layer(
                weight, bias, activation, cotangent, whole
            )
            for unit in range(len(weight)):
                forms = {v: effect[unit] for v, effect in reached.items() if effect[unit] != 0}
                if not forms:
                    continue
                own = len(self.entries)
                bound = bounds.weights[at]
                for j in range(weight.shape[1]):
                    form = {
                        v: each * activation[self.unknowns[v].place.row, j]
                        for v, each in forms.items()
                    }
                    self.add(form, for_weight[unit, j], given.weights[at], bound, (unit, j))
                if bias is not None:
                    self.add(forms, for_bias[unit], given.biases[at], bounds.biases[at], (unit,))
                mine = [v for v in fresh if self.unknowns[v].place.unit == unit]
                if mine and not self.bound(mine, self.entries[own:]):
                    self.consistent = False
                    return
            budget.spend(2 * len(reached) * weight.size)  # with the entries of the layer
            effects = {v: each @ weight for v, each in reached.items()}
        for row in range(len(case.x)):
            here = {v: each for v, each in effects.items() if self.unknowns[v].place.row == row}
            for j in range(case.x.shape[1]):
                forms = {v: each[j] for v, each in here.items()}
                self.add(forms, cotangent[row, j], given.x, bounds.x, (row, j))

    def _new_unknowns(
        self, layer: int, cotangent: Any, effects: Mapping[int, Any], reached: dict[int, Any]
    ) -> list[int]:
        fresh = []
        for place in self._places[layer]:
            row, unit = place.row, place.unit
            form = {
                v: effect[unit]
                for v, effect in effects.items()
                if self.unknowns[v].place.row == row and effect[unit] != 0
            }
            constant = cotangent[row, unit]
            low, high = self.interval(form)
            low, high = constant + low, constant + high
            zero = constant * 0
            v = len(self.unknowns)
            self.unknowns.append(Unknown(place, constant, form, min(low, zero), max(high, zero)))
            alone = np.full(cotangent.shape[1], zero, dtype=object)
            alone[unit] = zero + 1
            reached[v] = alone
            fresh.append(v)
        return fresh
