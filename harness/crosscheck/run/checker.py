"""Cases put to every framework: verdicts, what is asked again, what is made small, and events."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crosscheck.cases.shrink import shrink
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import begin
from crosscheck.frameworks.refusals import NOT_ASKED, Refused
from crosscheck.frameworks.script import script
from crosscheck.judge.door import Answer, Question, judge
from crosscheck.judge.vacuity import Coverage
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.network.composed import AnyCase, AnyGradients
from crosscheck.run.again import (
    FLAKY,
    NAME,
    Again,
    Asked,
    came_and_went,
    named,
)
from crosscheck.run.ahead import Ahead
from crosscheck.run.answers import asking, asking_each, verdict_of
from crosscheck.run.counting import counted, fingerprints
from crosscheck.run.events import (
    AskedAgain,
    CaseChecked,
    Event,
    Part,
)
from crosscheck.run.failing import Failing, SameFailure, failures
from crosscheck.run.panel import Judged, changed_since, judged, judged_each, judged_stack

__all__ = ["ATTEMPTS", "Checker", "Disagreement", "Emit"]

Emit = Callable[[Event], None]
"""Takes an event."""

ATTEMPTS = 200
"""At shrinking a case: for each a framework may have to compile."""
_TRIED = 3
"""Failing cases of a stack that are put to the frameworks by themselves, to be shrunk."""
_LARGEST_SCRIPT = 2_000
"""Numbers in a case that is still written out as a program to paste."""


class Disagreement(AssertionError):
    """Raised inside a search so that the case is shrunk."""


@dataclass(eq=False)
class Checker:
    """Puts cases to frameworks and tells what comes of it.

    Attributes:
        frameworks: The adapters to check.
        emit: Takes each event.
        allow: Names of coarser arithmetics whose REDUCED is no failure.
        command: Of `crosscheck.judge.certificates.CERTIFICATES`: says which are asked for.
        failed: Whether anything failed so far.
        smooth: How many cases with certain gates at least one framework was compared on.
        coverage: Which arrays were checked, shape by shape.
        unseen: Shape to a case, or a stack, in which an array was not checked.
        nondeterministic: Names of frameworks whose answer depends on when they are asked, with a
            case on which that is wrong.
        ahead: What waits for its answers.
        seen: One number for each different case that was checked.
        held: Makes a block in which the results of a case are counted and told whole: an
            interrupt waits for its end.
    """

    frameworks: Sequence[Framework]
    emit: Emit
    allow: tuple[str, ...] = ()
    command: str = "run"
    held: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext
    failed: bool = False
    smooth: int = 0
    coverage: Coverage = field(default_factory=Coverage)
    unseen: dict[str, AnyCase] = field(default_factory=dict)
    nondeterministic: dict[str, CaseChecked] = field(default_factory=dict)
    ahead: Ahead = field(default_factory=Ahead)
    seen: set[int] = field(default_factory=set)
    _shrunk: set[tuple[str, Failing]] = field(default_factory=set)
    _again: Again = field(default_factory=Again)

    @property
    def distinct(self) -> int:
        """How many different cases were checked."""
        return len(self.seen)

    def is_failing(self, verdict: Verdict) -> bool:
        """Whether ``verdict`` makes the run fail."""
        return fails(verdict, self.allow)

    def is_lasting(self, verdict: Verdict) -> bool:
        """Whether it does so again when the same call is made again."""
        gone = came_and_went(verdict) or verdict.detail.startswith(NOT_ASKED)
        return self.is_failing(verdict) and not gone

    def verdicts(self, case: AnyCase, question: Question | None = None) -> tuple[Verdict, ...]:
        """One verdict per framework on a single case."""
        question = question or judge(case)
        return tuple(
            verdict_of(framework, case, question, command=self.command)
            for framework in self.frameworks
        )

    def ask(self, case: AnyCase, question: Question, names: Collection[str]) -> tuple[Verdict, ...]:
        """The verdicts of the frameworks with some names on a single case."""
        return tuple(
            verdict_of(each, case, question, command=self.command)
            for each in self.frameworks
            if each.name in names
        )

    def check_case(self, case: AnyCase, part: Part, label: str) -> tuple[Verdict, ...]:
        """Check a single case, count it and report it."""
        found = judged(self.frameworks, case, self.is_failing, self.command)
        (verdicts,) = found.verdicts
        scripts = self._scripts(case, verdicts)
        with self.held():
            self.failed |= any(self.is_failing(verdict) for verdict in verdicts)
            self._count(case, part, found)
            if part == "given" or not all(verdict.is_plain for verdict in verdicts):
                reference = found.question.reference()
                checked = self._checked(part, label, case, reference, verdicts, scripts)
                if part == "given":
                    checked = replace(checked, given=tuple(found.given))
                self.emit(checked)
                self._tell(checked)
        self._note(Asked(case, found.given, part, label))
        return verdicts

    def _note(self, asked: Asked) -> None:
        """Remember a call, and make those again that have waited long enough."""
        self._again.note(asked)
        for each in self._again.due():
            self._ask_again(each)

    def finish(self) -> None:
        """Ask again what still waits for it, and judge all answers."""
        for asked in self._again.rest():
            self._ask_again(asked)
        self.ahead.finish()

    def tell_flaky(
        self, case: AnyCase, verdicts: Sequence[Verdict], part: Part, label: str
    ) -> None:
        """Report a case that failed twice when it was found, and passed while it was shrunk."""
        told = [
            named(each, FLAKY)
            if self.is_failing(each) and not each.detail.startswith(NAME)
            else each
            for each in verdicts
        ]
        with self.held():
            scripts = self._scripts(case, verdicts)
            checked = self._checked(part, label, case, judge(case).reference(), told, scripts)
            self.emit(replace(checked, shrunk=True))
            self._tell(checked)

    def _tell(self, checked: CaseChecked) -> None:
        """Count the verdicts that depend on when they were asked for."""
        for verdict in checked.verdicts:
            if verdict.detail.startswith(NAME):
                self.nondeterministic.setdefault(verdict.framework, checked)
                self.emit(AskedAgain(verdict.framework, 1, 0, 1))

    def _ask_again(self, asked: Asked) -> None:
        """Make a call again, and see whether it returns the same bits."""
        for framework, given in zip(self.frameworks, asked.given, strict=True):
            if given is not None:
                self._ask_one_again(framework, asked, given)

    def _ask_one_again(self, framework: Framework, asked: Asked, given: AnyGradients) -> None:
        label, count = f"{asked.label}, asked again", asked.case.count or 1

        def compare(answer: tuple[Any, Any]) -> None:
            changed, failing = changed_since(
                framework, asked.case, given, answer[0], self.is_failing, self.command
            )
            wrong = [
                self._checked(asked.part, label, case, reference, (verdict,), {})
                for case, reference, verdict in failing
            ]
            with self.held():
                self.failed |= bool(wrong)
                self.emit(AskedAgain(framework.name, count, changed - len(wrong), len(wrong)))
                for each in wrong[:_TRIED]:
                    self.emit(each)
                    self.nondeterministic.setdefault(framework.name, each)

        self.ahead.put(asked.case.size, lambda: begin(framework, asked.case), compare)

    def check_shrunk(self, case: AnyCase, part: Part, label: str) -> None:
        """Report the smallest form of a failing case; it is not counted."""
        question = judge(case)
        verdicts = self.verdicts(case, question)
        scripts = self._scripts(case, verdicts)
        checked = self._checked(part, label, case, question.reference(), verdicts, scripts)
        self.emit(replace(checked, shrunk=True))

    def check_smallest(
        self, case: AnyCase, failing: Collection[Failing], part: Part, label: str
    ) -> None:
        """Make a failing case as small as it gets and report it; once for a label and a failure.

        A case that fails only as part of its stack, or only at times, is left as it was found.
        """
        fresh = {each for each in failing if (label, each) not in self._shrunk}
        if not fresh:
            return
        same = SameFailure(case, fresh, self.ask, self.is_failing)
        if same(case):
            self._shrunk |= {(label, each) for each in fresh}
            self.check_shrunk(shrink(case, same, attempts=ATTEMPTS), part, label)

    def asking(self, stack: AnyCase) -> Callable[[], list[Answer | Refused]]:
        """Ask all frameworks for a stack at once; what is returned waits for the answers."""
        waiting = [asking(framework, stack, self.command) for framework in self.frameworks]
        return lambda: [found() for found in waiting]

    def asking_each(self, stack: AnyCase) -> Callable[[], list[list[Answer | Refused]]]:
        """Ask all frameworks for the cases of a stack, each by itself; see `asking`."""
        waiting = [asking_each(framework, stack, self.command) for framework in self.frameworks]
        return lambda: [found() for found in waiting]

    def check_stack(
        self,
        stack: AnyCase,
        part: Part,
        label: str,
        answers: Sequence[Answer | Refused] | None = None,
    ) -> None:
        """Check a stack of cases at once; shrink the first that fails.

        Args:
            stack: The cases.
            part: Where they come from.
            label: Their name.
            answers: Of each framework, if they were asked before.
        """
        answers = self.asking(stack)() if answers is None else answers
        found = judged_stack(self.frameworks, stack, answers, self.is_failing, self.command)
        verdicts = found.verdicts
        failing = [index for index, row in enumerate(verdicts) if any(map(self.is_failing, row))]
        with self.held():
            self.failed |= bool(failing)
            self._count(stack, part, found)
            for index, row in enumerate(verdicts):
                if not all(verdict.is_plain for verdict in row):
                    where, reference = f"{label}, case {index}", found.question.reference(index)
                    self._tell_of(stack[index], reference, row, part, where)
        lasting = [index for index in failing if any(map(self.is_lasting, verdicts[index]))]
        for index in lasting[:_TRIED]:
            self.check_smallest(
                stack[index], failures(verdicts[index], self.is_lasting), part, label
            )
        self._note(Asked(stack, found.given, part, label))

    def check_each(
        self,
        stack: AnyCase,
        answers: Sequence[Sequence[Answer | Refused]],
        part: Part,
        label: str,
    ) -> Sequence[tuple[Verdict, ...]]:
        """Check single cases of one kind that were asked each by itself; nothing is made small.

        Args:
            stack: The cases, together.
            answers: Of each framework, to each of them.
            part: Where they come from.
            label: Their name.
        """
        found = judged_each(self.frameworks, stack, answers, self.is_failing, self.command)
        with self.held():
            self.failed |= any(self.is_failing(each) for row in found.verdicts for each in row)
            self._count(stack, part, found)
            for index, row in enumerate(found.verdicts):
                if not all(verdict.is_plain for verdict in row):
                    self._tell_of(stack[index], found.question.reference(index), row, part, label)
        for index in range(stack.count or 0):
            given = [None if isinstance(g := a[index], Refused) else g.given for a in answers]
            self._note(Asked(stack[index], given, part, label))
        return found.verdicts

    def _tell_of(
        self,
        case: AnyCase,
        reference: AnyGradients,
        verdicts: Sequence[Verdict],
        part: Part,
        label: str,
    ) -> None:
        scripts = self._scripts(case, verdicts)
        checked = self._checked(part, label, case, reference, verdicts, scripts)
        self.emit(checked)
        self._tell(checked)

    def _checked(
        self,
        part: Part,
        label: str,
        case: AnyCase,
        reference: AnyGradients,
        verdicts: Sequence[Verdict],
        scripts: Mapping[str, str],
    ) -> CaseChecked:
        found = tuple(verdicts)
        return CaseChecked(part, label, case, reference, found, scripts=scripts, allow=self.allow)

    def _scripts(self, case: AnyCase, verdicts: Sequence[Verdict]) -> dict[str, str]:
        """For each framework that fails on ``case``, a program that shows it, if there is one."""
        if sum(array.size for _, array in case.entries()) > _LARGEST_SCRIPT:
            return {}
        programs = {
            framework.name: script(case, framework, verdict)
            for framework, verdict in zip(self.frameworks, verdicts, strict=True)
            if self.is_failing(verdict)
        }
        return {name: text for name, text in programs.items() if text is not None}

    def _count(self, case: AnyCase, part: Part, found: Judged) -> None:
        before = self.distinct
        self.seen.update(fingerprints(case))
        self.smooth += sum(
            any(verdict.kind in (Kind.AGREES, Kind.DISAGREES) for verdict in row)
            for row in found.verdicts
        )
        checked = counted(self.frameworks, case, part, found, self.distinct - before)
        for line in checked.lines:
            self.coverage.add(line)
            if line.never:
                self.unseen.setdefault(line.shape, case)
        self.emit(checked)
