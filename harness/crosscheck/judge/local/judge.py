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

import abc
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np

from crosscheck.judge.local.check import Check, Comparison, Flags
from crosscheck.judge.local.record import AnyRecord, Record, Recorded
from crosscheck.judge.local.step import Part, StepBounds
from crosscheck.judge.local.ways import models_of, ways_of
from crosscheck.network.composed import AnyCase
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.library import Library
from crosscheck.numbers.model import Model
from crosscheck.tools.memory import keep_freed_memory

__all__ = ["LocalJudge", "StepJudge"]

_Record = TypeVar("_Record", bound=AnyRecord)
_Recorded = TypeVar("_Recorded")


class StepJudge(abc.ABC, Generic[_Record, _Recorded]):
    """Holds steps to their bounds; how they hang together is said by `_links` and `_sums`.

    Args:
        dtype: Of all numbers.
        count: C, of a stack; ``None`` for a single case.
        library: Whose elementary functions are called, if any are.
    """

    def __init__(self, dtype: str, count: int | None, library: Library | None = None) -> None:
        self.format = format_of(dtype)
        self.stacked = count is not None
        self.count = 1 if count is None else count
        self.models = models_of(self.format, library)
        self.ways = ways_of(self.format, library)

    @abc.abstractmethod
    def _records(self, recorded: _Recorded) -> Sequence[_Record]:
        """In the order of computation."""

    @abc.abstractmethod
    def _links(
        self, recorded: _Recorded, records: Sequence[_Record], left_out: Flags
    ) -> Iterator[list[Comparison]]:
        """Of each record in turn, whether each operand is what was given or returned before."""

    @abc.abstractmethod
    def _sums(
        self, recorded: _Recorded, records: Sequence[_Record], left_out: Flags
    ) -> dict[str, list[Comparison]]:
        """By step, or by name of an array, whether each cotangent is the sum of what was sent."""

    @abc.abstractmethod
    def _find_idle(self, recorded: _Recorded, bounds: Sequence[tuple[_Record, StepBounds]]) -> None:
        """Tell each step which of its ties cannot matter, if any step has ties."""

    @in_ieee_arithmetic
    @np.errstate(all="ignore")
    def check(self, recorded: _Recorded) -> Check:
        """Hold every step to its bounds."""
        keep_freed_memory()
        left_out, records = self._finite(self._records(recorded))
        bounds = [(record, StepBounds(record, self.models[0], self.stacked)) for record in records]
        values, cotangents = [], []
        links = self._links(recorded, records, left_out)
        for (record, first), linked in zip(bounds, links, strict=True):
            parts = self._parts(record, first)
            values += [*linked, *(next(parts) for _ in record.results)]
            cotangents.append([*parts])
        self._find_idle(recorded, bounds)
        sums = self._sums(recorded, records, left_out)
        order = list(values)
        for record, found in zip(reversed(records), reversed(cotangents), strict=True):
            order += [*sums.pop(record.step.id, ()), *found]
        order += [each for found in sums.values() for each in found]
        return Check(self.format, self.stacked, self.models, order, bounds, left_out)

    def _finite(self, records: Sequence[_Record]) -> tuple[Flags, list[_Record]]:
        """Which cases hold numbers that are not finite; and the records with 0 in their place."""
        left_out = np.zeros(self.count, dtype=bool)
        for record in records:
            for array in _arrays(record):
                if np.isfinite(array.sum()):  # then so is each of them
                    continue
                left_out |= ~np.isfinite(array).reshape(self.count, -1).all(axis=1)
        if not left_out.any():
            return left_out, list(records)

        def cleared(array: Array) -> Array:
            found = array.copy()
            found[left_out if self.stacked else ...] = 0.0
            return found

        return left_out, [each.map(cleared) for each in records]

    def _parts(self, record: _Record, first: StepBounds) -> Iterator[Comparison]:
        """The values of a step, then what it sent to each operand."""
        bounds = {self.models[0]: first}
        parts: dict[Model, list[Part]] = {}
        for number, name in enumerate((*record.results, *record.sent)):
            tried: list[Part] = []
            finer: list[Part] = []
            ok = [np.zeros(self.count, dtype=bool) for _ in self.models]
            told = np.zeros(self.count, dtype=bool)
            for way in self.ways:
                is_named = way.model.arithmetic is not None
                if told.all() or (is_named and np.any(ok, axis=0).all()):
                    break
                if way.model not in parts:
                    if way.model not in bounds:
                        bounds[way.model] = StepBounds(record, way.model, self.stacked)
                    parts[way.model] = list(bounds[way.model].parts())
                tried.append(parts[way.model][number])
                inside, tells = way.explains(tried[-1], finer, self.count)
                finer += [tried[-1]] if way.is_telling else []
                ok[way.at] |= inside
                told |= tells
            what = f"what it sent to {name}" if name in record.sent else self._value(record, name)
            yield Comparison(record.step.id, record.step.op, what, tried, ok, told=told)

    def _same(self, one: Array, other: Array) -> Flags:
        """By case: whether two arrays are equal; one and the same array is."""
        return np.ones(self.count, dtype=bool) if one is other else self._all(one == other)

    def _all(self, entries: Flags) -> Flags:
        """By case: whether it holds of each entry."""
        found: Flags = np.asarray(np.all(np.reshape(entries, (self.count, -1)), axis=1))
        return found

    @staticmethod
    def _value(record: _Record, name: str) -> str:
        return "its value" if len(record.results) == 1 else f"its value {name}"

    def _linked(
        self, record: _Record, name: str, source: str, wanted: Array, left_out: Flags
    ) -> Comparison:
        """Whether an operand is what it has to be."""
        same = self._same(record.operands[name], wanted) | left_out
        what = f"its operand {name} is not what {source} holds"
        return Comparison(record.step.id, record.step.op, what, (), (), same)

    def _uses(self, records: Sequence[_Record]) -> dict[str, list[Array]]:
        """What was sent to each number by those that it went into, in their order."""
        uses: dict[str, list[Array]] = {}
        for record in records:
            for name, source in record.step.inputs:
                if name in record.sent:
                    uses.setdefault(source, []).extend(self._addends(record, name))
        return uses

    def _addends(self, record: _Record, name: str) -> Sequence[Array]:
        """What is added up of what was sent to an operand: all of it at once."""
        return (record.sent[name],)

    def _summed(
        self, name: str, value: Array, sent: Sequence[Array], left_out: Flags
    ) -> Comparison:
        """Whether a cotangent is the sum of what was sent to its uses."""
        if len(sent) == 1:
            same = self._same(value, sent[0]) | left_out
            what = "its cotangent is not what was sent to its only use"
            return Comparison(name, "", what, (), (), same)
        return self._sum(name, value, sent)

    def _sum(self, name: str, value: Array, sent: Sequence[Array]) -> Comparison:
        parts, ok = [], []
        for model in self.models[:2]:
            stacked = Enclosure.of(model, np.stack(sent, axis=-1)).sum(-1)
            closed = Enclosure(model, stacked.c, stacked.r, stacked.e)
            parts.append(Part(name, value, closed))
            ok.append(parts[-1].within(self.count))
        ok += [np.zeros(self.count, dtype=bool)] * (len(self.models) - 2)
        return Comparison(name, "", "the sum of the cotangents of its uses", parts, ok)


