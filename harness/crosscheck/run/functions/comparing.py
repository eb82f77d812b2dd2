"""Functions compared with their formula, case by case; what fails is explained and made small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from crosscheck.cases.functions.record import Record
from crosscheck.frameworks.gatekeeper import ask
from crosscheck.frameworks.refusals import Refused
from crosscheck.frontends.case import FunctionCase
from crosscheck.judge.causes.differences import Difference, find_difference
from crosscheck.judge.causes.formulas import find_formula
from crosscheck.judge.causes.search import Cause, Failing, find_cause
from crosscheck.judge.causes.sums import CoarseSum, coarse_sum
from crosscheck.judge.programs.contract import Precision
from crosscheck.judge.verdict import Entry, Kind, Verdict, fails
from crosscheck.network.composed import Derivatives
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.formats import format_of
from crosscheck.run.functions.comparison import (
    AnyCause,
    FunctionComparison,
    FunctionFailure,
    Judged,
)
from crosscheck.run.functions.formula import Formula
from crosscheck.run.functions.judged import FunctionJudge
from crosscheck.run.functions.partners import Partner
from crosscheck.tools.errors import UsageError
from crosscheck.tools.trail import note

__all__ = ["FunctionComparing"]


@dataclass(frozen=True, eq=False)
class _Answer:
    """What a partner returned for a case, and what is said of it.

    Attributes:
        given: What was returned.
        verdict: The verdict.
        wrong: Names of the arrays that are wrong, if it fails.
        entry: The entry that shows it best, if it fails.
    """

    given: Derivatives | Refused
    verdict: Verdict
    wrong: tuple[str, ...] = ()
    entry: Entry | None = None


@dataclass(frozen=True, eq=False)
class _Outcome:
    """One case and what came of it, an answer for each partner that was asked."""

    record: Record
    written: FunctionCase
    case: FunctionCase
    answers: tuple[_Answer, ...]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Of the answers."""
        return tuple(each.verdict for each in self.answers)


