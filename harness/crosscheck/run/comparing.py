"""Functions of the user's compared with the reference, until one fails or no case is left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import hypothesis

from crosscheck.cases.profiles import settings
from crosscheck.cases.search import search
from crosscheck.cases.shrink import shrink
from crosscheck.frameworks.gatekeeper import ask
from crosscheck.judge.certificates import FUNCTION, NOT_AS_WRITTEN
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.composed import AnyCase
from crosscheck.run.checker import ATTEMPTS, Checker, Disagreement
from crosscheck.run.comparison import Comparison, Failure
from crosscheck.run.events import CaseChecked, Event, Part
from crosscheck.run.failing import SameFailure, failures
from crosscheck.run.implementations import Implementation
from crosscheck.run.wanted import Search, Wanted, singles
from crosscheck.tools.errors import UsageError

__all__ = ["Comparing"]


@dataclass(eq=False)
class Comparing:
    """One comparison under way.

    Attributes:
        implementations: What is compared.
        allow: Names of coarser arithmetics whose REDUCED is no failure.
        emit: Takes each event as it comes.
        as_written: Whether they are run as they are written, and go backwards.
        events: All so far.
        keys: Of the cases that were checked.
        failure: The smallest failing case, once one was found; it ends the comparison.
    """

    implementations: Sequence[Implementation]
    allow: tuple[str, ...]
    emit: Callable[[Event], None] | None = None
    as_written: bool = True
    events: list[Event] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    failure: Failure | None = None

    def __post_init__(self) -> None:
        command = FUNCTION if self.as_written else NOT_AS_WRITTEN
        self._checker = Checker(self.implementations, self._take, self.allow, command)
        self._same: SameFailure | None = None
        self._first: tuple[AnyCase, Sequence[Verdict]] | None = None

    def _take(self, event: Event) -> None:
        self.events.append(event)
        if self.emit is not None:
            self.emit(event)

    def result(self) -> Comparison:
        """What has been found so far."""
        states = tuple(each.state for each in self.implementations)
        return Comparison(states, tuple(self.events), frozenset(self.keys), self.failure)

    def run(self, wanted: Wanted) -> None:
        """Check all cases, up to a failure.

        Raises:
            UsageError: There are no such cases, or an implementation was not compared on any, or
                none of its arrays was checked.
        """
        if not self._fails(wanted):
            self._require_compared()
            self._require_checked()

    def _fails(self, wanted: Wanted) -> bool:
        seed = wanted.seed
        for label, case in wanted.given():
            if self._check_single("given", label, case):
                return True
        searches, wide = wanted.generated()
        for number, each in enumerate(searches):
            if each.examples and self._search(each, seed + number, seed):
                return True
        for label, case in wide:
            if self._check_single("smooth", label, case, f"found ({label}, seed {seed})"):
                return True
        return self._finish()

    def _check_single(self, part: Part, label: str, case: AnyCase, found: str = "") -> bool:
        """Check a single case; whether it fails. Then the smallest form is looked for.

        Args:
            part: Where it comes from.
            label: Its name.
            case: The case.
            found: For a generated case, what is to be said of it.
        """
        if not self._check(case, part, label):
            return False
        smallest = case
        # Inside somebody else's search, that one shrinks; what comes and goes, nobody does.
        if not (hypothesis.currently_in_test_context() or self._checker.nondeterministic):
            smallest = shrink(case, self._still_fails, attempts=ATTEMPTS)
        note = label if smallest is case else f"smallest failing form of {label}"
        self._fail(smallest, part, label, f"smallest failing case {found}" if found else note)
        return True

    def _search(self, wanted: Search, seed: int, stated_seed: int) -> bool:
        """Check generated cases; whether one fails. Then its smallest form is looked for.

        Args:
            wanted: Where they come from, and how many.
            seed: Of what is drawn.
            stated_seed: The user's, from which that follows.
        """
        part, label, strategy, count = wanted

        def check(drawn: AnyCase, new: bool) -> None:
            for _, case in singles(drawn, label):
                failing = self._check(case, part, label) if new else self._still_fails(case)
                if failing:
                    raise Disagreement(label)

        finding = search(
            strategy,
            check,
            name="_".join([label, *(each.name for each in self.implementations)]).replace(" ", "_"),
            settings=settings(),
            seed=seed,
            examples=count,
            failure=Disagreement,
        )
        if finding is None:
            return False
        if finding.flaky:
            if not self._checker.nondeterministic and self._first is not None:
                self._checker.tell_flaky(*self._first, part, label)
            self._fail(finding.smallest, part, label, "")
            return True
        (smallest, *_) = [
            case for _, case in singles(finding.smallest, label) if self._still_fails(case)
        ] or [case for _, case in singles(finding.smallest, label)]
        # Hypothesis keeps to what the strategy can draw; rows and units may still go.
        smallest = shrink(smallest, self._still_fails, attempts=ATTEMPTS)
        self._fail(
            smallest, part, label, f"smallest failing case found ({label}, seed {stated_seed})"
        )
        return True

    def _finish(self) -> bool:
        """Ask again what still waits for it; whether an answer depends on when it was asked for."""
        self._checker.finish()
        if self.failure is None and self._checker.nondeterministic:
            self._fail_at_times()
        return self.failure is not None

    def _require_checked(self) -> None:
        """Raise a `UsageError` if nothing that an implementation returned was ever checked."""
        lines = list(self.result().coverage.lines())
        for each in self.implementations:
            own = [line for line in lines if line.framework == each.name]
            if own and all(line.unchecked == line.compared for line in own):
                dtypes = ", ".join(dict.fromkeys(line.dtype for line in own))
                raise UsageError(
                    f"{each.name}: none of the arrays it returned was checked, since the bounds "
                    f"of {dtypes} in these cases cannot tell them from zero; use a dtype with "
                    "more digits, or smaller networks"
                )

    def _require_compared(self) -> None:
        """Raise a `UsageError` if an implementation was not compared on any case."""
        for name, kinds in self.result().kinds.items():
            if all(kind is Kind.UNSUPPORTED for kind in kinds):
                told = ", ".join(f"{kind} {count}" for kind, count in kinds.items()) or "no cases"
                reasons = {
                    verdict.detail
                    for event in self.events
                    if isinstance(event, CaseChecked)
                    for verdict in event.verdicts
                    if verdict.framework == name and verdict.detail
                }
                because = f": {min(reasons)}" if reasons else ""
                raise UsageError(f"{name} was not compared on any case ({told}){because}")

    def _check(self, case: AnyCase, part: Part, label: str) -> bool:
        if not self.keys:
            self._introduce(case)
        self.keys.add(case.key)
        verdicts = self._checker.check_case(case, part, label)
        self._raise_misuse()
        failing = failures(verdicts, self._checker.is_failing)
        if failing and self._same is None:
            checker = self._checker
            self._same = SameFailure(case, failing, checker.ask, checker.is_failing)
            self._first = case, verdicts
        return bool(failing)

    def _still_fails(self, case: AnyCase) -> bool:
        """Whether one of the implementations that failed first fails in the same way."""
        return self._same is not None and self._same(case)

    def _fail_at_times(self) -> None:
        event = next(iter(self._checker.nondeterministic.values()))
        self.failure = Failure(
            event, f"a case that fails at times and passes at others ({event.label})"
        )

    def _fail(self, smallest: AnyCase, part: Part, label: str, note: str) -> None:
        if self._checker.nondeterministic:
            self._fail_at_times()
            return
        self._checker.check_shrunk(smallest, part, label)
        event = self.events[-1]
        assert isinstance(event, CaseChecked)
        crashed = [each for each in self.implementations if each.error is not None]
        error = crashed[0].error if crashed else None
        self.failure = Failure(event, note, error, crashed[0].traceback if crashed else None)

    def _introduce(self, case: AnyCase) -> None:
        """Let each function show what it returns, so that its verdicts say how it was used."""
        for each in self.implementations:
            ask(each, case)  # what is refused will come again, and be a verdict
        self._raise_misuse()

    def _raise_misuse(self) -> None:
        for each in self.implementations:
            if isinstance(each.error, UsageError):
                raise each.error.with_traceback(None)
