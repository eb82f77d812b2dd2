"""Inequalities for what decisions let through, on rationals, and their solution.

The unknowns are p_v = λ_v g_v, 0 <= λ_v <= 1, one for each open decision; g_v is a constant plus a
form in the unknowns of decisions above it. Each entry of a gradient is within its room of a
constant plus a form. See `crosscheck.judge.kinks.exclusion`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Place
from crosscheck.network.exact import nearest_float, rationals
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.linear_programs import maximum
from crosscheck.tools.budget import Budget

__all__ = ["Entry", "Form", "Inequalities", "Rational", "Unknown"]

Rational = Any
Form = dict[int, Rational]
"""Coefficients of unknowns."""

_MOST_UNKNOWNS = 40
_MOST_PROGRAMS = 16
_LARGEST_RANGES = 8


@dataclass
class Unknown:
    """p = λ g at one open decision: 0 <= p <= g or g <= p <= 0, with g = constant + form."""

    place: Place
    constant: Rational
    form: Form
    low: Rational
    high: Rational


@dataclass(frozen=True)
class Entry:
    """|rest - form| <= room."""

    form: Form
    rest: Rational
    room: Rational


class Inequalities:
    """The inequalities of one gradient.

    Attributes:
        budget: What is left of the operations on rationals.
        unknowns: The p_v, those above first.
        entries: What was given, entry by entry.
        consistent: False once some entries are found to exclude all decisions.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.unknowns: list[Unknown] = []
        self.entries: list[Entry] = []
        self.consistent = True

    def add(
        self, form: Form, constant: Rational, given: Any, bound: Enclosure, at: tuple[int, ...]
    ) -> None:
        """One entry that was given, if it depends on any decision.

        Args:
            form: What the decisions do to it.
            constant: Its exact value without them.
            given: The array that was given, or `LeftOut`.
            bound: Its bounds for all decisions at once, whose e is the room.
            at: Its index.
        """
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
        self.entries.append(Entry(form, exact - constant, width))

    def interval(self, form: Form, skip: Mapping[int, int] | None = None) -> tuple[Any, Any]:
        """The range of a form, without the unknowns in ``skip``."""
        low: Any = 0
        high: Any = 0
        for v, coefficient in form.items():
            if skip is not None and v in skip:
                continue
            ends = (coefficient * self.unknowns[v].low, coefficient * self.unknowns[v].high)
            low, high = low + min(ends), high + max(ends)
        return low, high

    def bound(self, mine: Sequence[int], entries: Sequence[Entry]) -> bool:
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

    def _bound_alone(self, v: int, entries: Sequence[Entry]) -> bool:
        unknown, only = self.unknowns[v], {v: 0}
        for entry in entries:
            if v not in entry.form:
                continue
            low, high = self.interval(entry.form, only)
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

    def solve(self) -> dict[Place, float] | None:
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
            slopes: dict[Place, float] = {}
            outside = None
            for v, unknown in enumerate(self.unknowns):
                g = sum((c * values[u] for u, c in unknown.form.items()), unknown.constant)
                if g == 0:
                    slopes[unknown.place] = 0.0  # any: δ = λ g is zero
                    continue
                slope = values[v] / g
                if v not in signs and not 0 <= slope <= 1 and self.is_mixed(v):
                    outside = v
                slopes[unknown.place] = min(max(nearest_float(slope), 0.0), 1.0)
            if outside is None:
                return slopes
            branches += [{**signs, outside: -1}, {**signs, outside: 1}]
        return {} if branches else None

    def range_of_g(self, v: int) -> tuple[Any, Any]:
        """The range of the cotangent at an open gate."""
        low, high = self.interval(self.unknowns[v].form)
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

    def __init__(
        self, system: Inequalities, chosen: Sequence[int], entries: Sequence[Entry]
    ) -> None:
        self.system = system
        self.column = {v: i for i, v in enumerate(chosen)}
        self.consistent = True
        self.rows: list[tuple[list[Any], Any, Any]] = []  # coefficients, limit, share of the room
        self.unknowns = [system.unknowns[v] for v in chosen]
        self.upper = [unknown.high - unknown.low for unknown in self.unknowns]
        for entry in entries:
            low, high = system.interval(entry.form, self.column)
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
            low, _ = self.system.interval(form, self.column)
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
