"""Records judged and counted, round by round, so that it can be taken up again.

A record is one step of one case, its value and what it sent to each operand; the sum of the
cotangents of an array that several steps use is one more. A *violation* is a record with a part
that is outside of its bounds, those of gradual underflow and those of flush-to-zero. Where such a
step calls a function that does more than round in this framework and dtype, by the record of
accuracy, or has another derivative than its own, by the table of conventions, or is one of
`KERNELS`, it is counted as a *departure* in place of a violation. Of cases with a number that is
not finite nothing is said; they are counted as overflow. An entry is *unbounded* where its step may
overflow. In a format whose range is narrow, 2^4 below its end, that may well be on finite numbers,
so these are counted by whether the case holds a number so large.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import watch
from crosscheck.frameworks.refusals import Refused
from crosscheck.judge.libraries import calls, library_of
from crosscheck.judge.local.check import Check, Comparison
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.local.record import Recorded
from crosscheck.numbers.accuracy import committed
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.operators.registry import known
from crosscheck.studies.accuracy.departures import kinds
from crosscheck.studies.conventions.baseline import DIVERGENCES, folder
from crosscheck.studies.conventions.expected import read_expected
from crosscheck.studies.stress.networks import CASES, Stack, stack_of, stacks
from crosscheck.tools.atomic import write_text_atomically

__all__ = ["Key", "State", "Tally", "counted", "measure", "read", "write"]

Key: TypeAlias = tuple[str, str]
"""A framework and a dtype."""

KERNELS: Mapping[Key, set[str]] = MappingProxyType(
    {
        **{("tensorflow", dtype): {"softmax"} for dtype in ("float32", "bfloat16")},
        **{(each, "float64"): {"silu"} for each in ("torch", "tensorflow", "jax")},
    }
)
"""What a library computes by a kernel that does more than round, found here and in no other record.

TensorFlow's softmax by oneDNN, its default on this processor, forms e^x by half of it: what is
below 2^-125, twice the smallest normal number, comes out as zero. x / (1 + e^-x) is -0 where e^-x
overflows, below -709.8 in float64, and silu is a normal number down to -715; of the 100,000 numbers
that were measured none is there.
"""

_KEPT = 5
"""So many violations are kept word for word."""

_NEAR_THE_END = 2.0**-4
"""A case holds a large number if one is beyond this part of the format's largest."""


@dataclass
class Tally:
    """What was counted of one framework in one dtype.

    Attributes:
        rounds: How many rounds are done; see `stacks`.
        records: How many records were judged.
        overflow: Records of cases with numbers that are not finite, of which nothing is said.
        flushed: Records that only the bounds of flush-to-zero hold.
        violations: Records that neither hold.
        departures: Records that neither hold, of steps that call a function that departs.
        untold: Records that are held only by bounds that would hold an error of 1 % as well.
        entries: Numbers that were compared, in cases without large numbers.
        unbounded: How many of these have no bound.
        large: Numbers that were compared, in cases with large numbers.
        unbounded_large: How many of these have no bound.
        worst: Operator and part to the largest error / bound, of the bounds that explain it.
        kept: The first violations, in words.
        departing: The first departures of each function, in words.
        by_operator: Operator to how many of its records were judged.
        refused: Stacks of which the framework returned no records, by reason.
    """

    rounds: int = 0
    records: int = 0
    overflow: int = 0
    flushed: int = 0
    violations: int = 0
    departures: int = 0
    untold: int = 0
    entries: int = 0
    unbounded: int = 0
    large: int = 0
    unbounded_large: int = 0
    worst: dict[str, float] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    departing: dict[str, str] = field(default_factory=dict)
    by_operator: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


@dataclass
class State:
    """All that was counted, and of what.

    Attributes:
        tallies: By framework and dtype.
        versions: Framework to the versions of what it is made of.
        seed: Of the numbers.
    """

    tallies: dict[Key, Tally]
    versions: Mapping[str, Mapping[str, str]]
    seed: int


