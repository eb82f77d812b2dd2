"""Functions compared with their formula, case by case; what fails is explained and made small."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from crosscheck.cases.functions.record import Record
from crosscheck.frameworks.gatekeeper import ask
from crosscheck.frameworks.refusals import Refused
from crosscheck.frontends.case import FunctionCase
from crosscheck.judge.causes.search import Cause, Failing, find_cause
from crosscheck.judge.causes.sums import CoarseSum, coarse_sum
from crosscheck.judge.enclosed import leaves_bound
from crosscheck.judge.entries import worst_entries
from crosscheck.judge.programs.contract import Precision
from crosscheck.judge.verdict import Entry, Kind, Verdict, fails
from crosscheck.network.composed import Derivatives
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.run.functions.comparison import FunctionComparison, FunctionFailure, Judged
from crosscheck.run.functions.formula import Formula
from crosscheck.run.functions.judged import FunctionJudge
from crosscheck.run.functions.partners import Partner
from crosscheck.tools.errors import UsageError

__all__ = ["FunctionComparing"]

_UNCOMPARED = (Kind.UNSUPPORTED,)


@dataclass(frozen=True, eq=False)
class _Outcome:
    """One case and what came of it; ``given`` and ``verdicts`` have one for each partner."""

    record: Record
    written: FunctionCase
    case: FunctionCase
    given: tuple[Derivatives | Refused, ...]
    verdicts: tuple[Verdict, ...]


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
        given, verdicts = [], []
        for number, partner in enumerate(self.partners):
            if partners is not None and number not in partners:
                continue
            returned = self._asked(partner, case)
            given.append(returned)
            verdicts.append(judge.verdict(returned, partner.name, partner.mode))
        return _Outcome(record, written, case, tuple(given), tuple(verdicts))

    def _asked(self, partner: Partner, case: FunctionCase) -> Derivatives | Refused:
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

    def _is_failing(self, verdict: Verdict) -> bool:
        return fails(verdict, self.allow)

    def _failure(self, number: int) -> FunctionFailure | None:
        failing = [each for each in self.outcomes if self._is_failing(each.verdicts[number])]
        if not failing:
            return None
        partner = self.partners[number]
        kinds = {each.verdicts[number].kind for each in failing}
        cause: Cause | CoarseSum | None = None
        if self.contract is not None:
            cause = self._coarse_sum(number, failing)
        elif Kind.DISAGREES in kinds:
            cause = find_cause(
                [
                    Failing(each.written, given, each.record.sizes)
                    for each in failing
                    if isinstance(given := each.given[number], Derivatives)
                ]
            )
        smallest = self._smallest(number, failing, cause)
        if isinstance(cause, CoarseSum):
            (given,) = smallest.given
            told = [replace(smallest, given=(given,) * (number + 1))]
            cause = self._coarse_sum(number, told) or cause
        wrong, right, missing = self._arrays(number)
        return FunctionFailure(
            partner.name,
            smallest.verdicts[0],
            smallest.case,
            smallest.record,
            (len(failing), len(self.outcomes)),
            cause,
            _best_entry(smallest, self.contract),
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
            given = each.given[number]
            if isinstance(given, Derivatives):
                found = coarse_sum(each.written, given, coarse, self.contract.result)
                if found is not None:
                    return found
        return None

    def _smallest(
        self, number: int, failing: Sequence[_Outcome], cause: Cause | CoarseSum | None
    ) -> _Outcome:
        """The smallest case that fails in the same way, of the same cause, with one answer."""
        first = min(failing, key=lambda each: each.case.size)
        kind = first.verdicts[number].kind

        def still_fails(record: Record) -> bool:
            try:
                found = self._outcome(record, (number,))
            except UsageError:
                return False
            (verdict,), (given,) = found.verdicts, found.given
            if verdict.kind is not kind or not self._is_failing(verdict):
                return False
            if cause is None or isinstance(given, Refused):
                return True
            if isinstance(cause, CoarseSum):
                again = _Outcome(record, found.written, found.case, (given,), (verdict,))
                return self._coarse_sum(0, [again]) is not None
            return cause.explains(Failing(found.written, given, record.sizes))

        return self._outcome(self.smaller(first.record, still_fails), (number,))

    def _arrays(self, number: int) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Which arrays are wrong in some case, are right in all, and were never returned."""
        given: dict[str, None] = {}
        wrong: dict[str, None] = {}
        names: dict[str, None] = {}
        for each in self.outcomes:
            returned = each.given[number]
            names |= dict.fromkeys(each.case.wanted)
            if isinstance(returned, Refused):
                continue
            found = {n: a for n, a in returned.arrays.items() if not isinstance(a, LeftOut)}
            given |= dict.fromkeys(found)
            if self._is_failing(each.verdicts[number]):
                wrong |= dict.fromkeys(_outside(each.case, self.contract, found))
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
            if any(self._is_failing(each.verdicts[number]) for each in self.outcomes)
        ]
        if len(failing) < 2 or len(failing) < len(self.partners):
            return ()
        for each in self.outcomes:
            if any(self._is_failing(verdict) for verdict in each.verdicts) and not _alike(
                each, self.contract
            ):
                return ()
        return tuple(self.partners[number].name for number in failing)

    def _require_compared(self, comparison: FunctionComparison) -> None:
        for name, kinds in comparison.kinds.items():
            if not any(kind not in _UNCOMPARED for kind in kinds):
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
            verdicts = [each.verdicts[number] for each in self.outcomes]
            if any(each.unchecked for each in verdicts) and not any(
                each.checked for each in verdicts
            ):
                raise UsageError(
                    f"{partner.name}: none of the arrays it returned was checked, since their "
                    "bounds cannot tell them from zero; use a dtype with more digits"
                )


