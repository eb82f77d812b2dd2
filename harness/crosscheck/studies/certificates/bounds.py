"""The bounds of the three certificates on one case, formed once for any number of faults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.adjoint.judge import AdjointJudge, sampled
from crosscheck.judge.adjoint.terms import Position
from crosscheck.judge.enclosed import Enclosed
from crosscheck.judge.entries import ratio_of
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.local.record import Record
from crosscheck.judge.local.step import Part, StepBounds
from crosscheck.judge.local.ways import Way
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.network.composed import AnyGradients, composed
from crosscheck.network.dense import Case
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.model import Model

__all__ = ["Looked", "OfAStep", "Whole"]

Flags = NDArray[np.bool_]


class Whole:
    """The a-priori and the adjoint bounds on the gradient of a single case.

    Args:
        case: The case.
        is_asked: Whether there are to be any: without, nothing is refused.
    """

    def __init__(self, case: Case, *, is_asked: bool = True) -> None:
        self.case, self.is_asked = case, is_asked
        self.adjoint = AdjointJudge(case)

    @cached_property
    def _enclosed(self) -> Enclosed:
        return Enclosed(self.case, self.adjoint.model)

    @property
    def is_open(self) -> bool:
        """Whether any gate is open."""
        return self.is_asked and bool(self._enclosed.has_open_gates)

    @cached_property
    @in_ieee_arithmetic
    def _a_priori(self) -> Mapping[str, Enclosure]:
        found: Any = self._enclosed.certain_gradients
        if self.is_open:
            found = EnclosedProgram(composed(self.case), self.adjoint.model).any_gradients
        return dict(found.entries())

    def beyond(self, name: str, values: Array, index: Any = ...) -> Flags:
        """Which numbers the a-priori bounds refuse.

        Args:
            name: Of an array of the gradient.
            values: Numbers in place of some of its entries.
            index: Of which.
        """
        if not self.is_asked:
            return np.zeros(np.shape(values), dtype=bool)
        return _beyond(self._a_priori[name][index], values)

    def refuses(self, given: AnyGradients) -> bool:
        """Whether the a-priori bounds refuse a gradient."""
        return any(bool(self.beyond(name, array).any()) for name, array in given.entries())

    def bounds_of(self, positions: Sequence[Position]) -> Looked:
        """The adjoint bounds on some entries."""
        if not positions or not self.is_asked:
            return Looked((), None)
        return Looked(positions, self.adjoint.bounds(positions).enclosure)

    @cached_property
    def looked_at(self) -> Sequence[Position]:
        """The entries that a run looks at."""
        return sampled(self.case)

    @cached_property
    def _looked(self) -> Looked:
        return self.bounds_of(self.looked_at)

    def sampled_refuse(self, given: AnyGradients) -> bool:
        """Whether the adjoint bounds on the entries that a run looks at refuse a gradient."""
        arrays = dict(given.entries())
        values = [arrays[name][index] for name, index in self._looked.positions]
        return bool(self._looked.refuse(np.array(values)).any())


@dataclass(frozen=True)
class Looked:
    """Entries with their adjoint bounds.

    Attributes:
        positions: Which.
        bound: Of them all; ``None`` if there are none.
    """

    positions: Sequence[Position]
    bound: Enclosure | None

    def __len__(self) -> int:
        return len(self.positions)

    def refuse(self, values: Array) -> Flags:
        """Which numbers in place of theirs are refused."""
        if self.bound is None:
            return np.zeros(0, dtype=bool)
        return _beyond(self.bound, values)


@dataclass(frozen=True)
class _Bounded:
    part: Part
    is_named: bool
    told: Flags


class OfAStep:
    """The bounds on what one step may send, in every arithmetic of the local certificate.

    Args:
        judge: Of the case.
        record: Of the step, as in the right gradient.
    """

    def __init__(self, judge: LocalJudge, record: Record) -> None:
        self._parts: dict[str, list[_Bounded]] = {name: [] for name in record.sent}
        for way in judge.ways:
            named = way.model.arithmetic is not None
            for part in _parts(record, way.model):
                if part.name in self._parts:
                    self._parts[part.name].append(_Bounded(part, named, _told(way, part)))

    def entries_beyond(self, name: str, index: Any, values: Array) -> tuple[Flags, Flags]:
        """Of numbers in place of one entry each: which are refused, and which by all arithmetics.

        Args:
            name: Of the operand.
            index: Of the entries, an index array for each axis.
            values: The numbers.
        """
        plain, every = self._beyond(name, values, index, each=True)
        return plain, every

    def beyond(self, name: str, values: Array) -> tuple[bool, bool]:
        """Whether an array is refused, and whether by all arithmetics."""
        plain, every = self._beyond(name, values, ..., each=False)
        return bool(plain), bool(every)

    def _beyond(self, name: str, values: Array, index: Any, *, each: bool) -> Any:
        plain: Any = True
        every: Any = True
        for bounded in self._parts[name]:
            found = _beyond(bounded.part.bound[index], values) | ~bounded.told[index]
            refused = found if each else found.any()
            every = every & refused
            if not bounded.is_named:
                plain = plain & refused
        return plain, every


def _told(way: Way, part: Part) -> Flags:
    """Where what a way explains counts; a named one explains an array, or nothing of it."""
    told = way.told(part)
    return told if way.model.arithmetic is None else np.full(told.shape, told.any())


@in_ieee_arithmetic
def _parts(record: Record, model: Model) -> list[Part]:
    with np.errstate(all="ignore"):
        return list(StepBounds(record, model, False).parts())


@in_ieee_arithmetic
def _beyond(bound: Enclosure, values: Array) -> Flags:
    with np.errstate(all="ignore"):
        found: Flags = ~(ratio_of(bound.distance(values), bound.bound) <= 1.0)
    return found