def measure(
    frameworks: Sequence[Framework],
    dtypes: Sequence[str],
    state: State,
    *,
    records: int,
    after: Callable[[Key, Tally], None],
    only: Sequence[Stack] | None = None,
    cases: int = CASES,
) -> None:
    """Do rounds until each framework and dtype has enough records.

    Args:
        frameworks: Eager ones, which show their steps.
        dtypes: Of the cases.
        state: What was counted before; it grows.
        records: How many are enough.
        after: Is told of each round when it is done; what is not told is done anew.
        only: The stacks of a round; all of them by default.
        cases: In each stack.
    """
    chosen = stacks() if only is None else only
    for framework in frameworks:
        for dtype in dtypes:
            if dtype not in framework.dtypes:
                continue
            tally = state.tallies.setdefault((framework.name, dtype), Tally())
            while tally.records < records:
                before = tally.records
                for number, stack in enumerate(chosen):
                    seed = (state.seed, tally.rounds, number)
                    _count(framework, stack, dtype, seed, cases, tally)
                tally.rounds += 1
                after((framework.name, dtype), tally)
                if tally.records == before:
                    break


def _count(
    framework: Framework,
    stack: Stack,
    dtype: str,
    seed: tuple[int, ...],
    cases: int,
    tally: Tally,
) -> None:
    """One stack more."""
    case = stack_of(stack, dtype, seed, cases)
    recorded = watch(framework, case)
    if isinstance(recorded, Refused):
        tally.refused[recorded.reason] += 1
        return
    library = library_of(case, framework.name, framework.mode)
    check = LocalJudge(case, library).check(recorded)
    where = f"{stack.name}, {dtype}, seed {seed}"
    limit = format_of(dtype).largest * _NEAR_THE_END
    departing = _departing(recorded, framework.name, dtype)
    counted(check, _sizes(recorded) > limit, where, tally, departing)


def _departing(recorded: Recorded, framework: str, dtype: str) -> dict[str, str]:
    """The steps that call functions that depart, and which."""
    departing = _departures(framework, dtype)
    found = {}
    for record in recorded.records:
        program = record.program(stacked=True)
        called = {record.step.op, *(name for name, _ in calls(program))}
        called |= {program.nodes[number].op for number in program.needed}
        if names := sorted(called & departing):
            found[record.step.id] = ", ".join(names)
    return found


@lru_cache
def _departures(framework: str, dtype: str) -> frozenset[str]:
    """The functions of a framework that depart, by the records that came with the package."""
    of_accuracy = {
        row.key.function
        for row in committed().rows
        if (row.key.framework, row.key.dtype) == (framework, dtype) and any(kinds(row))
    }
    of_units = {
        each.unit
        for each in read_expected(folder() / DIVERGENCES)
        if (each.framework, each.kind) == (framework, "wrong")
        and each.formulation == next(iter(known()[each.unit].lines.get(framework, {})), None)
        and f", {dtype} " in each.seen
    }
    return frozenset(of_accuracy | of_units | KERNELS.get((framework, dtype), set()))


