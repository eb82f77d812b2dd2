"""What came of comparing functions with their formula."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeAlias

from crosscheck.cases.functions.record import Record
from crosscheck.frameworks.state import FrameworkState
from crosscheck.frontends.case import FunctionCase
from crosscheck.judge.causes.differences import Difference
from crosscheck.judge.causes.formulas import OtherFormula
from crosscheck.judge.causes.search import Cause
from crosscheck.judge.causes.sums import CoarseSum
from crosscheck.judge.verdict import Entry, Kind, Verdict
from crosscheck.run.comparison import DisagreementError
from crosscheck.run.tally import slope_name

__all__ = ["AnyCause", "FunctionComparison", "FunctionFailure", "Judged", "raise_function_failure"]

AnyCause: TypeAlias = Cause | CoarseSum | Difference | OtherFormula
"""What explains all that failed."""


@dataclass(frozen=True, eq=False)
class Judged:
    """One case, and what every implementation made of it.

    Attributes:
        record: The case as it was drawn.
        case: The case.
        verdicts: One for each implementation.
    """

    record: Record
    case: FunctionCase
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, eq=False)
class FunctionFailure:
    """One implementation that is wrong.

    Attributes:
        name: Of the implementation.
        verdict: On the smallest failing case.
        case: The smallest failing case with the same cause.
        record: That case as it was drawn.
        cases: How many cases failed, and how many there were.
        cause: The one mistake that explains all of them; ``None`` if none does.
        entry: The entry that shows it best; ``None`` where nothing was returned.
        wrong: Names of the arrays that are wrong in some case.
        right: Of those that never are.
        not_given: Of those that were never returned.
        error: What it raised.
        traceback: Where, from the function on.
    """

    name: str
    verdict: Verdict
    case: FunctionCase
    record: Record
    cases: tuple[int, int]
    cause: AnyCause | None
    entry: Entry | None
    wrong: tuple[str, ...]
    right: tuple[str, ...]
    not_given: tuple[str, ...]
    error: BaseException | None = None
    traceback: TracebackType | None = None

    def as_json(self) -> dict[str, Any]:
        """The failure as JSON, for programs."""
        from crosscheck.run.functions.text import cause_text

        entry = self.entry
        return {
            "implementation": self.name,
            "verdict": str(self.verdict.kind),
            "detail": self.verdict.detail,
            "cause": None if self.cause is None else cause_text(self.cause),
            "failed": self.cases[0],
            "of": self.cases[1],
            "wrong": list(self.wrong),
            "right": list(self.right),
            "not given": list(self.not_given),
            "entry": None
            if entry is None
            else {
                "name": entry.name,
                "given": repr(entry.given),
                "must be": repr(entry.reference),
                "bound": repr(entry.bound),
            },
            "case": str(self.record),
            "key": self.record.key,
        }


@dataclass(frozen=True, eq=False)
class FunctionComparison:
    """What came of comparing functions with their formula.

    Attributes:
        name: Of the formula.
        states: The implementations, as they appear in a report.
        judged: Every case with its verdicts.
        failures: One for each implementation that is wrong.
        agree_with_each_other: Names of several implementations that agree with each other in every
            failing case, and not with the formula; empty if there are none.
        notes: What the user should be told once.
        events: For a report; see `crosscheck.run.events`.
    """

    name: str
    states: tuple[FrameworkState, ...]
    judged: tuple[Judged, ...]
    failures: tuple[FunctionFailure, ...] = ()
    agree_with_each_other: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    events: tuple[Any, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every implementation is right."""
        return not self.failures

    @property
    def keys(self) -> frozenset[str]:
        """The keys of all cases."""
        return frozenset(each.record.key for each in self.judged)

    @property
    def kinds(self) -> Mapping[str, Mapping[Kind, int]]:
        """Implementation to verdict to number of cases."""
        found: dict[str, Counter[Kind]] = {state.name: Counter() for state in self.states}
        for each in self.judged:
            for verdict in each.verdicts:
                found[verdict.framework][verdict.kind] += 1
        return found

    @property
    def boundary(self) -> Mapping[tuple[str, str, str], int]:
        """(implementation, decision and its class, λ) to number of decisions not certain."""
        found: Counter[tuple[str, str, str]] = Counter()
        for each in self.judged:
            for verdict in each.verdicts:
                for gate in verdict.gates:
                    side = ", other side" if gate.flipped else ""
                    found[
                        f"{verdict.framework} ({verdict.mode})",
                        f"{gate.gate}{side}",
                        slope_name(gate),
                    ] += 1
        return found

    @property
    def unchecked(self) -> Mapping[str, tuple[str, ...]]:
        """Implementation to the arrays that were compared and never told from zero."""
        found = {}
        for state in self.states:
            verdicts = [
                verdict
                for each in self.judged
                for verdict in each.verdicts
                if verdict.framework == state.name
            ]
            told = {name for verdict in verdicts for name in verdict.checked}
            never = {name for verdict in verdicts for name in verdict.unchecked} - told
            if never:
                found[state.name] = tuple(sorted(never))
        return found

    def as_json(self) -> dict[str, Any]:
        """The comparison as JSON, for programs."""
        return {
            "formula": self.name,
            "passed": self.passed,
            "cases": len(self.judged),
            "verdicts": {
                name: {str(kind): count for kind, count in kinds.items()}
                for name, kinds in self.kinds.items()
            },
            "failures": [each.as_json() for each in self.failures],
            "notes": list(self.notes),
        }

    @property
    def message(self) -> str:
        """What a person reads."""
        from crosscheck.run.functions.text import comparison_text

        return comparison_text(self)

    def __str__(self) -> str:
        return self.message

    def _repr_html_(self) -> str:
        """The comparison for a notebook."""
        from crosscheck.run.notebook import comparison_html

        return comparison_html(
            message=self.message,
            kinds=self.kinds,
            boundary=self.boundary,
            unchecked=self.unchecked,
            failing=[each.verdict for each in self.failures],
            notes=self.notes if self.passed else (),  # else the message has them
        )


def raise_function_failure(comparison: FunctionComparison) -> None:
    """Raise what failed, if anything did.

    Raises:
        DisagreementError: An implementation is wrong, or raised; then its exception is the cause.
    """
    __tracebackhide__ = True
    if comparison.passed:
        return
    raised = next((each for each in comparison.failures if each.error is not None), None)
    cause = None
    if raised is not None and raised.error is not None:
        cause = raised.error.with_traceback(raised.traceback)
    raise DisagreementError(comparison.message, comparison) from cause
