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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crosscheck.judge.enclosed import Enclosed, leaves_bound
from crosscheck.network.dense import Gradients, LeftOut
from crosscheck.network.exact import nearest_float, rationals
from crosscheck.network.reference import backward_layer, loss_and_cotangent
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.linear_programs import maximum
from crosscheck.tools.budget import Budget, Exhausted

__all__ = ["MOST_OPERATIONS", "MOST_PRODUCTS", "Hull", "Left", "Work", "hulls", "possible"]

Site = tuple[int, int, int]
"""(layer, row, unit) of a gate."""

Rational = Any
Form = dict[int, Rational]
"""Coefficients of unknowns."""

MOST_OPERATIONS = 2**23
"""How many operations on rationals the search for slopes of one gradient may take: pivots, each as
many as there are numbers in its tableau, and what is done to set the programs up."""

MOST_PRODUCTS = 2**25
"""How many products on enclosures may be spent on slopes that are tried for one gradient."""

_MOST_UNKNOWNS = 40
_MOST_PROGRAMS = 16
_LARGEST_RANGES = 8
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
        slopes: Slopes that solve the inequalities, (layer, row, unit) to λ. Empty where the search
            for a solution was given up.
    """

    gradients: Gradients
    slopes: Mapping[Site, float] = field(default_factory=dict)


def hulls(enclosed: Enclosed) -> list[Hull | None]:
    """Every gate of a single case, anything in [0, 1] where it is open."""
    found = [None if gate is None else Hull(gate, gate.copy()) for gate in enclosed.certain_gates]
    for gate in enclosed.open_gates:
        hull = found[gate.layer - 1]
        assert hull is not None
        hull.high[gate.row, gate.unit] = 1.0
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
    sites = tuple((gate.layer, gate.row, gate.unit) for gate in enclosed.open_gates)
    if (sites, rooms) not in work.known:
        work.known[sites, rooms] = _solved(enclosed, given, bounds, work.budget)
    slopes = work.known[sites, rooms]
    return None if slopes is None else Left(bounds, slopes)


def _solved(
    enclosed: Enclosed, given: Gradients, bounds: Gradients, budget: Budget
) -> dict[Site, float] | None:
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
    known: dict[tuple[object, ...], dict[Site, float] | None] = field(default_factory=dict)


@dataclass
class _Unknown:
    """δ at one open gate: 0 <= δ <= g or g <= δ <= 0, with g = constant + form."""

    site: Site
    constant: Rational
    form: Form
    low: Rational
    high: Rational


@dataclass(frozen=True)
class _Entry:
    """|rest - form| <= room."""

    form: Form
    rest: Rational
    room: Rational


class _System:
    """The inequalities of one gradient, built from the top layer down.

    Attributes:
        consistent: False once the entries of some unit are found to exclude all slopes.
    """

    def __init__(
        self, enclosed: Enclosed, given: Gradients, bounds: Gradients, budget: Budget
    ) -> None:
        self.budget = budget
        self.unknowns: list[_Unknown] = []
        self.entries: list[_Entry] = []
        self.consistent = True
        self._sites: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for each in enclosed.open_gates:
            self._sites[each.layer].append((each.row, each.unit))
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
                row = self.unknowns[v].site[1]
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
                        v: each * activation[self.unknowns[v].site[1], j]
                        for v, each in forms.items()
                    }
                    self._add(form, for_weight[unit, j], given.weights[at], bound, (unit, j))
                if bias is not None:
                    self._add(forms, for_bias[unit], given.biases[at], bounds.biases[at], (unit,))
                mine = [v for v in fresh if self.unknowns[v].site[2] == unit]
                if mine and not self._bound(mine, self.entries[own:]):
                    self.consistent = False
                    return
            budget.spend(2 * len(reached) * weight.size)  # with the entries of the layer
            effects = {v: each @ weight for v, each in reached.items()}
        for row in range(len(case.x)):
            here = {v: each for v, each in effects.items() if self.unknowns[v].site[1] == row}
            for j in range(case.x.shape[1]):
                forms = {v: each[j] for v, each in here.items()}
                self._add(forms, cotangent[row, j], given.x, bounds.x, (row, j))

    def _new_unknowns(
        self, layer: int, cotangent: Any, effects: Mapping[int, Any], reached: dict[int, Any]
    ) -> list[int]:
        fresh = []
        for row, unit in self._sites[layer]:
            form = {
                v: effect[unit]
                for v, effect in effects.items()
                if self.unknowns[v].site[1] == row and effect[unit] != 0
            }
            constant = cotangent[row, unit]
            low, high = self._interval(form)
            low, high = constant + low, constant + high
            zero = constant * 0
            v = len(self.unknowns)
            site = (layer, row, unit)
            self.unknowns.append(_Unknown(site, constant, form, min(low, zero), max(high, zero)))
            alone = np.full(cotangent.shape[1], zero, dtype=object)
            alone[unit] = zero + 1
            reached[v] = alone
            fresh.append(v)
        return fresh

    def _add(
        self, form: Form, constant: Rational, given: Any, bound: Enclosure, at: tuple[int, ...]
    ) -> None:
        if isinstance(given, LeftOut):
            return
        form = {v: coefficient for v, coefficient in form.items() if coefficient != 0}
        room, value = float(bound.e[at]), float(given[at])
        if not form or not np.isfinite(room):
            return
        if not np.isfinite(value):
            self.consistent = False
            return
        exact, width = rationals(np.array([value, room]))
        self.entries.append(_Entry(form, exact - constant, width))

    def _interval(self, form: Form, skip: Mapping[int, int] | None = None) -> tuple[Any, Any]:
        """The range of a form, without the unknowns in ``skip``."""
        low: Any = 0
        high: Any = 0
        for v, coefficient in form.items():
            if skip is not None and v in skip:
                continue
            ends = (coefficient * self.unknowns[v].low, coefficient * self.unknowns[v].high)
            low, high = low + min(ends), high + max(ends)
        return low, high

    def _bound(self, mine: Sequence[int], entries: Sequence[_Entry]) -> bool:
        """Narrows the unknowns of one unit by the unit's own entries; False if none is left."""
        if len(mine) == 1:
            return self._bound_alone(mine[0], entries)
        program = _Program(self, mine, entries)
        if len(mine) > _LARGEST_RANGES:
            return program.largest({}) is not None
        ends = []
        for v in mine:
            for sign in (-1, 1):
                found = program.largest({v: sign})
                if found is None:
                    return False
                ends.append(found[v])
        for i, v in enumerate(mine):
            self.unknowns[v].low, self.unknowns[v].high = ends[2 * i], ends[2 * i + 1]
        return True

    def _bound_alone(self, v: int, entries: Sequence[_Entry]) -> bool:
        unknown, only = self.unknowns[v], {v: 0}
        for entry in entries:
            if v not in entry.form:
                continue
            low, high = self._interval(entry.form, only)
            ends = sorted(
                (
                    (entry.rest - high - entry.room) / entry.form[v],
                    (entry.rest - low + entry.room) / entry.form[v],
                )
            )
            unknown.low = max(unknown.low, ends[0])
            unknown.high = min(unknown.high, ends[1])
            if unknown.low > unknown.high:
                return False
        return True

    def _width(self, v: int) -> Any:
        """The width of an unknown's interval, relative to its ends."""
        unknown = self.unknowns[v]
        size = max(abs(unknown.low), abs(unknown.high))
        return (unknown.high - unknown.low) / size if size else size

    def solve(self) -> dict[Site, float] | None:
        """Slopes that solve the inequalities; ``None`` if there are none, empty if it gave up."""
        wide = [v for v, unknown in enumerate(self.unknowns) if unknown.low < unknown.high]
        wide = sorted(sorted(wide, key=self._width, reverse=True)[:_MOST_UNKNOWNS])
        program = _Program(self, wide, self.entries)
        if not program.consistent:
            return None
        branches: list[dict[int, int]] = [{}]
        for _ in range(_MOST_PROGRAMS):
            if not branches:
                return None
            signs = branches.pop()
            found = program.centre(signs)
            if found is None:
                continue
            values = [
                found.get(v, (unknown.low + unknown.high) / 2)
                for v, unknown in enumerate(self.unknowns)
            ]
            slopes: dict[Site, float] = {}
            outside = None
            for v, unknown in enumerate(self.unknowns):
                g = sum((c * values[u] for u, c in unknown.form.items()), unknown.constant)
                if g == 0:
                    slopes[unknown.site] = 0.0  # any: δ = λ g is zero
                    continue
                slope = values[v] / g
                if v not in signs and not 0 <= slope <= 1 and self.is_mixed(v):
                    outside = v
                slopes[unknown.site] = min(max(nearest_float(slope), 0.0), 1.0)
            if outside is None:
                return slopes
            branches += [{**signs, outside: -1}, {**signs, outside: 1}]
        return {} if branches else None

    def range_of_g(self, v: int) -> tuple[Any, Any]:
        """The range of the cotangent at an open gate."""
        low, high = self._interval(self.unknowns[v].form)
        return self.unknowns[v].constant + low, self.unknowns[v].constant + high

    def is_mixed(self, v: int) -> bool:
        """Whether the cotangent at an open gate may have either sign."""
        low, high = self.range_of_g(v)
        return bool(low < 0 < high)


