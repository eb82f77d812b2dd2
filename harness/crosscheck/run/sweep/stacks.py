"""The sweep of a network of operators as work that is shared out: stacks of cases, by number.

A place is the number of a stack. What comes of some stacks are events, as a `Checker` tells them,
and what it counts beside; `take` hands them to another checker, so that a run whose stacks were
checked elsewhere ends and is reported like any other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache

from crosscheck.cases.composed import STACK, Plan, seeded_stack
from crosscheck.frameworks.base import Framework
from crosscheck.judge.door import judge
from crosscheck.judge.verdict import Verdict
from crosscheck.network.composed import Composed
from crosscheck.network.files import case_from_json, case_to_json
from crosscheck.run.answers import names_of
from crosscheck.run.checker import Checker
from crosscheck.run.events import AskedAgain, CaseChecked, Event, StackChecked
from crosscheck.run.records import RECORDS
from crosscheck.run.sweep.coordinate import Done, Step
from crosscheck.run.sweep.quarantine import ENDED, kind_of_loss
from crosscheck.run.sweep.work import opened
from crosscheck.workers.pool import ProcessExecutor
from crosscheck.workers.process import WorkerLostError
from crosscheck.workers.threads import this_worker

__all__ = ["Found", "Stacks", "take"]

_ENDLESS = 2**53
_STEP = 4
"""Stacks that are checked together: three away from breakpoints and one that meets them. Calls are
made again after another stack has come between."""


Sent = StackChecked | AskedAgain | str
"""An event as it goes from one process to another: a `CaseChecked` as in files."""


@dataclass(frozen=True, eq=False)
class Found:
    """What came of some stacks.

    Attributes:
        events: In order.
        failed: Whether anything failed.
        smooth: See `Checker`.
        seen: Of each stack, one number for each of its cases.
        nondeterministic: Framework to the position of an event.
        cut: Whether the sweep ends here, with a framework that was given up on.
    """

    events: Sequence[Sent]
    failed: bool
    smooth: int
    seen: Sequence[frozenset[int]]
    nondeterministic: Mapping[str, int] = field(default_factory=dict)
    cut: bool = False


@dataclass(frozen=True)
class Stacks:
    """A sweep of one network; see `crosscheck.run.sweep.coordinate.Work`.

    Attributes:
        network: A case file: its steps, shapes and dtype are kept, its numbers are not.
        cases: How many; without end if ``None``.
        seed: Of the numbers.
        frameworks: Names of the frameworks; empty for all that are installed.
        formulations: Framework name to formulation, where it is not the default.
        modes: Framework name to mode, likewise.
        allow: Names of coarser arithmetics whose REDUCED is no failure.
        are_certified: Whether each step is certified too, of frameworks that show their steps.
    """

    network: str
    cases: int | None
    seed: int
    frameworks: tuple[str, ...] = ()
    formulations: tuple[tuple[str, str], ...] = ()
    modes: tuple[tuple[str, str], ...] = ()
    allow: tuple[str, ...] = ()
    are_certified: bool = False

    @staticmethod
    def network_of(case: Composed) -> str:
        """What `network` is for the network of a case."""
        return json.dumps(case_to_json(case), allow_nan=False)

    @property
    def dtype(self) -> str:
        """Of the cases."""
        return _drawn_from(self.network)[1]

    @property
    def command(self) -> str:
        """As of `crosscheck.cases.stream.settings.Settings`."""
        return "sweep --steps" if self.are_certified else "sweep"

    @property
    def places(self) -> int:
        """See `Work`."""
        return _ENDLESS if self.cases is None else -(-self.cases // STACK)

    def steps(self, start: int) -> Iterator[tuple[int, int]]:
        """See `Work`."""
        while start < self.places:
            stop = min((start // _STEP + 1) * _STEP, self.places)
            yield start, stop
            start = stop

    def count(self, number: int) -> int:
        """How many cases stack ``number`` has."""
        return STACK if self.cases is None else min(STACK, self.cases - number * STACK)

    def check(self, number: int, checker: Checker) -> None:
        """Put stack ``number`` to the frameworks of a checker."""
        plan, dtype = _drawn_from(self.network)
        stack, part = seeded_stack(plan, self.seed, number, self.count(number), dtype)
        checker.check_stack(stack, part, self._label(number))

    def open(self) -> None:
        """See `Work`."""
        opened(self)

    def do(self, first: int, last: int) -> Done[Found]:
        """See `Work`."""
        frameworks, made_with = opened(self)
        found = self._found(first, last, frameworks)
        return Done((found,), this_worker(), made_with)

    def described(self, first: int, last: int) -> str:
        """See `Work`."""
        return f"stacks {self._address(first)} to {self._address(last - 1)}"

    @contextmanager
    def quarantine(
        self, frameworks: Sequence[Framework], deadline: float
    ) -> Iterator[Callable[[int, int], tuple[Found, ...]]]:
        """See `Work`."""
        pool = ProcessExecutor(1, deadline=deadline, first=self.open)
        try:
            yield lambda first, last: tuple(self._apart(pool, frameworks, first, last))
        finally:
            pool.shutdown(cancel_futures=True)

    def _address(self, number: int) -> str:
        return f"{self.seed}:{number}"

    def _label(self, number: int) -> str:
        return f"stack {self._address(number)}"

    def _found(self, first: int, last: int, frameworks: Sequence[Framework]) -> Found:
        events: list[Event] = []
        checker = Checker(frameworks, events.append, allow=self.allow, command=self.command)
        seen = []
        for number in range(first, last):
            before = set(checker.seen)
            self.check(number, checker)
            seen.append(frozenset(checker.seen - before))
        checker.finish()
        return Found(
            [_sent(each) for each in events],
            checker.failed,
            checker.smooth,
            seen,
            {name: events.index(event) for name, event in checker.nondeterministic.items()},
        )

    def _apart(
        self, pool: ProcessExecutor, frameworks: Sequence[Framework], first: int, last: int
    ) -> Iterator[Found]:
        """Stack by stack, with each framework by itself before all of them."""
        for number in range(first, last):
            lost: list[Verdict] = []
            for framework in frameworks:
                try:
                    pool.submit(self._only(framework.name).do, number, number + 1).result()
                except WorkerLostError as error:
                    detail = f"{ENDED} {error.what}, on the {self.count(number)} cases of "
                    detail += self._label(number)
                    names = names_of(framework)
                    lost.append(Verdict(*names, kind_of_loss(error), detail=detail))
            if lost:
                yield self._given_up(number, lost)
                return
            yield from pool.submit(self.do, number, number + 1).result().checked

    def _only(self, name: str) -> Stacks:
        """The same sweep with one framework."""
        return replace(
            self,
            frameworks=(name,),
            formulations=tuple(pair for pair in self.formulations if pair[0] == name),
            modes=tuple(pair for pair in self.modes if pair[0] == name),
        )

    def _given_up(self, number: int, verdicts: Sequence[Verdict]) -> Found:
        """Frameworks that cost the process its life on a stack, told with its first case."""
        plan, dtype = _drawn_from(self.network)
        stack, part = seeded_stack(plan, self.seed, number, 1, dtype)
        case = stack[0]
        kinds = {verdict.framework: {verdict.kind: 1} for verdict in verdicts}
        label, reference = f"{self._label(number)}, case 0", judge(case).reference()
        checked = CaseChecked(part, label, case, reference, tuple(verdicts), allow=self.allow)
        counted = StackChecked(part, case.widths, case.rows, dtype, 1, 0, kinds, {})
        return Found([counted, _sent(checked)], True, 0, [frozenset()], cut=True)


def _sent(event: Event) -> Sent:
    if isinstance(event, CaseChecked):
        return json.dumps(RECORDS.apart(event), allow_nan=False)
    assert isinstance(event, StackChecked | AskedAgain)  # a checker tells of nothing else
    return event


@cache
def _drawn_from(network: str) -> tuple[Plan, str]:
    """The network of a case file without its numbers, and their dtype."""
    case = case_from_json(json.loads(network), origin="case")
    assert isinstance(case, Composed)
    shapes = case.shapes
    parameters, inputs = (
        {name: shapes[name] for name in names} for names in (case.parameters, case.inputs)
    )
    return Plan(case.steps, parameters, inputs), case.dtype


def take(checker: Checker, step: Step[Found]) -> bool:
    """Count what was found elsewhere; whether the sweep goes on.

    Args:
        checker: It counts and tells all this as if it had checked the stacks.
        step: The next results.
    """
    with checker.held():
        for lost in step.lost:
            checker.emit(lost)
        for found in step.checked:
            _take(checker, found)
    return not any(found.cut for found in step.checked)


def _take(checker: Checker, found: Found) -> None:
    checker.failed |= found.failed
    checker.smooth += found.smooth
    stacks = iter(found.seen)
    told = [
        RECORDS.together(json.loads(each), CaseChecked) if isinstance(each, str) else each
        for each in found.events
    ]
    for event in told:
        if isinstance(event, StackChecked):
            new = next(stacks) - checker.seen
            checker.seen |= new
            event = replace(event, distinct=len(new))
            for line in event.lines:
                checker.coverage.add(line)
        checker.emit(event)
    for name, position in found.nondeterministic.items():
        event = told[position]
        assert isinstance(event, CaseChecked)
        checker.nondeterministic.setdefault(name, event)