def _outside(case: FunctionCase, contract: Precision | None, given: Mapping[str, Any]) -> list[str]:
    """Names of the arrays that leave their bounds, or have another shape."""
    enclosed = FunctionJudge(case, contract).judge.enclosed(
        Model(format_of(case.dtype), flush=True)
    )
    bounds = enclosed.any_gradients if enclosed.decisions else enclosed.gradients()
    found = []
    for name, value in given.items():
        bound = bounds.arrays[name]
        if np.shape(value) != bound.shape or leaves_bound(bound, value).any():
            found.append(name)
    return found


def _best_entry(outcome: _Outcome, contract: Precision | None) -> Entry | None:
    """The entry that shows it best: one that must be exactly something, and not zero."""
    (given,), (verdict,) = outcome.given, outcome.verdicts
    if isinstance(given, Refused) or verdict.worst is None:
        return None
    judge = FunctionJudge(outcome.case, contract).judge
    enclosed = judge.enclosed(Model(judge.format, flush=True))
    if enclosed.decisions:
        return verdict.worst
    wrong = [
        each
        for each in worst_entries(enclosed.gradients(), given, judge.format)
        if each.bounds > 1.0
    ]
    if not wrong:
        return verdict.worst
    return max(wrong, key=lambda each: (each.bound == 0, each.reference != 0, each.bounds))


def _alike(outcome: _Outcome, contract: Precision | None) -> bool:
    """Whether what was returned agrees with each other, within what the bounds leave to each."""
    judge = FunctionJudge(outcome.case, contract).judge
    bounds = judge.enclosed(Model(judge.format, flush=True)).gradients()
    first, *rest = outcome.given
    if isinstance(first, Refused):
        return False
    for other in rest:
        if isinstance(other, Refused):
            return False
        for name, one in first.arrays.items():
            two = other.arrays[name]
            if isinstance(one, LeftOut) or isinstance(two, LeftOut):
                continue
            if np.shape(one) != np.shape(two):
                return False
            with np.errstate(all="ignore"):
                room = 2.0 * bounds.arrays[name].bound
                if not (np.abs(one - two) <= room).all():
                    return False
    return True
