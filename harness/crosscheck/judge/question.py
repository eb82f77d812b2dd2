"""What is asked of the judge: cases, what came as their gradients, and what is known so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.certificates import (
    OF_STACK,
    with_adjoint,
    with_decisions,
    with_relations,
    with_steps,
    without_steps,
)
from crosscheck.judge.compare import Judge
from crosscheck.judge.enclosed import Derivation
from crosscheck.judge.libraries import library_of, or_library, with_basis
from crosscheck.judge.local.check import Check
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.local.record import Recorded
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.batch import Batch
from crosscheck.network.composed import AnyCase, AnyGradients, Composed
from crosscheck.network.dense import Gradients
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.library import Library
from crosscheck.program.graph import Shape

__all__ = ["Answer", "AnyJudge", "Cases", "Question", "judge_of"]

AnyJudge: TypeAlias = Judge | ProgramJudge

Cases: TypeAlias = Batch | AnyCase
"""Cases of one network: a stack, which is a `Batch` or a case with an axis in front, or one."""

_CACHED = 65_536
"""Numbers in the cases that are enclosed together: what comes of them stays in memory for so long
as they are compared, several hundred bytes for each."""


def judge_of(case: AnyCase, *, by_steps: bool = False) -> AnyJudge:
    """What compares gradients of a single case with the reference.

    Args:
        case: The case.
        by_steps: Whether its decisions are left to what steps show, in networks of operators.
    """
    return ProgramJudge(case, by_steps=by_steps) if isinstance(case, Composed) else Judge(case)


@dataclass(frozen=True, eq=False)
class Answer:
    """What one framework returned for the cases of a stack.

    Attributes:
        given: Losses and gradients, with an axis over the C cases in front, in float64 or what
            can be converted to it without loss.
        derivation: How they were computed.
        names: Of the framework, its formulation and its mode, for the record.
        recorded: The same gradient with the steps that led to it, where the mode shows them.
        note: Why there are no steps, where there should be.
        by_adjoint: Whether the adjoint certificate is asked for, of the first cases.
        by_relations: Whether the certificate of relations is asked for.
        of_first: Of how many cases the adjoint certificate is asked for.
    """

    given: AnyGradients
    derivation: Derivation = "reverse"
    names: tuple[str, str, str] = ("", "", "")
    recorded: Recorded | None = None
    note: str = ""
    by_adjoint: bool = False
    by_relations: bool = False
    of_first: int = OF_STACK


class Question:
    """Which verdict each answer has on each case, and what is known of that so far.

    Nothing is made of the cases until a rung asks for it: of a batch that the first rung settles
    there is never a `Case`, nor an enclosure. A case by itself counts as a stack of one, which the
    rungs for many decline.

    Args:
        cases: C cases, or one without an axis in front.
        answers: F answers on all of them.
        with_arrays: Whether verdicts say which arrays are checked also where all is well, and
            ``bounds`` are those of the readable form to the last bit.
        with_gates: Whether verdicts tell of every decision that is not certain, also of those that
            cannot matter.
        few: So many cases may be left for the rungs that take few cases at a time.
        out: Arrays for ``agrees`` and ``bounds``, in place of new ones, with whatever is in them:
            the first rung writes every entry.
        by_steps: Whether decisions of a single network of operators are left to what steps show.

    Attributes:
        is_single: Whether the one case, and the answers to it, have no axis over cases.
        agrees: (F, C) bool: who AGREES on which case by what was said of many at once.
        bounds: (F, C) float64: the largest error / bound, where there is a verdict; what the
            compiled rung says is above that of the others by little.
        refuted: (C,) bool: where no reverse-mode answer that is left open is explained by gradual
            underflow.
        verdicts: By number of an answer and of a case, those that are more than that it AGREES.
        references: By number of a case, where a rung has formed it: the reference's gradient.
    """

    def __init__(
        self,
        cases: Cases,
        answers: Sequence[Answer],
        *,
        with_arrays: bool = False,
        with_gates: bool = False,
        few: int = 0,
        out: tuple[NDArray[np.bool_], Array] | None = None,
        by_steps: bool = False,
    ) -> None:
        self.cases, self.answers, self.by_steps = cases, answers, by_steps
        self.is_single, self.count = cases.count is None, 1 if cases.count is None else cases.count
        self.with_arrays, self.with_gates, self.few = with_arrays, with_gates, few
        shape = len(answers), self.count
        fresh = (np.zeros(shape, dtype=bool), np.zeros(shape)) if out is None else out
        self.agrees: NDArray[np.bool_] = fresh[0]
        self.bounds: Array = fresh[1]
        self.refuted: NDArray[np.bool_] = np.zeros(self.count, dtype=bool)
        self.verdicts: dict[tuple[int, int], Verdict] = {}
        self.references: dict[int, AnyGradients] = {}
        self._judges: dict[int, AnyJudge] = {}
        self._checks: dict[tuple[int, Library | None], Check] = {}

    # -- the cases and the answers, as rungs take them ---------------------------------------

    @cached_property
    def batch(self) -> Batch | None:
        """The cases as a batch; ``None`` for a single one, and for networks of operators."""
        if isinstance(self.cases, Composed) or self.is_single:
            return None
        return self.cases if isinstance(self.cases, Batch) else Batch.of(self.cases)

    def judge(self, index: int = 0) -> AnyJudge:
        """The judge of case ``index`` by itself."""
        if index not in self._judges:
            self._judges[index] = judge_of(self._case(index), by_steps=self.by_steps)
        return self._judges[index]

    def _case(self, index: int) -> AnyCase:
        cases = self.cases
        if isinstance(cases, Batch):
            return cases.case([index])[0]
        return cases if self.is_single else cases[index]

    def has_open_decisions(self, index: int = 0) -> bool:
        """Whether case ``index`` has a decision that is not the same for every evaluation."""
        return bool(self.judge(index).has_open_decisions)

    def reference(self, index: int = 0) -> AnyGradients:
        """The reference's gradient of case ``index`` in float64."""
        if index not in self.references:
            self.references[index] = self.judge(index).reference
        return self.references[index]

    def rows(self, derivation: Derivation) -> list[int]:
        """The numbers of the answers of one mode of differentiation."""
        return [row for row, each in enumerate(self.answers) if each.derivation == derivation]

    def fits(self, row: int) -> bool:
        """Whether every array of answer ``row`` is there, and has the shape it should have."""
        return self.answers[row].given.array_shapes == self._shapes

    def has_all_cases(self, row: int) -> bool:
        """Whether answer ``row`` has something for each case in each array, whatever it is."""
        given = self.answers[row].given
        return isinstance(given, Gradients) and given.has_cases(self.count)

    @cached_property
    def _shapes(self) -> dict[str, Shape]:
        return self.cases.gradient_shapes

    def pieces(self, chosen: NDArray[np.intp]) -> Iterator[NDArray[np.intp]]:
        """``chosen``, numbers of cases, in pieces that can be enclosed in little memory.

        Networks of operators are enclosed whole.
        """
        if isinstance(self.cases, Composed):
            yield np.arange(self.count)
            return
        step = max(16, _CACHED // self.cases.numbers_each)
        for start in range(0, len(chosen), step):
            yield chosen[start : start + step]

    def stack(self, chosen: NDArray[np.intp]) -> AnyCase:
        """The cases ``chosen`` as a stack; of networks of operators that is all of them."""
        if not isinstance(self.cases, Batch) and len(chosen) == self.count:
            return self.cases
        assert self.batch is not None
        return self.batch.case(chosen)

    def given(self, row: int, chosen: NDArray[np.intp]) -> Any:
        """What answer ``row`` is to the cases ``chosen``, as float64."""
        whole = slice(None)  # of which no copy is made
        return self.answers[row].given.wide(whole if len(chosen) == self.count else chosen)

    # -- what is known -----------------------------------------------------------------------

    def left(self, rows: Sequence[int]) -> NDArray[np.intp]:
        """The numbers of the cases on which some of the answers ``rows`` do not certainly AGREE."""
        agrees = self.agrees if len(rows) == len(self.answers) else self.agrees[rows]
        return np.flatnonzero(~agrees.all(axis=0))

    def settle(self, row: int, index: int, verdict: Verdict) -> None:
        """Note a verdict on an answer to a case that was open, under the names of the answer."""
        framework, formulation, mode = self.answers[row].names
        self.bounds[row, index] = verdict.worst.bounds if verdict.worst else 0.0
        self.verdicts[row, index] = replace(
            verdict, framework=framework, formulation=formulation, mode=mode
        )

    def verdict(self, row: int, index: int) -> Verdict:
        """The verdict on an answer to a case: what no rung has settled is judged by itself now."""
        answer = self.answers[row]
        library = self.library(answer)
        if (row, index) in self.verdicts:
            found = self.verdicts[row, index]
        elif self.agrees[row, index]:
            found = Verdict(*answer.names, Kind.AGREES)
        else:
            self.settle(row, index, self._judged(row, index, library))
            found = self.verdicts[row, index]
        found, plain = self._certified(found, row, index, library), found
        if found.kind is not plain.kind and plain.worst is None:  # then it is to name the nearest
            found = self._certified(self._judged(row, index, library), row, index, library)

        def again(other: Library) -> Verdict:
            return self._certified(self._judged(row, index, other), row, index, other)

        given = answer.given if self.is_single else answer.given.wide(index)
        return self._or_library(found, replace(answer, given=given), index, library, again)

    def _or_library(
        self,
        verdict: Verdict,
        answer: Answer,
        index: int,
        library: Library | None,
        again: Callable[[Library], Verdict],
    ) -> Verdict:
        """See `crosscheck.judge.libraries.or_library`; of an answer without an axis over cases."""
        if library is None:
            return verdict
        case = self._case(index)

        def of_zeros(other: Library) -> Verdict:
            if self.by_steps and answer.recorded is not None:  # whose bounds are what tells here
                kind = Kind.AGREES if again(other).unchecked else Kind.DISAGREES
                return replace(verdict, kind=kind)
            zeros = replace(answer, given=answer.given.map_derivatives(np.zeros_like))
            return self._compared(zeros, index, other)

        return with_basis(or_library(verdict, case, library, again, of_zeros), case, library)

    def _certified(
        self, verdict: Verdict, row: int, index: int, library: Library | None
    ) -> Verdict:
        """A verdict with what other certificates say."""
        answer = self.answers[row]
        by_adjoint = answer.by_adjoint and index < answer.of_first
        if by_adjoint or answer.by_relations:
            given = answer.given if self.is_single else answer.given.wide(index)
            asked = replace(answer, given=given, by_adjoint=by_adjoint)
            verdict = self._by_outputs(verdict, asked, index, library)
        if answer.note:
            return without_steps(verdict, answer.note)
        if answer.recorded is None:
            return verdict
        key = row, library
        if key not in self._checks:
            cases = self.cases
            whole = cases.case() if isinstance(cases, Batch) else cases
            self._checks[key] = LocalJudge(whole, library).check(answer.recorded)
        return with_steps(verdict, self._checks[key], index)

    def _by_outputs(
        self, verdict: Verdict, answer: Answer, index: int, library: Library | None
    ) -> Verdict:
        """A verdict with what certificates say that need no more than the gradient of one case."""
        case = self._case(index)
        if answer.by_adjoint:
            verdict = with_adjoint(verdict, case, answer.given, answer.derivation, library)
        return with_relations(verdict, case, answer.given) if answer.by_relations else verdict

    def library(self, answer: Answer) -> Library | None:
        """The library whose elementary functions an answer was computed with, if any were."""
        if isinstance(self.cases, Batch):
            return None
        framework, _, mode = answer.names
        return library_of(self.cases, framework, mode)

    def _judged(self, row: int, index: int, library: Library | None) -> Verdict:
        """What the judge of one case says."""
        answer = self.answers[row]
        refuted = answer.derivation == "reverse" and bool(self.refuted[index])
        given = answer.given if self.is_single else answer.given.wide(index)
        alone = Answer(given, answer.derivation, answer.names)
        return self._compared(alone, index, library, refuted=refuted)

    def another(self, answer: Answer, index: int = 0) -> Verdict:
        """The verdict on one more answer, to case ``index`` by itself.

        Args:
            answer: Losses and gradients without an axis over cases, and steps likewise.
            index: Of the case.
        """
        library = self.library(answer)

        def by(chosen: Library | None) -> Verdict:
            verdict = self._compared(answer, index, chosen)
            verdict = self._by_outputs(verdict, answer, index, chosen)
            if answer.note:
                return without_steps(verdict, answer.note)
            if answer.recorded is None:
                return verdict
            case = self._case(index)
            check = LocalJudge(case, chosen).check(answer.recorded)
            found = with_steps(verdict, check)
            if self.by_steps and isinstance(case, Composed):
                return with_decisions(found, check, case)
            return found

        return self._or_library(by(library), answer, index, library, by)

    def _compared(
        self, answer: Answer, index: int, library: Library | None, *, refuted: bool = False
    ) -> Verdict:
        """What the a-priori certificate says of an answer to one case.

        Args:
            answer: Without an axis over cases.
            index: Of the case.
            library: Whose elementary functions were called, if any were.
            refuted: Whether gradual underflow is known not to explain it.
        """
        framework, formulation, mode = answer.names
        about: dict[str, Any] = {"refuted": True} if refuted else {}
        if library is not None:
            about["library"] = library
        judge: Any = self.judge(index)
        verdict: Verdict = judge.verdict(
            answer.given,
            framework=framework,
            formulation=formulation,
            mode=mode,
            derivation=answer.derivation,
            **about,
        )
        return verdict
