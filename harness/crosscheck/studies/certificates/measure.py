"""How many planted faults each certificate catches, and how many right gradients it rejects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import watch
from crosscheck.frameworks.refusals import Refused
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.local.record import Record, Recorded
from crosscheck.judge.verdict import Verdict, fails
from crosscheck.network.dense import Case
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.named import ARITHMETICS
from crosscheck.studies.certificates.bounds import OfAStep, Whole
from crosscheck.studies.certificates.counts import Counts, Found, together
from crosscheck.studies.certificates.settings import (
    GROUPS,
    LOOKED,
    SIZES,
    STRUCTURAL,
    Effort,
    Setting,
    case_of,
)
from crosscheck.studies.simulated import StepFault, simulated

__all__ = ["measure"]

_SCALES = {"zero": 0.0, "x 2": 2.0, "x -1": -1.0, "x 1.01": 1.01}

_MOST_JUDGED = 64
"""The door is asked about networks no wider: it takes minutes where a wide gradient is wrong."""

_ASKED = 2
"""Of so many networks of a setting the frameworks and the door are asked."""

Place = tuple[Record, str]
"""A step, and the operand whose cotangent it sends."""


class _Measurement:
    """One case, and what is counted of it."""

    def __init__(self, setting: Setting, effort: Effort, seed: int) -> None:
        self.setting, self.effort = setting, effort
        self.case: Case = case_of(setting, seed)
        self.form, self.sizes = format_of(setting.dtype), SIZES[setting.dtype]
        self.rng = np.random.Generator(np.random.Philox(seed + 1))
        self.right = simulated(self.case)
        self.local = LocalJudge(self.case)
        self.whole = Whole(self.case, is_asked=setting.is_small)
        self.counts: dict[tuple[str, int | None], Counts] = {}
        self.own = frozenset(self.case.wanted)
        self.door: list[tuple[Recorded, bool, bool]] = []
        self._asked: dict[str, int] = {}
        self._bounds: dict[str, OfAStep] = {}

    def count(self, sort: str, exponent: int | None, **more: int) -> None:
        """Add to what was counted."""
        old = self.counts.get((sort, exponent), Counts(sort, exponent))
        added = {name: getattr(old, name) + number for name, number in more.items()}
        self.counts[sort, exponent] = replace(old, **added)

    def bounds(self, record: Record) -> OfAStep:
        """The bounds on what a step may send."""
        if record.step.id not in self._bounds:
            self._bounds[record.step.id] = OfAStep(self.local, record)
        return self._bounds[record.step.id]

    # -- where faults are planted --------------------------------------------------------------

    def places(self, wanted: Callable[[str, str], bool]) -> list[Place]:
        """What steps send to arrays: of operand and source, those ``wanted``, not all zero."""
        return [
            (record, name)
            for record in self.right.records
            for name, source in record.step.inputs
            if name in record.sent and wanted(name, source) and record.sent[name].any()
        ]

    @cached_property
    def layers(self) -> list[Place]:
        """The layers that faults are planted in, some of many: what goes to their weights."""
        return self._few(self.places(lambda name, source: name == "W"), self.effort.structural)

    def returned(self) -> dict[str, list[Place]]:
        """By group, the arrays that are returned."""
        weights = self.layers
        biases = [(record, "b") for record, _ in weights if record.sent["b"].any()]
        inputs = self.places(lambda name, source: source == "x")
        groups = (weights + biases, weights, biases, inputs)
        return dict(zip(GROUPS, groups, strict=False))

    def _few(self, places: list[Place], most: int) -> list[Place]:
        if len(places) <= most:
            return places
        return [places[k] for k in sorted(self.rng.choice(len(places), most, replace=False))]

    def entries(self, places: list[Place], count: int) -> Iterator[tuple[Place, Any]]:
        """``count`` random non-zero entries of several arrays, as flat numbers in each."""
        sizes = [np.flatnonzero(record.sent[name]) for record, name in places]
        ends = np.cumsum([len(each) for each in sizes])
        if not len(ends) or not ends[-1]:
            return
        chosen = self.rng.integers(ends[-1], size=count)
        for number, place in enumerate(places):
            first = ends[number] - len(sizes[number])
            here = chosen[(chosen >= first) & (chosen < ends[number])]
            if len(here):
                yield place, sizes[number][here - first]

    def wrong(self, values: Array, exponent: int) -> Array:
        """Numbers that are wrong by a factor 1 + 2^-k, in the format."""
        found: Array = self.form.round(values * (1.0 + 2.0**-exponent))
        return found

    # -- faults --------------------------------------------------------------------------------

    def one_entry(self) -> None:
        """Faults in one entry of what is returned."""
        for group, places in self.returned().items():
            left = self.effort.looked if group in LOOKED else 0
            for (record, name), flat in self.entries(places, self.effort.entries):
                source = dict(record.step.inputs)[name]
                index = np.unravel_index(flat, record.sent[name].shape)
                values = record.sent[name][index]
                some = min(left, len(flat))
                left -= some
                asked = [(source, tuple(int(axis[k]) for axis in index)) for k in range(some)]
                looked = self.whole.bounds_of(asked)
                for exponent in self.sizes:
                    wrong = self.wrong(values, exponent)
                    real = (wrong != values) & np.isfinite(wrong)
                    a_priori = self.whole.beyond(source, wrong, index)
                    plain, every = self.bounds(record).entries_beyond(name, index, wrong)
                    self.count(
                        group,
                        exponent,
                        planted=int(real.sum()),
                        held=int(real.sum()) if self.whole.is_asked else 0,
                        a_priori=int((a_priori & real).sum()),
                        local=int((plain & real).sum()),
                        unless_allowed=int((every & real).sum()),
                        looked=int(real[: len(looked)].sum()),
                        adjoint=int((looked.refuse(wrong[:some]) & real[: len(looked)]).sum()),
                    )
                    if group != GROUPS[0] and real.any():
                        fault = self._entry_fault(record, name, int(flat[real][0]), exponent)
                        caught = bool((a_priori | plain)[real][0])
                        self.to_door(group, fault, caught, bool(every[real][0]))

    def _entry_fault(self, record: Record, name: str, flat: int, exponent: int) -> StepFault:
        def change(array: Array) -> Array:
            found = np.array(array)
            found.flat[flat] = self.wrong(self.form.round(found.flat[flat]), exponent)
            return found

        return StepFault(record.step.id, name, change)

    def cotangents(self) -> None:
        """Faults in one entry of a cotangent, or in all of it, and what follows from them."""
        places = self.places(lambda name, source: source not in self.own)
        places = self._few(places, self.effort.structural)
        for exponent in self.sizes:
            for (record, name), flat in self.entries(places, self.effort.propagated):
                for each in flat.tolist():
                    fault = self._entry_fault(record, name, each, exponent)
                    self.planted("cotangents", exponent, record, [fault])
        for record, name in places:
            for sort, factor in _SCALES.items():
                fault = StepFault(record.step.id, name, partial(np.multiply, factor))
                self.planted(sort, None, record, [fault])
        for record, _ in self.layers:
            faults = [StepFault(record.step.id, name, np.negative) for name in ("W", "b")]
            self.planted(STRUCTURAL[-1], None, record, faults)

    def planted(
        self, sort: str, exponent: int | None, record: Record, faults: Sequence[StepFault]
    ) -> None:
        """Faults of one step, all in the same gradient."""
        found = simulated(self.case, faults[0])
        for more in faults[1:]:
            found = _both(found, simulated(self.case, more), more)
        step = self.bounds(record)
        sent = next(each.sent for each in found.records if each.step.id == record.step.id)
        if all(np.array_equal(sent[each.part], record.sent[each.part]) for each in faults):
            return
        said = [step.beyond(each.part, sent[each.part]) for each in faults]
        plain, every = (any(each[k] for each in said) for k in (0, 1))
        a_priori = self.whole.refuses(found.given)
        adjoint = self.whole.sampled_refuse(found.given)
        self.count(
            sort,
            exponent,
            planted=1,
            held=int(self.whole.is_asked),
            a_priori=a_priori,
            local=plain,
            unless_allowed=every,
            looked=int(self.whole.is_asked),
            adjoint=adjoint,
        )
        self.to_door(sort, found, a_priori or plain, every)

    # -- verdicts ------------------------------------------------------------------------------

    def to_door(self, sort: str, fault: StepFault | Recorded, caught: bool, every: bool) -> None:
        """Keep a fault for the door, if one of its sort may still go there."""
        if self.setting.width > _MOST_JUDGED or self.whole.is_open:
            return
        asked = self._asked.get(sort, 0)
        if asked < self.effort.judged * len(self.sizes):
            self._asked[sort] = asked + 1
            found = fault if isinstance(fault, Recorded) else simulated(self.case, fault)
            self.door.append((found, caught, every))

    def otherwise(self) -> int:
        """How many verdicts of the door are not what was counted."""
        question, found = judge(self.case), 0
        for recorded, caught, every in self.door:
            verdict = question.another(Answer(recorded.given, recorded=recorded))
            strictly = _is_caught(verdict, tuple(ARITHMETICS))
            found += _is_caught(verdict) != caught or (every and not strictly)
        return found

    def rejected(self, frameworks: Sequence[Framework]) -> tuple[int, int]:
        """Right gradients, and how many of them are rejected."""
        answers = [self.right, *(watch(each, self.case) for each in frameworks)]
        answers = [each for each in answers if not isinstance(each, Refused)]
        rejected = 0
        for each in answers:
            check = self.local.check(each)
            steps = bool(check.explained[0][0] or check.explained[1][0] or check.left_out[0])
            whole = self.whole.refuses(each.given) or self.whole.sampled_refuse(each.given)
            rejected += whole or not steps
        return len(answers), rejected


def _is_caught(verdict: Verdict, allowed: Sequence[str] = ()) -> bool:
    """Whether a fault does not pass: it fails, or a step is said not to be told from wrong."""
    return fails(verdict, allowed) or any(each.untold for each in verdict.certificates)


def _both(one: Recorded, other: Recorded, fault: StepFault) -> Recorded:
    """The first, with what the second has for one returned array."""
    source = ""
    records = []
    for mine, theirs in zip(one.records, other.records, strict=True):
        if mine.step.id == fault.step:
            source = dict(mine.step.inputs)[fault.part]
            mine = replace(mine, sent={**mine.sent, fault.part: theirs.sent[fault.part]})
        records.append(mine)
    arrays: dict[str, Any] = dict(one.given.entries())
    arrays[source] = dict(other.given.entries())[source]
    given: Any = type(one.given).named(arrays)
    return Recorded(given, tuple(records))


def measure(
    setting: Setting, effort: Effort, seed: int, frameworks: Sequence[Framework] = ()
) -> Found:
    """Plant faults in the gradient of one network, and see who catches them.

    Args:
        setting: The kind of network.
        effort: How many faults.
        seed: Of the network and of the choice of faults.
        frameworks: Whose right gradients are judged too, in modes that show their steps.
    """
    cases = max(1, min(effort.cases, 64 // setting.width))
    each = effort.shared(cases)
    parts = []
    for k in range(cases):
        asked = (each, frameworks) if k < _ASKED else (replace(each, judged=0), ())
        parts.append(_one(setting, asked[0], seed + 2 * k, asked[1]))
    return together(parts)


def _one(setting: Setting, effort: Effort, seed: int, frameworks: Sequence[Framework]) -> Found:
    found = _Measurement(setting, effort, seed)
    found.one_entry()
    found.cotangents()
    right, rejected = found.rejected(frameworks)
    return Found(
        setting,
        int(found.whole.is_open),
        tuple(found.counts.values()),
        len(found.whole.looked_at),
        sum(array.size for _, array in found.right.given.entries()),
        right,
        rejected,
        len(found.door),
        found.otherwise(),
    )
