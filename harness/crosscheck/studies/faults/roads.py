"""The ways by which a gradient is checked, and how far a fault gets on each.

A road ends at the first failing case: making that small, which people want, tells nothing about
power, and takes most of the time.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from crosscheck.cases.profiles import profile
from crosscheck.cases.stream.families import DEFAULT_MIX, Mix
from crosscheck.cases.stream.settings import Settings, Shape
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.verdict import Verdict, fails
from crosscheck.network.dense import Network
from crosscheck.run import crosscheck
from crosscheck.run.checker import Checker
from crosscheck.run.checking import compare_implementations
from crosscheck.run.events import CaseChecked, Event, ExitCode, RunStarted, StackChecked
from crosscheck.run.sweep.check import check_part
from crosscheck.studies.faults.fault import Fault, Road
from crosscheck.studies.faults.planted import Planted, as_function
from crosscheck.studies.faults.storms import kink_cases

__all__ = ["DESCRIPTIONS", "SEED", "Caught", "travel"]

SEED = 20_261_129
"""Of everything that is drawn."""

DESCRIPTIONS: Mapping[Road, str] = MappingProxyType(
    {
        "quick": "`crosscheck run --profile quick`",
        "default": "`crosscheck run --profile default`",
        "sweep": "`crosscheck sweep --cases 8192 --widths 3,65,2 --widths 4,8,1 "
        "--widths 7,9,9,3 --widths 16,32,32,4 --rows 17`, and `--cases 1024 --widths 9,9,3 "
        "--rows 3 --output identity --reduction mean "
        "--mix uniform=2,kinks=1,undecided=1,special=1`",
        "fixture": "the fixture `crosscheck(numpy=function)` with its default profile",
        "kinks": (
            "`crosscheck run --case FILE` with each case of `crosscheck.studies.faults.storms`"
        ),
    }
)
"""What each road is, as it would be typed."""


@dataclass(frozen=True)
class Caught:
    """Where a fault was caught.

    Attributes:
        kind: The verdict.
        cases: How many cases were checked until then, the failing one included; of a stacked call
            all are counted.
        label: Where the failing case comes from.
    """

    kind: str
    cases: int
    label: str


class _Stop(BaseException):
    """Ends a road. Not an `Exception`: Hypothesis would take that for an example to shrink."""


class _Watch:
    """Counts the cases of a road, and ends it at the first that fails."""

    def __init__(self, is_failing: Callable[[Verdict], bool]) -> None:
        self._is_failing = is_failing
        self.cases = 0
        self.caught: Caught | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, StackChecked):
            self.cases += event.count
        if isinstance(event, CaseChecked):
            for verdict in event.verdicts:
                if self._is_failing(verdict):
                    self.caught = Caught(str(verdict.kind), max(self.cases, 1), event.label)
                    raise _Stop


def travel(road: Road, fault: Fault) -> Caught | None:
    """Put a fault on a road; where it was caught, or ``None`` if it came through."""
    # Hypothesis tries the failures of earlier runs first, which it keeps in the current folder.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return _ROADS[road](fault)


def _run(
    fault: Fault, framework: Framework, name: str, work: Callable[[Checker], None]
) -> Caught | None:
    """As ``crosscheck run`` does it, up to the first failure."""
    watches: list[_Watch] = []

    def checker_of(emit: Callable[[Event], None]) -> Checker:
        checker = Checker([framework], emit)
        watches.append(_Watch(checker.is_failing))
        return checker

    state = FrameworkState(framework.name, "available", {})
    started = RunStarted("", name, None if not name else SEED, fault.dtypes, (state,), {})
    reasons: list[str] = []

    def emit(event: Event) -> None:
        for watch in watches:
            watch(event)

    try:
        code = crosscheck.run(checker_of, work, started, [state], emit)
    except _Stop:
        return watches[0].caught
    if code is not ExitCode.OK:
        return Caught(f"exit code {int(code)}", watches[0].cases, "; ".join(reasons))
    return None


def _profile(name: str) -> Callable[[Fault], Caught | None]:
    def road(fault: Fault) -> Caught | None:
        def work(checker: Checker) -> None:
            crosscheck.check_generated(checker, profile(name), seed=SEED, dtypes=fault.dtypes)

        return _run(fault, Planted(fault), name, work)

    return road


def _kinks(fault: Fault) -> Caught | None:
    cases = [case for dtype in fault.dtypes for case in kink_cases(dtype=dtype)]
    return _run(fault, Planted(fault), "", lambda checker: crosscheck.check_given(checker, cases))


def _fixture(fault: Fault) -> Caught | None:
    watch = _Watch(fails)
    try:
        compare_implementations(
            numpy=as_function(fault), dtypes=fault.dtypes, seed=SEED, emit=watch
        )
    except _Stop:
        return watch.caught
    return None


_HARD = Mix.parse("uniform=2,kinks=1,undecided=1,special=1")


def _sweeps(dtypes: Iterable[str]) -> Iterable[Settings]:
    common: dict[str, Any] = {"seed": SEED, "frameworks": ("planted",), "max_failures": 1}
    dtypes = tuple(dtypes)
    plain = tuple(
        Shape(Network(widths), 17, dtype)
        for widths in ((3, 65, 2), (4, 8, 1), (7, 9, 9, 3), (16, 32, 32, 4))
        for dtype in dtypes
    )
    yield Settings(shapes=plain, cases=8192, mix=DEFAULT_MIX, **common)
    hard = tuple(Shape(Network((9, 9, 3), "identity", "mean"), 3, dtype) for dtype in dtypes)
    yield Settings(shapes=hard, cases=1024, mix=_HARD, **common)


def _sweep(fault: Fault) -> Caught | None:
    framework, cases = Planted(fault), 0
    for settings in _sweeps(fault.dtypes):
        for part in settings.parts(0, settings.places):
            checked = check_part(part, settings, [framework])
            cases += checked.summary.count
            if checked.failing:
                event = checked.cases[-1]
                return Caught(str(event.verdicts[0].kind), cases, event.label)
    return None


_ROADS: Mapping[Road, Callable[[Fault], Caught | None]] = MappingProxyType(
    {
        "quick": _profile("quick"),
        "default": _profile("default"),
        "sweep": _sweep,
        "fixture": _fixture,
        "kinks": _kinks,
    }
)
