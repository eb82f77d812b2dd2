"""The counting that all sinks share, in constant memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from crosscheck.cases.stream.settings import Settings
from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.decisions import GateClass, GateReading
from crosscheck.judge.vacuity import Coverage
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.run.certified import Certifications
from crosscheck.run.events import (
    AskedAgain,
    CaseChecked,
    Event,
    Part,
    RunFinished,
    RunStarted,
    StackChecked,
    SweepChecked,
    WorkerLost,
)
from crosscheck.run.spread import Spread

__all__ = [
    "Boundary",
    "BoundaryKey",
    "Repeats",
    "Tally",
    "failing_verdicts",
    "slope_name",
]

_KEPT_FAILURES = 20
"""Failing cases that are kept, for each framework: one that fails always hides no other."""
_KEPT_EXAMPLES = 2
_KEPT_LOSSES = 100


def slope_name(reading: GateReading) -> str:
    """λ for a table: a convention by its usual name, every other number as one class.

    One class, because λ read off a gradient is any float: a line for each would grow with the
    run. The number itself is in the example and in the kept cases.
    """
    if reading.slope is None:
        return str(reading.effect)
    return {0.0: "0", 0.5: "1/2", 1.0: "1"}.get(reading.slope, "other")


def failing_verdicts(event: CaseChecked) -> tuple[Verdict, ...]:
    """The verdicts of ``event`` for which the run fails."""
    return tuple(verdict for verdict in event.verdicts if fails(verdict, event.allow))


@dataclass(frozen=True, order=True)
class BoundaryKey:
    """One line of the ReLU-boundary table."""

    framework: str
    formulation: str
    mode: str
    gate: GateClass
    slope: str
    flipped: bool


@dataclass
class Boundary:
    """What is counted for one line of the ReLU-boundary table."""

    gates: int = 0
    cases: int = 0
    example: tuple[str, GateReading] | None = None


@dataclass(frozen=True)
class Repeats:
    """What came of asking a framework again, in numbers of cases; see `AskedAgain`."""

    cases: int = 0
    not_reproducible: int = 0
    nondeterministic: int = 0

    def __add__(self, event: AskedAgain) -> Repeats:
        return Repeats(
            self.cases + event.cases,
            self.not_reproducible + event.not_reproducible,
            self.nondeterministic + event.nondeterministic,
        )

    @property
    def words(self) -> str:
        """For a person."""
        plural = "" if self.cases == 1 else "s"
        told = [f"{self.cases:,} case{plural} asked again"]
        if self.not_reproducible:
            told.append(f"{self.not_reproducible:,} not reproducible (other bits, within bounds)")
        if self.nondeterministic:
            told.append(f"{self.nondeterministic:,} nondeterministic (wrong at times)")
        return ", ".join(told if len(told) > 1 else [*told, "all with the same bits"])


@dataclass
class Tally:
    """Everything that a report needs, from events that are handed in one by one.

    Attributes:
        started: The first event.
        finished: The last event, once it is there.
        kinds: (framework, part) to verdict to number of cases.
        spreads: (framework, dtype, depth) to the distribution of error / bound.
        boundary: The ReLU-boundary table.
        validity: (framework, formulation, block) to status to number of cases at a kink.
        policies: (framework, formulation, mode) of a gradient that is NONFINITE, to question, to
            the answers that it left, to number of cases.
        families: (framework, family of cases) to verdict to number of cases, of a sweep.
        again: Framework to what came of asking it again; see `crosscheck.run.again`.
        certified: (framework, certificate) to what it said; see `crosscheck.run.certified`.
        coverage: Which arrays were checked, shape by shape; of a sweep, in a share of its cases.
        sweep: The settings of a sweep; ``None`` otherwise.
        lost: Workers that ended or hung, the first hundred.
        losses: How many of them there were.
        kept: Cases worth showing: the user's own, failures, and a few examples of each line
            of the boundary table and of each other verdict.
        arithmetics: (framework, part) to the name of a coarser arithmetic to number of cases that
            are REDUCED to it.
        allowed: (framework, part) to how many of these were allowed.
        failures: How many failing cases there were, shrunk ones not counted.
        dropped: How many checked cases were handed in one by one and are not in ``kept``.
        cases: How many cases were checked.
    """

    started: RunStarted | None = None
    finished: RunFinished | None = None
    kinds: dict[tuple[str, Part], dict[Kind, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    spreads: dict[tuple[str, str, int], Spread] = field(default_factory=lambda: defaultdict(Spread))
    boundary: dict[BoundaryKey, Boundary] = field(default_factory=lambda: defaultdict(Boundary))
    validity: dict[tuple[str, str, str], dict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    policies: dict[tuple[str, str, str], dict[str, dict[tuple[str, ...], int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(int)))
    )
    families: dict[tuple[str, str], dict[Kind, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    arithmetics: dict[tuple[str, Part], dict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(int))
    )
    allowed: dict[tuple[str, Part], int] = field(default_factory=lambda: defaultdict(int))
    again: dict[str, Repeats] = field(default_factory=dict)
    certified: dict[tuple[str, str], Certifications] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=Coverage)
    sweep: Settings | None = None
    lost: list[WorkerLost] = field(default_factory=list)
    losses: int = 0
    kept: list[CaseChecked] = field(default_factory=list)
    failures: int = 0
    dropped: int = 0
    cases: int = 0
    _examples: dict[object, int] = field(default_factory=lambda: defaultdict(int))

    def add(self, event: Event) -> None:
        """Take the next event."""
        match event:
            case RunStarted():
                self.started = event
            case RunFinished():
                self.finished = event
            case StackChecked():
                self._add_stack(event)
            case SweepChecked():
                self._add_sweep(event)
            case CaseChecked():
                self._add_case(event)
            case AskedAgain():
                self.again[event.framework] = self.again.get(event.framework, Repeats()) + event
            case WorkerLost():
                self.losses += 1
                self.lost.append(event)
                del self.lost[_KEPT_LOSSES:]

    def _add_stack(self, event: StackChecked) -> None:
        self.cases += event.count
        for framework, kinds in event.kinds.items():
            for kind, count in kinds.items():
                self.kinds[framework, event.part][kind] += count
        for framework, bounds in event.bounds.items():
            self.spreads[framework, event.dtype, len(event.widths) - 1].add(bounds)
        self._add_seen(event)

    def _add_sweep(self, event: SweepChecked) -> None:
        self.cases += event.count
        for framework, families in event.kinds.items():
            for family, kinds in families.items():
                for kind, count in kinds.items():
                    self.kinds[framework, "sweep"][kind] += count
                    self.families[framework, family][kind] += count
        for framework, spread in event.spreads.items():
            self.spreads[framework, event.dtype, len(event.widths) - 1].merge(spread)
        self._add_seen(event)

    def _add_seen(self, event: StackChecked | SweepChecked) -> None:
        for framework, said in event.certified.items():
            for certificate, found in said.items():
                key = framework, certificate
                self.certified[key] = self.certified.get(key, Certifications()) + found
        for line in event.lines:
            self.coverage.add(line)

    def _add_case(self, event: CaseChecked) -> None:
        if not event.shrunk:
            self.failures += bool(failing_verdicts(event))
            for verdict in event.verdicts:
                self._add_reduction(event, verdict)
                self._add_gates(event, verdict)
                if verdict.kind is Kind.NONFINITE:
                    told = self.policies[verdict.framework, verdict.formulation, verdict.mode]
                    for policy in verdict.policies:
                        told[policy.question][policy.answers] += 1
                for each in verdict.validity:
                    path = (verdict.framework, verdict.formulation, each.block)
                    self.validity[path][each.status] += 1
        if not self.keep(event):
            self.dropped += 1

    def keep(self, event: CaseChecked) -> bool:
        """Keep ``event`` if it is worth it, without counting it; whether it was."""
        if self._is_worth_keeping(event):
            self.kept.append(event)
            return True
        return False

    def _add_reduction(self, event: CaseChecked, verdict: Verdict) -> None:
        if verdict.arithmetic is not None:
            key = verdict.framework, event.part
            self.arithmetics[key][verdict.arithmetic] += 1
            self.allowed[key] += not fails(verdict, event.allow)

    def _add_gates(self, event: CaseChecked, verdict: Verdict) -> None:
        gates: Counter[tuple[str, GateClass, str, bool]] = Counter()
        examples: dict[tuple[str, GateClass, str, bool], GateReading] = {}
        for reading in verdict.gates:
            how = reading.operator or verdict.formulation
            told = how, reading.gate, slope_name(reading), reading.flipped
            gates[told] += 1
            examples.setdefault(told, reading)
        for told, count in gates.items():
            how, gate, slope, flipped = told
            key = BoundaryKey(verdict.framework, how, verdict.mode, gate, slope, flipped)
            line = self.boundary[key]
            line.gates += count
            line.cases += 1
            if line.example is None:
                line.example = event.case.key, examples[told]

    def _is_worth_keeping(self, event: CaseChecked) -> bool:
        if event.part == "given" or event.shrunk:
            return True
        names = {verdict.framework for verdict in failing_verdicts(event)}
        if names:
            taken = [self._take(("failing", name), _KEPT_FAILURES) for name in sorted(names)]
            return any(taken)
        classes: set[tuple[object, ...]] = {
            (verdict.framework, verdict.kind, reading.gate, slope_name(reading), reading.flipped)
            for verdict in event.verdicts
            for reading in verdict.gates
        }
        for verdict in event.verdicts:
            if verdict.kind is not Kind.AGREES:
                classes.add((verdict.framework, verdict.kind))
            for each in verdict.validity:
                classes.add((verdict.framework, each.block, each.status))
        taken = [self._take(each, _KEPT_EXAMPLES) for each in sorted(classes, key=str)]
        return any(taken)

    def _take(self, name: object, limit: int) -> bool:
        if self._examples[name] >= limit:
            return False
        self._examples[name] += 1
        return True

    def states(self) -> tuple[FrameworkState, ...]:
        """The frameworks' states, in the order of the run."""
        return self.started.frameworks if self.started else ()