@dataclass(eq=False)
class FunctionComparing:
    """One comparison under way.

    Attributes:
        formula: What is to be computed.
        partners: What is compared with it.
        allow: Names of coarser arithmetics whose REDUCED is no failure.
        smaller: Makes a record as small as it gets while something holds of it.
        values: Whether the outputs are compared too.
        contract: What implementations round, if not every operation to the case's dtype.
    """

    formula: Formula
    partners: Sequence[Partner]
    allow: tuple[str, ...]
    smaller: Callable[[Record, Callable[[Record], bool]], Record]
    values: bool = True
    contract: Precision | None = None
    outcomes: list[_Outcome] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    _suspects: set[int] = field(default_factory=set)
    _alike: bool = True

    def run(self, records: Iterable[Record]) -> FunctionComparison:
        """Compare on all cases, and explain what fails.

        Raises:
            UsageError: The formula cannot be traced; an implementation returned something of
                another form, or could not be compared on any case, or none of its arrays was
                checked.
        """
        for record in records:
            self.outcomes.append(self._outcome(record))
            self._raise_misuse()
        failures = tuple(
            failure
            for number in range(len(self.partners))
            if (failure := self._failure(number)) is not None
        )
        judged = tuple(Judged(each.record, each.case, each.verdicts) for each in self.outcomes)
        states = tuple(each.state for each in self.partners)
        comparison = FunctionComparison(
            self.formula.name, states, judged, failures, self._agreeing(), tuple(self.notes)
        )
        if comparison.passed:
            self._require_compared(comparison)
        return comparison

    def _outcome(self, record: Record, partners: Sequence[int] | None = None) -> _Outcome:
        written = self.formula.case(record)
        self.notes |= dict.fromkeys(written.traced_function.notes)
        case = written.recognised
        judge = FunctionJudge(case, self.contract)
        chosen = range(len(self.partners)) if partners is None else partners
        answers = tuple(self._answer(number, record, written, judge) for number in chosen)
        if len(answers) > 1 and self._alike and any(self._fails(each.verdict) for each in answers):
            self._alike = judge.are_alike([each.given for each in answers])
        return _Outcome(record, written, case, answers)

    def _answer(
        self, number: int, record: Record, written: FunctionCase, judge: FunctionJudge
    ) -> _Answer:
        partner = self.partners[number]
        given = self._asked(partner, record, written)
        suspect = number in self._suspects
        verdict = judge.verdict(given, partner.name, partner.mode, is_suspect=suspect)
        if not self._fails(verdict):
            return _Answer(given, verdict)
        self._suspects.add(number)
        if isinstance(given, Refused):
            return _Answer(given, verdict)
        return _Answer(given, verdict, judge.outside(given), judge.best_entry(given, verdict))

    def _asked(self, partner: Partner, record: Record, case: FunctionCase) -> Derivatives | Refused:
        note(partner.name, lambda: record.key)
        returned: Derivatives | Refused = ask(partner, case)
        if self.values or isinstance(returned, Refused):
            return returned
        outputs = case.traced_function.outputs
        return returned.map_named(lambda name, array: LeftOut() if name in outputs else array)

    def _raise_misuse(self) -> None:
        for each in self.partners:
            if isinstance(each.error, UsageError):
                raise UsageError(f"{each.name}: {each.error}") from None

    # -- what fails ----------------------------------------------------------------------------

    def _fails(self, verdict: Verdict) -> bool:
        return fails(verdict, self.allow)

    def _failure(self, number: int) -> FunctionFailure | None:
        failing = [each for each in self.outcomes if self._fails(each.answers[number].verdict)]
        if not failing:
            return None
        partner = self.partners[number]
        kinds = {each.answers[number].verdict.kind for each in failing}
        cause: AnyCause | None = None
        if self.contract is not None:
            cause = self._coarse_sum(number, failing)
        elif Kind.DISAGREES in kinds:
            told = [
                Failing(each.written, given, each.record.sizes)
                for each in failing
                if isinstance(given := each.answers[number].given, Derivatives)
            ]
            outputs = set(self.outcomes[0].case.traced_function.outputs)
            are_wrong = any(outputs & set(each.answers[number].wrong) for each in failing)
            other = find_formula(told) if are_wrong else None
            cause = other or find_cause(told) or find_difference(told)
        smallest = self._smallest(number, failing, cause)
        (answer,) = smallest.answers
        if isinstance(cause, CoarseSum):
            cause = self._coarse_sum(0, [smallest]) or cause
        wrong, right, missing = self._arrays(number)
        return FunctionFailure(
            partner.name,
            answer.verdict,
            smallest.case,
            smallest.record,
            (len(failing), len(self.outcomes)),
            cause,
            answer.entry,
            wrong,
            right,
            missing,
            partner.error,
            partner.traceback,
        )

    def _coarse_sum(self, number: int, failing: Sequence[_Outcome]) -> CoarseSum | None:
        """The sum that breaks the contract, of the first case that tells."""
        assert self.contract is not None
        coarse = format_of(self.contract.inputs)
        for each in failing:
            given = each.answers[number].given
            if isinstance(given, Derivatives):
                found = coarse_sum(each.written, given, coarse, self.contract.result)
                if found is not None:
                    return found
        return None

    def _smallest(
        self,
        number: int,
        failing: Sequence[_Outcome],
        cause: AnyCause | None,
    ) -> _Outcome:
        """The smallest case that fails in the same way, of the same cause, with one answer."""
        first = min(failing, key=lambda each: each.case.size)
        kind = first.answers[number].verdict.kind

        def is_same(found: _Outcome) -> bool:
            (answer,) = found.answers
            if answer.verdict.kind is not kind or not self._fails(answer.verdict):
                return False
            if cause is None or isinstance(answer.given, Refused):
                return True
            if isinstance(cause, CoarseSum):
                return self._coarse_sum(0, [found]) is not None
            return cause.explains(Failing(found.written, answer.given, found.record.sizes))

        def still_fails(record: Record) -> bool:
            try:
                return is_same(self._outcome(record, (number,)))
            except UsageError:
                return False

        def still_explained(record: Record) -> bool:
            """The same by the program as it is written: what is shown last gets a verdict."""
            try:
                written = self.formula.case(record)
                given = self._asked(self.partners[number], record, written)
            except UsageError:
                return False
            if isinstance(given, Refused):
                return False
            told = Failing(written, given, record.sizes)
            assert isinstance(cause, Cause | Difference)
            return cause.explains(told) and not told.is_explained(None)

        if isinstance(cause, Cause | Difference) and kind is Kind.DISAGREES:
            found = self._outcome(self.smaller(first.record, still_explained), (number,))
            if is_same(found):
                return found
        return self._outcome(self.smaller(first.record, still_fails), (number,))

    def _arrays(self, number: int) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Which arrays are wrong in some case, are right in all, and were never returned."""
        given: dict[str, None] = {}
        wrong: dict[str, None] = {}
        names: dict[str, None] = {}
        for each in self.outcomes:
            answer = each.answers[number]
            names |= dict.fromkeys(each.case.wanted)
            if isinstance(answer.given, Refused):
                continue
            arrays = answer.given.arrays.items()
            given |= dict.fromkeys(n for n, a in arrays if not isinstance(a, LeftOut))
            wrong |= dict.fromkeys(answer.wrong)
        order = tuple(names)
        return (
            tuple(name for name in order if name in wrong),
            tuple(name for name in order if name in given and name not in wrong),
            tuple(name for name in order if name not in given),
        )

    def _agreeing(self) -> tuple[str, ...]:
        """Several implementations that fail everywhere alike."""
        failing = [
            number
            for number in range(len(self.partners))
            if any(self._fails(each.answers[number].verdict) for each in self.outcomes)
        ]
        if len(failing) < 2 or len(failing) < len(self.partners) or not self._alike:
            return ()
        return tuple(self.partners[number].name for number in failing)

    def _require_compared(self, comparison: FunctionComparison) -> None:
        for name, kinds in comparison.kinds.items():
            if all(kind is Kind.UNSUPPORTED for kind in kinds):
                reasons = {
                    verdict.detail
                    for each in self.outcomes
                    for verdict in each.verdicts
                    if verdict.framework == name and verdict.detail
                }
                told = ", ".join(f"{kind} {count}" for kind, count in kinds.items()) or "no cases"
                because = f": {min(reasons)}" if reasons else ""
                raise UsageError(f"{name} was not compared on any case ({told}){because}")
        for number, partner in enumerate(self.partners):
            verdicts = [each.answers[number].verdict for each in self.outcomes]
            if any(each.unchecked for each in verdicts) and not any(
                each.checked for each in verdicts
            ):
                raise UsageError(
                    f"{partner.name}: none of the arrays it returned was checked, since their "
                    "bounds cannot tell them from zero; use a dtype with more digits"
                )