def counted(
    check: Check,
    is_large: Any,
    where: str,
    tally: Tally,
    departing: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Add what was found of a stack.

    Args:
        check: What was found.
        is_large: (C,) bool: cases with large numbers.
        where: The stack, in words.
        tally: It grows.
        departing: Steps that call functions that depart, and which.
    """
    judged = ~check.left_out
    for record in _records(check.comparisons):
        wrong, flushed, untold = np.zeros((3, len(judged)), dtype=bool)
        for each in record:
            if each.same is not None:
                wrong |= ~each.same
                continue
            inside = each.ok[0] | each.ok[1]
            wrong |= ~inside
            flushed |= ~each.ok[0] & each.ok[1]
            untold |= inside & ~each.told if each.told is not None else False
            _count_entries(each, judged, is_large, tally)
        function = departing.get(record[0].step)
        for each in record:
            if each.same is None:
                name = f"{each.operator or 'cotangents'}: {each.what}"
                some = _ratios(each)[judged & ~wrong if function else judged]
                tally.worst[name] = max(tally.worst.get(name, 0.0), float(some.max(initial=0.0)))
        if any(each.same is None for each in record):
            tally.records += int(judged.sum())
            tally.overflow += int((~judged).sum())
            tally.by_operator[record[0].operator or "cotangents"] += int(judged.sum())
        tally.flushed += int((flushed & judged & ~wrong).sum())
        tally.untold += int((untold & judged & ~wrong).sum())
        if function:
            tally.departures += int((wrong & judged).sum())
            for index in np.flatnonzero(wrong & judged)[:1]:
                tally.departing.setdefault(function, f"{where}, case {index}: {check.wrong(index)}")
            continue
        tally.violations += int((wrong & judged).sum())
        for index in np.flatnonzero(wrong & judged)[: max(_KEPT - len(tally.kept), 0)]:
            at = int(index)
            said = check.wrong(at) or f"explained by {', '.join(check.names(at))} only"
            tally.kept.append(f"{where}, case {at}: {said}")


def _records(comparisons: Sequence[Comparison]) -> Iterator[list[Comparison]]:
    """What is compared, by step; sums of cotangents by themselves."""
    found: dict[tuple[str, str], list[Comparison]] = {}
    for each in comparisons:
        found.setdefault((each.step, each.operator), []).append(each)
    yield from found.values()


def _ratios(comparison: Comparison) -> Array:
    """By case the largest error / bound, under the bounds that explain it best."""
    count = len(comparison.ok[0])
    found = [each.ratio.reshape(count, -1).max(axis=1, initial=0.0) for each in comparison.parts]
    return np.asarray(np.min(found, axis=0))


def _count_entries(comparison: Comparison, judged: Any, is_large: Any, tally: Tally) -> None:
    unbounded = comparison.parts[0].is_unbounded.reshape(len(judged), -1)
    there = judged & ~is_large
    tally.entries += unbounded[there].size
    tally.unbounded += int(unbounded[there].sum())
    tally.large += unbounded[judged & is_large].size
    tally.unbounded_large += int(unbounded[judged & is_large].sum())


def _sizes(recorded: Recorded) -> Array:
    """By case the largest magnitude that was held anywhere."""
    arrays = [
        array
        for record in recorded.records
        for array in (
            *record.operands.values(),
            record.result,
            record.cotangent,
            *record.sent.values(),
        )
    ]
    sizes = [np.abs(array).reshape(len(array), -1).max(axis=1, initial=0.0) for array in arrays]
    return np.asarray(np.max(sizes, axis=0))


def read(path: Path, versions: Mapping[str, Mapping[str, str]], seed: int) -> State:
    """What was counted before with this seed, but of frameworks that have other versions now.

    Args:
        path: Of the file; there need not be one.
        versions: Of the frameworks that are there now, as of `State`.
        seed: Of the numbers.
    """
    found = State({}, versions, seed)
    if path.is_file():
        content = json.loads(path.read_text("utf-8"))
        if content["seed"] != seed:
            return found
        kept = {
            name: before
            for name, before in content["versions"].items()
            if versions.get(name, before) == before
        }
        found = State({}, {**kept, **versions}, seed)
        for entry in content["tallies"]:
            key = entry.pop("framework"), entry.pop("dtype")
            if key[0] in kept:
                counters = {
                    name: Counter(entry.get(name, {})) for name in ("refused", "by_operator")
                }
                found.tallies[key] = Tally(**{**entry, **counters})
    return found


def write(path: Path, state: State) -> None:
    """Keep what was counted."""
    tallies = [
        {"framework": framework, "dtype": dtype, **vars(tally)}
        for (framework, dtype), tally in state.tallies.items()
    ]
    content = {"seed": state.seed, "versions": dict(state.versions), "tallies": tallies}
    write_text_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")
