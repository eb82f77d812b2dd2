"""What was found of the steps of a gradient, and what that says of each case."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.entries import entry_of
from crosscheck.judge.local.record import AnyRecord
from crosscheck.judge.local.step import OpenPlace, Part, StepBounds
from crosscheck.judge.verdict import Entry
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format
from crosscheck.numbers.model import Model

__all__ = ["Check", "Comparison", "Flags", "LocalReading", "OfCase", "Wrong"]

Flags: TypeAlias = NDArray[np.bool_]
"""Case by case, of shape (C,), or entry by entry."""


@dataclass(frozen=True)
class Wrong:
    """The first thing in one case that is not as it may be.

    Attributes:
        step: Id of the step.
        operator: Of the step; empty for a sum of cotangents.
        what: What is wrong, for people.
        entry: The worst entry; ``None`` where numbers are not the same that have to be.
    """

    step: str
    operator: str
    what: str
    entry: Entry | None = None

    def __str__(self) -> str:
        where = f"step {self.step} ({self.operator})" if self.operator else self.step
        said = f"{where}: {self.what}"
        if self.entry is None:
            return said
        entry = self.entry
        return (
            f"{said} is {entry.given!r} at {entry.name}, wanted {entry.reference!r} "
            f"within {entry.bound:.3g}"
        )


@dataclass(frozen=True)
class LocalReading:
    """A decision at a breakpoint, as one step made it.

    Attributes:
        step: Its id.
        operator: Of the step.
        index: In the step's operand, within one case.
        value: The number that was decided upon, as it was held.
        slope: λ; ``None`` where any gives the same.
        is_exact: Whether the number is the breakpoint itself.
    """

    step: str
    operator: str
    index: tuple[int, ...]
    value: float
    slope: float | None
    is_exact: bool


@dataclass(frozen=True)
class OfCase:
    """What is said of one case, in a few numbers.

    Attributes:
        records: How many records there are.
        compared: How many numbers were compared.
        unbounded: How many of them have no bound.
        worst: The largest error / bound, each in the arithmetic that explains it best.
        left_out: Whether nothing is said, since there are numbers that are not finite.
        wrong: What is wrong; ``None`` if nothing is.
        names: The named arithmetics that explain it; empty where none is needed.
        is_gradual: Whether gradual underflow explains it.
        is_read: Whether λ was read at some breakpoint.
        untold: The first thing that is explained only by what would explain an error of 1 % as
            well; empty if nothing is.
    """

    records: int
    compared: int
    unbounded: int
    worst: float
    left_out: bool
    wrong: Wrong | None
    names: tuple[str, ...]
    is_gradual: bool
    is_read: bool
    untold: str = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """One comparison: of a record's part, of a sum, or of numbers that have to be the same.

    Attributes:
        step: Id of the step, or the name of an array.
        operator: See `Wrong`.
        what: Likewise.
        parts: By arithmetic, tried in this order: the arrays compared.
        ok: By arithmetic, of shape (C,): where it is inside.
        same: Where numbers that have to be the same are; ``None`` if it is no such comparison.
        told: Of shape (C,): where what explains it would not explain an error of 1 % as well, see
            `crosscheck.judge.local.ways`; ``None`` if that is no question.
    """

    step: str
    operator: str
    what: str
    parts: Sequence[Part]
    ok: Sequence[Flags]
    same: Flags | None = None
    told: Flags | None = None


class Check:
    """What was found of one recorded gradient, of C cases.

    Attributes:
        models: The arithmetics that were tried: gradual underflow, flush-to-zero, named ones.
        records: How many records there are.
        left_out: (C,) bool: cases with numbers that are not finite, of which nothing is said.
    """

    def __init__(
        self,
        form: Format,
        stacked: bool,
        models: Sequence[Model],
        checked: Sequence[Comparison],
        readings: Sequence[tuple[AnyRecord, StepBounds]],
        left_out: Flags,
    ) -> None:
        self._format, self._stacked = form, stacked
        self.models, self._checked, self._bounds = models, checked, readings
        self.records, self.left_out = len(readings), left_out

    @cached_property
    def explained(self) -> Sequence[Flags]:
        """By arithmetic, of shape (C,): where it explains every record, with those before it."""
        found = []
        for at, model in enumerate(self.models):
            with_it = np.ones_like(self.left_out)
            for each in self._checked:
                if each.same is not None:
                    with_it &= each.same
                    continue
                inside = each.ok[0].copy()
                if at > 0:
                    inside |= each.ok[1]
                if model.arithmetic is not None:
                    inside |= each.ok[at]
                with_it &= inside
            found.append(with_it)
        return found

    @cached_property
    def passes(self) -> Flags:
        """(C,): where some arithmetic explains every record, or nothing is said."""
        found: Flags = np.any(self.explained, axis=0) | self.left_out
        return found

    @cached_property
    def worst(self) -> Array:
        """(C,): the largest error / bound, each in the arithmetic that explains it best."""
        found = np.zeros(len(self.left_out))
        for each in self._checked:
            if each.parts:
                ratios = [part.worst(len(found)) for part in each.parts]
                found = np.maximum(found, np.min(ratios, axis=0))
        return found

    @property
    def steps(self) -> Sequence[tuple[AnyRecord, StepBounds]]:
        """Every step with what bounds it, in the first arithmetic."""
        return self._bounds

    def worst_entry(self, index: int = 0) -> Entry | None:
        """Of case ``index`` the entry nearest to its bound; ``None`` if nothing has one.

        It is named after its step: ``"z2: W[0,1]"`` is what z2 sent to W.
        """
        compared = [(each.step, each.parts[-1]) for each in self._checked if each.parts]
        if not compared:
            return None
        count = len(self.left_out)
        step, part = max(compared, key=lambda pair: float(pair[1].worst(count)[index]))
        entry = self._entry(part, index)
        return replace(entry, name=f"{step}: {entry.name}")

    @property
    def comparisons(self) -> Sequence[Comparison]:
        """All that was compared, in the order in which wrong ones are looked for."""
        return self._checked

    @cached_property
    def _first(self) -> list[Part]:
        return [each.parts[0] for each in self._checked if each.parts]

    def compared(self, index: int = 0) -> int:
        """How many numbers of case ``index`` were compared: of each the same."""
        return sum(part.given.size for part in self._first) // len(self.left_out)

    def unbounded(self, index: int = 0) -> int:
        """How many of them have no bound, since the step may overflow there."""
        return int(self.unbounded_of_each[index])

    @cached_property
    def unbounded_of_each(self) -> NDArray[np.int64]:
        """(C,): how many numbers have no bound, since the step may overflow there."""
        found = np.zeros(len(self.left_out), dtype=np.int64)
        for part in self._first:
            found += part.unbounded(len(found))
        return found

    @cached_property
    def is_read(self) -> Flags:
        """(C,): where λ was read at some breakpoint."""
        found = np.zeros_like(self.left_out)
        for _, bounds in self._bounds:
            for place in bounds.decided:
                if place.site in bounds.slopes:
                    found |= self._by_case(bounds.is_read(place)).any(axis=1)
        return found

    def of(self, index: int = 0) -> OfCase:
        """What is said of case ``index``."""
        return OfCase(
            self.records,
            self.compared(index),
            self.unbounded(index),
            float(self.worst[index]),
            bool(self.left_out[index]),
            self.wrong(index),
            self.names(index),
            bool(self.explained[0][index]),
            bool(self.is_read[index]),
            self.untold(index),
        )

    @cached_property
    def is_untold(self) -> Flags:
        """(C,): where something is explained by what would explain an error of 1 % as well."""
        found = np.zeros_like(self.left_out)
        for each in self._checked:
            if each.told is not None:
                found |= ~each.told
        return found & self.passes & ~self.left_out

    def untold(self, index: int) -> str:
        """What that is, of case ``index``; empty if nothing is."""
        if not self.is_untold[index]:
            return ""
        for each in self._checked:
            if each.told is not None and not each.told[index]:
                return f"step {each.step} ({each.operator}): {each.what}"
        return ""

    def names(self, index: int) -> tuple[str, ...]:
        """The named arithmetics that explain case ``index``; empty where none is needed."""
        if self.explained[0][index] or self.explained[1][index]:
            return ()
        return tuple(
            model.arithmetic.name
            for model, found in zip(self.models, self.explained, strict=True)
            if model.arithmetic is not None and found[index]
        )

    def wrong(self, index: int = 0) -> Wrong | None:
        """What is wrong with case ``index``; ``None`` if nothing is, or nothing is said."""
        if self.passes[index]:
            return None
        for each in self._checked:
            if each.same is not None and not each.same[index]:
                return Wrong(each.step, each.operator, each.what)
            if each.same is None and not any(ok[index] for ok in each.ok):
                entry = self._entry(self._coarsest(each.parts, index), index)
                return Wrong(each.step, each.operator, each.what, entry)
        return Wrong("", "", "no one arithmetic explains all steps")

    def readings(self, index: int = 0) -> tuple[LocalReading, ...]:
        """The decisions of case ``index`` at breakpoints."""
        found: list[LocalReading] = []
        for record, bounds in self._bounds:
            for place in bounds.decided:
                found += self._readings_at(record, bounds, place, index)
        return tuple(found)

    def _readings_at(
        self, record: AnyRecord, bounds: StepBounds, place: OpenPlace, index: int
    ) -> Iterator[LocalReading]:
        slopes, is_read = bounds.slopes.get(place.site), bounds.is_read(place)
        values = bounds.value(place.site)
        for at in map(tuple, np.argwhere(self._case(place.is_open, index)).tolist()):
            whole = (index, *at) if self._stacked else at
            slope = None if slopes is None or not is_read[whole] else float(slopes[whole])
            yield LocalReading(
                record.step.id,
                record.step.op,
                at,
                float(values[whole]),
                slope,
                bool(place.is_exact[whole]),
            )

    def _coarsest(self, parts: Sequence[Part], index: int) -> Part:
        """Of what explains nothing the last that is not within its bounds.

        A later one may be: a named arithmetic whose bounds hold zero as well, or that overflows.
        """
        return next(part for part in reversed(parts) if (self._case(part.ratio, index) > 1.0).any())

    def _entry(self, part: Part, index: int) -> Entry:
        ratio = self._case(part.ratio, index)
        at = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        whole = (index, *at) if self._stacked else at
        found = entry_of(part.name, part.bound, part.given, whole, self._format)
        return found

    def _case(self, array: Any, index: int) -> Any:
        return array[index] if self._stacked else array

    def _by_case(self, array: Any) -> Any:
        return array.reshape(len(self.left_out), -1)
