"""Explaining a gradient at open gates: which slopes λ the framework used, if any explain it.

Going down from the top layer, the cotangent g of a layer is known once the slopes above it are,
so the slopes of each unit can be read off that unit's own gradients
(`crosscheck.judge.kinks.slopes`). The cost is linear in the number of gates; nothing is enumerated
over 2^k or 3^k assignments.

What is read is then tested: with the slopes put in, every entry of the gradient has to lie
within its bound. A slope is first rounded to the nearest of 0, ½ and 1, the conventions in use,
and only kept as it was read when that fails. One open row of a unit leaves an interval of slopes.
Several open gates may leave a system without a unique solution. So where there are several, one
slope for all kinks, and the exact side of undecided gates, is tried before anything is read; then
one slope for the kinks of a layer, then each unit's possibilities, up to `BUDGET` assignments, of
wide layers up to as many as `crosscheck.judge.kinks.exclusion.Work` has products for.

An explanation holds the slopes that were tested, a number for every open gate, whether the
gradient shows it or not: what may be said of them is another question
(`crosscheck.judge.kinks.readings`). At an undecided gate the exact side is taken wherever it
explains the gradient as well.

What this search does not find is not excluded by it. So where it finds nothing, exact linear
programs decide whether any slopes are left (`crosscheck.judge.kinks.exclusion`), and a solution of
theirs is tested like the readings. Where that fails too, or the programs were too many, the
question stays open, and is reported as open.

For forward mode the search is the same, since exact gradients are, but the bounds on one layer's
own backward pass say nothing about rounding. There an entry has to lie within the reference's own
error for the slopes in question plus the largest error of forward mode for any slopes at the open
gates, which is necessary; the slopes found are then tested by containment in forward mode's own
bounds.

Under a named arithmetic (`crosscheck.numbers.named`) the coefficients of exact arithmetic say
nothing. There what the search does not find is held to the bounds of all slopes in [0, 1] together.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.judge.decisions import GateClass, Place
from crosscheck.judge.enclosed import Enclosed, leaves_bound
from crosscheck.judge.kinks.exclusion import Work, hulls, possible
from crosscheck.judge.kinks.influence import Slopes, gates_with
from crosscheck.judge.kinks.slopes import CONVENTIONS, UnitReader
from crosscheck.network.dense import Gradients
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.tools.budget import Budget, Exhausted

__all__ = ["BUDGET", "Explanation", "explain", "is_explained"]

BUDGET = 256
"""How many layer-wide assignments are tried before slopes are excluded."""

_MOST_OPTIONS = 16
"""How many fitting assignments of one unit are tried together with those of the others."""

_MOST_EXECUTED = 64
"""At how many open gates slopes are searched for under a named arithmetic, which opens many."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """How a gradient comes about.

    Attributes:
        slopes: The slopes that were tested, of every open gate; empty where none were found.
        gradients: The gradient on enclosures with these slopes, or with all slopes in [0, 1].
        found: Whether slopes were found that give the gradient. False when none were found
            and none are excluded.
    """

    slopes: Slopes
    gradients: Gradients
    found: bool = True


def explain(enclosed: Enclosed, given: Gradients, work: Work | None = None) -> Explanation | None:
    """Slopes at the open gates for which ``given`` is a correct gradient, if there are any.

    Args:
        enclosed: A single finite case.
        given: What a framework returned for it.
        work: What was done for the same gradient in other arithmetics, and what is left to do.

    Returns:
        ``None`` if, by proof, no slopes in [0, 1] explain the gradient.
    """
    with np.errstate(all="ignore"):
        if leaves_bound(enclosed.loss, given.loss).any():
            return None
        if not enclosed.open_gates:
            gradients = enclosed.certain_gradients
            return Explanation({}, gradients) if _contains(gradients, given) else None
        work = Work() if work is None else work
        if enclosed.model.arithmetic is not None:
            return _explain_executed(enclosed, given, work)
        search = _Search(enclosed, given, work.products)
        slopes = search.uniform() if len(enclosed.open_gates) > 1 else None
        if slopes is None:
            slopes = search.descend(enclosed.case.network.depth, enclosed.cotangent, {})
        if slopes is None and enclosed.derivation == "forward":
            slopes = search.uniform()
        if slopes is not None:
            slopes = _with_exact_sides(enclosed, given, slopes)
            return Explanation(slopes, enclosed.gradients(gates_with(enclosed, slopes)))
        left = possible(enclosed, given, work)
        if left is None:
            return None
        if left.slopes and is_explained(enclosed, given, left.slopes):
            slopes = _with_exact_sides(enclosed, given, left.slopes)
            return Explanation(slopes, enclosed.gradients(gates_with(enclosed, slopes)))
        return Explanation({}, left.gradients, found=False)


def is_explained(enclosed: Enclosed, given: Gradients, slopes: Slopes) -> bool:
    """Whether every entry lies within its bound for these slopes."""
    with np.errstate(all="ignore"):
        return _contains(enclosed.gradients(gates_with(enclosed, slopes)), given)


def _with_exact_sides(enclosed: Enclosed, given: Gradients, slopes: Slopes) -> Slopes:
    """The same slopes with the exact side at each undecided gate where it explains as much."""
    tries = BUDGET
    for gate in enclosed.open_gates:
        if gate.gate is GateClass.UNDECIDED and slopes[gate.place] != gate.side and tries:
            tries -= 1
            sided = {**slopes, gate.place: gate.side}
            if is_explained(enclosed, given, sided):
                slopes = sided
    return slopes


def _explain_executed(enclosed: Enclosed, given: Gradients, work: Work) -> Explanation | None:
    """`explain` under a named arithmetic, whose coefficients are not those of exact arithmetic.

    So the exact linear programs do not apply. ``None`` if the gradient is outside of what slopes in
    [0, 1] can give, all of them taken together; inside, slopes that give it may not be found.
    """
    gradients = enclosed.gradients(hulls(enclosed))
    if not _contains(gradients, given):
        return None
    search, slopes = _Search(enclosed, given, work.products), None
    if enclosed.derivation == "reverse" and len(enclosed.open_gates) <= _MOST_EXECUTED:
        slopes = search.descend(enclosed.case.network.depth, enclosed.cotangent, {})
    if slopes is None:
        slopes = search.uniform()
    if slopes is None:
        return Explanation({}, gradients, found=False)
    return Explanation(slopes, enclosed.gradients(gates_with(enclosed, slopes)))


def _contains(enclosure: Gradients, given: Gradients) -> bool:
    return not any(
        leaves_bound(bound, value).any()
        for (_, bound), (_, value) in zip(enclosure.entries(), given.entries(), strict=True)
    )


class _Search:
    """Depth-first over the layers, from the top; almost always without a second branch."""

    def __init__(self, enclosed: Enclosed, given: Gradients, products: Budget) -> None:
        self.enclosed = enclosed
        self.given = given
        self.products = products
        self.budget = BUDGET
        self.rows_of: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for gate in enclosed.open_gates:
            self.rows_of[gate.layer][gate.unit].append(gate.row)
        self.rooms: Gradients | None = None  # whose e bound forward mode's errors for any slopes
        if enclosed.derivation == "forward":
            self.rooms = enclosed.gradients(hulls(enclosed))

    def _leaves(self, bound: Enclosure, values: Any, room: Enclosure | None) -> bool:
        """Whether ``values`` are out of reach; if there is a room, its e is what counts."""
        if room is not None:
            bound = Enclosure(bound.model, bound.c, bound.r, room.e)
        return bool(leaves_bound(bound, values).any())

    def uniform(self) -> Slopes | None:
        """One slope at all kinks and the exact side at undecided gates, if that explains it."""
        for slopes in self._uniform():
            if is_explained(self.enclosed, self.given, slopes):
                return slopes
        return None

    def _uniform(self, layer: int | None = None) -> Iterator[Slopes]:
        """Such slopes, of all open gates or of those of one layer."""
        gates = [each for each in self.enclosed.open_gates if layer in (None, each.layer)]
        same: Iterable[float] = CONVENTIONS
        if all(each.gate is GateClass.UNDECIDED for each in gates):
            same = CONVENTIONS[:1]
        for slope in same:
            yield {
                each.place: slope if each.gate is not GateClass.UNDECIDED else each.side
                for each in gates
            }

    def descend(self, layer: int, cotangent: Enclosure, above: Slopes) -> Slopes | None:
        """Slopes for ``layer`` and all below it that explain the gradient, or ``None``."""
        enclosed, given, rooms, at = self.enclosed, self.given, self.rooms, layer - 1
        if layer == 0:
            if self._leaves(cotangent, given.x, None if rooms is None else rooms.x):
                return None
            if rooms is None:
                return above
            return above if is_explained(enclosed, given, above) else None
        certain = enclosed.certain_gates[at]
        for slopes in self._candidates(layer, cotangent):
            if self.budget == 0:
                return None
            self.budget -= 1
            try:
                self.products.spend(enclosed.case.rows * enclosed.case.weights[at].size)
            except Exhausted:
                return None
            gate = certain
            if certain is not None and slopes:
                gate = certain.copy()
                for place, slope in slopes.items():
                    gate[place.index] = slope
            for_weight, for_bias, below = enclosed.backward_layer(layer, cotangent, gate)
            room_of_weight = None if rooms is None else rooms.weights[at]
            room_of_bias = None if rooms is None else rooms.biases[at]
            if self._leaves(for_weight, given.weights[at], room_of_weight):
                continue
            if for_bias is not None and self._leaves(for_bias, given.biases[at], room_of_bias):
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
        rows_of = self.rows_of.get(layer, {})
        if any(len(rows) > 1 for rows in rows_of.values()):
            yield from self._uniform(layer)
        per_unit = [
            list(self._unit_options(layer, unit, rows, cotangent)) for unit, rows in rows_of.items()
        ]
        for choice in itertools.product(*per_unit):
            merged: dict[Place, float] = {}
            for options in choice:
                merged.update(options)
            yield merged

    def _unit_options(
        self, layer: int, unit: int, rows: list[int], cotangent: Enclosure
    ) -> Iterator[Slopes]:
        """Assignments for one unit that fit its own entries."""
        reader = UnitReader(self.enclosed, self.given, layer, unit, cotangent)
        heard = [row for row in rows if not reader.is_silent(row)]
        slopes = {Place.of_gate(layer, row, unit): 0.0 for row in rows}
        fitting: Iterator[tuple[float, ...]] = reader.readings(heard)
        if self.rooms is None:
            fitting = (option for option in fitting if reader.fits(heard, option))
        for option in itertools.islice(dict.fromkeys(fitting), _MOST_OPTIONS):
            yield slopes | {
                Place.of_gate(layer, row, unit): slope
                for row, slope in zip(heard, option, strict=True)
            }