class LocalJudge(StepJudge[Record, Recorded]):
    """Judges recorded gradients of a case, or of a stack.

    Args:
        case: The case.
        library: Whose elementary functions are called, if any are.
    """

    def __init__(self, case: AnyCase, library: Library | None = None) -> None:
        super().__init__(case.dtype, case.count, library)
        self.case = case

    def _records(self, recorded: Recorded) -> Sequence[Record]:
        return recorded.records

    def _find_idle(self, _: Recorded, bounds: Sequence[tuple[Record, StepBounds]]) -> None:
        if not any(each.has_ties for _, each in bounds):
            return
        alive = {
            name: np.full(array.shape, name in self.case.wanted)
            for name, array in self.case.entries()
        }
        for record, each in bounds:
            operands = {name: alive[source] for name, source in record.step.inputs}
            (alive[record.step.id],) = each.live(operands).values()

    def _links(
        self, recorded: Recorded, records: Sequence[Record], left_out: Flags
    ) -> Iterator[list[Comparison]]:
        """Whether each operand is what was given, or what the step before returned."""
        made = {**dict(self.case.entries()), **{each.step.id: each.result for each in records}}
        for record in records:
            yield [
                self._linked(record, name, source, made[source], left_out)
                for name, source in record.step.inputs
            ]

    def _sums(
        self, recorded: Recorded, records: Sequence[Record], left_out: Flags
    ) -> dict[str, list[Comparison]]:
        """Whether each cotangent is the sum of what was sent to its uses; that of J is 1."""
        uses = self._uses(records)
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
            found[name] = [self._summed(name, value, uses[name], left_out)]
        return found


def _arrays(record: AnyRecord) -> Iterator[Array]:
    for arrays in (record.operands, record.results, record.cotangents, record.sent):
        yield from arrays.values()
