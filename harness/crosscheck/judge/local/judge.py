"""The local certificate: every step of a gradient held to its own bounds.

**What it says.** Let each record be inside its bounds, each operand be the number that was returned
or given before, bit for bit, and each cotangent be the sum of those sent to its uses, inside the
bound of such a sum. Then what the framework returned is the gradient of the network with each step
perturbed by no more than the rounding that this step may have, given the decisions that were read.
No bound grows with what comes before or after a step. The one assumption beyond those of
`crosscheck.numbers.enclosure` is that the numbers that were seen are the numbers that were used.

**What it names.** Of the records that fail the first in the order of computation: values from the
first step on, then cotangents from the loss down. What is wrong after it may follow from it, and is
not told; but as each step is judged on its own operands, it need not be.

**Arithmetics.** A record may be inside the bounds of gradual underflow, or only of flush-to-zero,
or only of a named coarser arithmetic, whose bounds must then not hold zero as well. A case is
SUBNORMAL or REDUCED if that is what its records need, all of them one and the same arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.entries import entry_of
from crosscheck.judge.local.programs import RESULT
from crosscheck.judge.local.record import Record, Recorded
from crosscheck.judge.local.step import OpenPlace, Part, StepBounds
from crosscheck.judge.verdict import Entry
from crosscheck.network.composed import AnyCase
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import Format, format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.model import Model
from crosscheck.numbers.named import arithmetics_of

__all__ = ["Check", "Comparison", "LocalJudge", "LocalReading", "OfCase", "Wrong"]

Flags = NDArray[np.bool_]


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
    """

    step: str
    operator: str
    what: str
    parts: Sequence[Part]
    ok: Sequence[Flags]
    same: Flags | None = None


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
        readings: Sequence[tuple[Record, StepBounds]],
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
            ratios = [self._by_case(part.ratio).max(axis=1, initial=0) for part in each.parts]
            if ratios:
                found = np.maximum(found, np.min(ratios, axis=0))
        return found

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
            found += self._by_case(part.is_unbounded).sum(axis=1)
        return found

    @cached_property
    def is_read(self) -> Flags:
        """(C,): where λ was read at some breakpoint."""
        found = np.zeros_like(self.left_out)
        for _, bounds in self._bounds:
            for place in bounds.places:
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
        )

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
                return Wrong(
                    each.step, each.operator, each.what, self._entry(each.parts[-1], index)
                )
        return Wrong("", "", "no one arithmetic explains all steps")

    def readings(self, index: int = 0) -> tuple[LocalReading, ...]:
        """The decisions of case ``index`` at breakpoints."""
        found: list[LocalReading] = []
        for record, bounds in self._bounds:
            for place in bounds.places:
                found += self._readings_at(record, bounds, place, index)
        return tuple(found)

    def _readings_at(
        self, record: Record, bounds: StepBounds, place: OpenPlace, index: int
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


class LocalJudge:
    """Judges recorded gradients of a case, or of a stack.

    Args:
        case: The case.
    """

    def __init__(self, case: AnyCase) -> None:
        self.case = case
        self.format = format_of(case.dtype)
        self.stacked = case.count is not None
        self.count = 1 if case.count is None else case.count
        self.models = (
            Model(self.format, is_brief=True),
            Model(self.format, flush=True, is_brief=True),
            *(
                Model(self.format, flush=True, arithmetic=each, is_brief=True)
                for each in arithmetics_of(case.dtype)
            ),
        )

    @in_ieee_arithmetic
    @np.errstate(all="ignore")
    def check(self, recorded: Recorded) -> Check:
        """Hold every step to its bounds."""
        left_out, records = self._finite(recorded.records)
        bounds = [(record, StepBounds(record, self.models[0], self.stacked)) for record in records]
        values, cotangents = [], []
        for record, first in bounds:
            parts = self._parts(record, first)
            values += [*self._links(record, records, left_out), next(parts)]
            cotangents.append([*parts])
        sums = self._sums(recorded, records, left_out)
        order = list(values)
        for record, found in zip(reversed(records), reversed(cotangents), strict=True):
            order += [*sums.pop(record.step.id, ()), *found]
        order += [each for found in sums.values() for each in found]
        return Check(self.format, self.stacked, self.models, order, bounds, left_out)

    def _finite(self, records: Sequence[Record]) -> tuple[Flags, list[Record]]:
        """Which cases hold numbers that are not finite; and the records with 0 in their place."""
        left_out = np.zeros(self.count, dtype=bool)
        for record in records:
            for array in _arrays(record):
                left_out |= ~np.isfinite(array).reshape(self.count, -1).all(axis=1)
        if not left_out.any():
            return left_out, list(records)

        def cleared(array: Array) -> Array:
            found = array.copy()
            found[left_out if self.stacked else ...] = 0.0
            return found

        return left_out, [each.map(cleared) for each in records]

    def _parts(self, record: Record, first: StepBounds) -> Iterator[Comparison]:
        """The value of a step, then what it sent to each operand."""
        later: dict[int, list[Part]] = {}

        def under(at: int, number: int) -> Part:
            if at not in later:
                later[at] = list(StepBounds(record, self.models[at], self.stacked).parts())
            return later[at][number]

        for number, part in enumerate(first.parts()):
            parts, ok = [part], [self._inside(part)]
            for at in range(1, len(self.models)):
                if np.any(ok, axis=0).all():
                    ok.append(np.zeros(self.count, dtype=bool))
                    continue
                parts.append(under(at, number))
                inside = self._inside(parts[-1])
                if self.models[at].arithmetic is not None:
                    inside &= ~self._holds_zero(parts[-1])
                ok.append(inside)
            what = "its value" if part.name == RESULT else f"what it sent to {part.name}"
            yield Comparison(record.step.id, record.step.op, what, parts, ok)

    def _inside(self, part: Part) -> Flags:
        return self._all(part.ratio <= 1.0)

    def _holds_zero(self, part: Part) -> Flags:
        return self._all(np.abs(part.bound.high) <= part.bound.bound)

    def _all(self, entries: Flags) -> Flags:
        """By case: whether it holds of each entry."""
        found: Flags = np.asarray(np.all(np.reshape(entries, (self.count, -1)), axis=1))
        return found

    def _links(
        self, record: Record, records: Sequence[Record], left_out: Flags
    ) -> Iterator[Comparison]:
        """Whether each operand is what was given, or what the step before returned."""
        made = {each.step.id: each.result for each in records}
        arrays = dict(self.case.entries())
        for name, source in record.step.inputs:
            wanted = made[source] if source in made else arrays[source]
            same = self._all(record.operands[name] == wanted) | left_out
            what = f"its operand {name} is not what {source} holds"
            yield Comparison(record.step.id, record.step.op, what, (), (), same)

    def _sums(
        self, recorded: Recorded, records: Sequence[Record], left_out: Flags
    ) -> dict[str, list[Comparison]]:
        """Whether each cotangent is the sum of what was sent to its uses; that of J is 1."""
        uses: dict[str, list[Array]] = {}
        for record in records:
            for name, source in record.step.inputs:
                if name in record.sent:
                    uses.setdefault(source, []).append(record.sent[name])
        given = {each.step.id: each.cotangent for each in records[:-1]}
        returned = dict(recorded.given.entries())
        given |= {name: returned[name] for name in uses if name not in given}
        last = records[-1]
        seeded = self._all(last.cotangent == 1.0) | left_out
        kept = self._all(last.result == returned["J"]) | left_out
        found = {
            last.step.id: [
                Comparison(last.step.id, last.step.op, "its cotangent is not 1", (), (), seeded),
                Comparison(last.step.id, last.step.op, "J is not what it returned", (), (), kept),
            ]
        }
        for name, value in given.items():
            sent = uses[name]
            if len(sent) == 1:
                same = self._all(value == sent[0]) | left_out
                what = "its cotangent is not what was sent to its only use"
                found[name] = [Comparison(name, "", what, (), (), same)]
            else:
                found[name] = [self._sum(name, value, sent)]
        return found

    def _sum(self, name: str, value: Array, sent: Sequence[Array]) -> Comparison:
        parts, ok = [], []
        for model in self.models[:2]:
            stacked = Enclosure.of(model, np.stack(sent, axis=-1)).sum(-1)
            closed = Enclosure(model, stacked.c, stacked.r, stacked.e)
            parts.append(Part(name, value, closed))
            ok.append(self._inside(parts[-1]))
        ok += [np.zeros(self.count, dtype=bool)] * (len(self.models) - 2)
        return Comparison(name, "", "the sum of the cotangents of its uses", parts, ok)


def _arrays(record: Record) -> Iterator[Array]:
    yield from record.operands.values()
    yield record.result
    yield record.cotangent
    yield from record.sent.values()
