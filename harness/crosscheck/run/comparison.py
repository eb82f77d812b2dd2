"""What a comparison of functions found, and how it fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.vacuity import Coverage
from crosscheck.judge.verdict import Kind
from crosscheck.run.events import CaseChecked, Event, StackChecked
from crosscheck.run.failure import failure_text
from crosscheck.run.tally import failing_verdicts, slope_name

__all__ = ["Comparison", "DisagreementError", "Failure", "raise_failure"]


@dataclass(frozen=True, eq=False)
class Failure:
    """The smallest case found on which an implementation fails.

    Attributes:
        event: The case and every implementation's verdict.
        note: Where it comes from.
        error: What an implementation raised on it; ``None`` if none did.
        traceback: Where it was raised, from the function on.
    """

    event: CaseChecked
    note: str
    error: BaseException | None = None
    traceback: TracebackType | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came of comparing implementations.

    Attributes:
        states: The implementations, as they appear in a report.
        events: What was checked; see `crosscheck.run.events`.
        keys: The keys of all cases that were checked.
        failure: The smallest failing case; ``None`` if every gradient is explained.
    """

    states: tuple[FrameworkState, ...]
    events: tuple[Event, ...]
    keys: frozenset[str]
    failure: Failure | None = None

    @property
    def passed(self) -> bool:
        """Whether every gradient is explained."""
        return self.failure is None

    @property
    def kinds(self) -> Mapping[str, Mapping[Kind, int]]:
        """Implementation to verdict to number of cases."""
        found: dict[str, Counter[Kind]] = {state.name: Counter() for state in self.states}
        for event in self.events:
            if isinstance(event, StackChecked):
                for name, kinds in event.kinds.items():
                    found[name].update(kinds)
        return found

    @property
    def coverage(self) -> Coverage:
        """Which arrays were checked, shape by shape; see `crosscheck.judge.vacuity`."""
        found = Coverage()
        for event in self.events:
            if isinstance(event, StackChecked):
                for line in event.lines:
                    found.add(line)
        return found

    @property
    def unchecked(self) -> Mapping[tuple[str, str, tuple[int, ...], int], tuple[str, ...]]:
        """(implementation, dtype, widths, rows) to the arrays that were never checked there.

        Every number from zero to the right one is within the bounds of such an array.
        """
        return {
            (line.framework, line.dtype, line.widths, line.rows): line.never
            for line in self.coverage.lines()
            if line.never
        }

    @property
    def boundary(self) -> Mapping[tuple[str, str, str], int]:
        """(implementation, gate class, λ) to number of gates that are not certain."""
        found: Counter[tuple[str, str, str]] = Counter()
        for event in self.events:
            if isinstance(event, CaseChecked) and not event.shrunk:
                for verdict in event.verdicts:
                    for gate in verdict.gates:
                        side = ", other side" if gate.flipped else ""
                        name = f"{verdict.framework} ({verdict.mode})"
                        found[name, f"{gate.gate}{side}", slope_name(gate)] += 1
        return found

    @property
    def message(self) -> str:
        """What a person reads; one line if nothing failed."""
        if self.failure is None:
            count = len(self.keys)
            return f"every gradient is explained, on {count:,} case{'' if count == 1 else 's'}"
        return failure_text(self.failure.event, note=self.failure.note)

    def __str__(self) -> str:
        return self.message

    def _repr_html_(self) -> str:
        """The comparison for a notebook."""
        from crosscheck.run.notebook import comparison_html

        unchecked: dict[str, dict[str, None]] = {}
        for (name, _, _, _), arrays in self.unchecked.items():
            unchecked.setdefault(name, {}).update(dict.fromkeys(arrays))
        return comparison_html(
            message=self.message,
            kinds=self.kinds,
            boundary=self.boundary,
            unchecked={name: tuple(arrays) for name, arrays in unchecked.items()},
            failing=() if self.failure is None else failing_verdicts(self.failure.event),
        )


class DisagreementError(AssertionError):
    """An implementation returned a wrong gradient, or raised.

    Attributes:
        comparison: What was compared, with the failing case: a `Comparison`, or a
            `crosscheck.run.functions.comparison.FunctionComparison`.
    """

    def __init__(self, message: str, comparison: Any) -> None:
        super().__init__(message)
        self.comparison = comparison


def raise_failure(comparison: Comparison) -> None:
    """Raise the failure of ``comparison``, if there is one.

    Raises:
        DisagreementError: There is one.
    """
    __tracebackhide__ = True
    failure = comparison.failure
    if failure is not None:
        cause = failure.error and failure.error.with_traceback(failure.traceback)
        raise DisagreementError(comparison.message, comparison) from cause