class _Program:
    """A linear program over some of the unknowns; the others are intervals.

    Attributes:
        consistent: Whether the entries without any of these unknowns hold.
    """

    def __init__(self, system: _System, chosen: Sequence[int], entries: Sequence[_Entry]) -> None:
        self.system = system
        self.column = {v: i for i, v in enumerate(chosen)}
        self.consistent = True
        self.rows: list[tuple[list[Any], Any, Any]] = []  # coefficients, limit, share of the room
        self.unknowns = [system.unknowns[v] for v in chosen]
        self.upper = [unknown.high - unknown.low for unknown in self.unknowns]
        for entry in entries:
            low, high = system._interval(entry.form, self.column)
            for sign, most in ((1, entry.rest - low), (-1, high - entry.rest)):
                self._require(
                    {v: sign * c for v, c in entry.form.items()}, most + entry.room, entry.room
                )

    def _require(self, form: Form, limit: Any, room: Any) -> None:
        """form <= limit over the chosen unknowns, unless that always holds."""
        zero = limit * 0
        row, moved, least, most = [zero] * len(self.column), limit, zero, zero
        for v, coefficient in form.items():
            i = self.column.get(v)
            if i is not None:
                row[i] = coefficient + zero  # a rational, even if a whole number was given
                moved -= coefficient * self.unknowns[i].low
                change = coefficient * self.upper[i]
                least, most = least + min(change, zero), most + max(change, zero)
        if least > moved:
            self.consistent = False
        if most > moved - room:
            self.rows.append((row, moved, room))

    def _links(self, signs: Mapping[int, int]) -> Iterator[tuple[Form, Any]]:
        """Forms and their limits that tie each unknown to its cotangent."""
        for v, unknown in enumerate(self.system.unknowns):
            if not any(u in self.column for u in unknown.form):
                continue  # its interval says it all
            low, high = self.system.range_of_g(v)
            if v in signs:
                low, high = (max(low, 0), high) if signs[v] > 0 else (low, min(high, 0))
                yield (
                    {u: -signs[v] * c for u, c in unknown.form.items()},
                    signs[v] * unknown.constant,
                )
                yield {v: -signs[v]}, unknown.constant * 0
            if low >= 0:  # δ <= g
                yield {v: 1, **{u: -c for u, c in unknown.form.items()}}, unknown.constant
            elif high <= 0:  # g <= δ
                yield {v: -1, **unknown.form}, -unknown.constant
            else:
                span = high - low
                above = {u: -c * high / span for u, c in unknown.form.items()}
                yield {v: 1, **above}, high * (unknown.constant - low) / span
                below = {u: -c * low / span for u, c in unknown.form.items()}
                yield {v: -1, **below}, -low * (high - unknown.constant) / span

    def _solved(
        self, objective: list[Any], rows: list[list[Any]], limits: list[Any], upper: list[Any]
    ) -> dict[int, Any] | None:
        found = maximum(objective, rows, limits, upper, self.system.budget)
        if found is None:
            return None
        return {v: found[i] + self.unknowns[i].low for v, i in self.column.items()}

    def largest(self, objective: Mapping[int, int]) -> dict[int, Any] | None:
        """The unknowns where ``objective`` is largest, from the entries alone."""
        if not self.consistent:
            return None
        zero = self.upper[0] * 0
        wanted = [zero] * len(self.column)
        for v, sign in objective.items():
            wanted[self.column[v]] += sign
        return self._solved(
            wanted, [row for row, _, _ in self.rows], [most for _, most, _ in self.rows], self.upper
        )

    def centre(self, signs: Mapping[int, int]) -> dict[int, Any] | None:
        """The unknowns that keep the largest share of every entry's room."""
        if not self.column:
            return {}
        before = len(self.rows)
        consistent = self.consistent
        for form, limit in self._links(signs):
            low, _ = self.system._interval(form, self.column)
            self._require(form, limit - low, limit * 0)
        rows, self.rows = self.rows, self.rows[:before]
        holds, self.consistent = self.consistent, consistent
        if not holds:
            return None
        zero = self.upper[0] * 0
        return self._solved(
            [zero] * len(self.column) + [zero + 1],
            [[*row, room] for row, _, room in rows],
            [limit for _, limit, _ in rows],
            [*self.upper, zero + 1],
        )
