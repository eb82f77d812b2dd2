"""A search by Hypothesis, whose cases are checked together and made small one by one.

What is drawn is gathered by kind, asked case by case, and judged in stacks: most of the time that
judging a small case takes is the same for many at once. While the frameworks are at some stacks
those before are judged, and more is drawn (`crosscheck.run.ahead`). A case that fails
ends the gathering. Then the search is made again, with the same seed and so with the same cases,
up to the first that failed, from which Hypothesis goes on to smaller ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase

from crosscheck.cases.profiles import settings
from crosscheck.cases.search import search
from crosscheck.cases.shrink import shrink
from crosscheck.frameworks.refusals import Refused
from crosscheck.judge.door import Answer
from crosscheck.judge.verdict import Verdict
from crosscheck.network.composed import AnyCase
from crosscheck.run.checker import ATTEMPTS, Checker, Disagreement
from crosscheck.run.counting import fingerprints
from crosscheck.run.events import Part
from crosscheck.run.failing import SameFailure, failures

__all__ = ["Gathered", "searched"]

_HELD = 16, 128
"""The fewest and the most single cases that wait for others of their kind, in all."""

_Row = tuple[Verdict, ...]


def searched(
    checker: Checker,
    part: Part,
    label: str,
    strategy: st.SearchStrategy[Any],
    *,
    seed: int,
    examples: int,
) -> Callable[[], None]:
    """One search; what fails is reported.

    Args:
        checker: Where the results go; some cases may still wait there for their answers.
        part: Where the cases come from.
        label: Their name.
        strategy: Draws single cases, or stacks, which are checked as they come.
        seed: Of what is drawn.
        examples: How many are drawn at the most.

    Returns:
        To be called when nothing waits any more: reports what failed first in its smallest form.
    """
    earlier, (least, most) = _Earlier(settings().database), _HELD
    gathered = Gathered(checker, part, label, min(max(least, examples // 4), most))

    def gather(case: AnyCase, _: bool) -> None:
        if case.count is not None:

            def judge(answers: Sequence[Answer | Refused]) -> None:
                checker.check_stack(case, part, label, answers)  # shrinks by itself

            checker.ahead.put(case.size, lambda: checker.asking(case), judge)
            return
        if not gathered.failing:
            gathered.add(case)
        if gathered.failing:
            raise Disagreement(label)

    about: dict[str, Any] = {
        "name": label.replace(" ", "_"),
        "seed": seed,
        "examples": examples,
        "failure": Disagreement,
    }
    once = hypothesis.settings(settings(), database=earlier)
    search(strategy, gather, settings=once, shrinks=False, **about)
    gathered.finish()

    def finish() -> None:
        if gathered.failing:
            _make_small(
                gathered, lambda check: search(strategy, check, settings=settings(), **about)
            )
        else:
            earlier.forget()

    return finish


def _make_small(
    gathered: Gathered, again: Callable[[Callable[[AnyCase, bool], None]], Any]
) -> None:
    """Report the smallest form of what failed first.

    Args:
        gathered: The cases of the search, with some that fail.
        again: Makes the search again, with another check.
    """
    checker, part, label = gathered.checker, gathered.part, gathered.label
    first: list[tuple[AnyCase, _Row]] = []

    def check(case: AnyCase, new: bool) -> None:
        if new:
            verdicts = gathered.verdicts(case)
            failing = any(map(checker.is_lasting, verdicts))
            first[:] = [(case, verdicts)] if failing else first
        else:  # what is made smaller is to fail as it did
            now = failures(checker.verdicts(case), checker.is_failing)
            failing = bool(now & failures(first[0][1], checker.is_failing))
        if failing:  # at one place: Hypothesis takes failures from two places for two failures
            raise Disagreement(label)

    finding = again(check)
    if finding is None or finding.flaky:
        checker.tell_flaky(*(first or gathered.failing)[0], part, label)
        return
    # Hypothesis keeps to what the strategy can draw; rows and units may still go.
    failing = failures(checker.verdicts(finding.smallest), checker.is_failing)
    same = SameFailure(finding.smallest, failing, checker.ask, checker.is_failing)
    checker.check_shrunk(shrink(finding.smallest, same, attempts=ATTEMPTS), part, label)


class Gathered:
    """The single cases of a search, asked and judged with others of their kind.

    Args:
        checker: Where the results go.
        part: Where the cases come from.
        label: Their name.
        held: How many cases wait for others of their kind, in all.

    Attributes:
        checker, part, label: As they were given.
        failing: Cases that fail, and do so again, with their verdicts.
    """

    def __init__(self, checker: Checker, part: Part, label: str, held: int) -> None:
        self.failing: list[tuple[AnyCase, _Row]] = []
        self.checker, self.part, self.label = checker, part, label
        self._held = held
        self._kinds: dict[object, list[AnyCase]] = {}
        self._failing: dict[int, _Row] = {}

    def add(self, case: AnyCase) -> None:
        """One more case; when enough wait, those of the kind that has most are asked."""
        kind = case.kind, tuple(case.array_shapes.items())
        self._kinds.setdefault(kind, []).append(case)
        if sum(map(len, self._kinds.values())) >= self._held:
            fullest = max(self._kinds, key=lambda each: len(self._kinds[each]))
            self._ask(self._kinds.pop(fullest))

    def finish(self) -> None:
        """Ask for what still waits, up to the first failure."""
        while self._kinds and not self.failing:
            self._ask(self._kinds.popitem()[1])

    def verdicts(self, case: AnyCase) -> _Row:
        """Those on a case; of one that was judged already and does not fail, none."""
        (key,) = fingerprints(case)
        if key in self._failing or key in self.checker.seen:
            return self._failing.get(key, ())
        return self.checker.verdicts(case)

    def _ask(self, cases: list[AnyCase]) -> None:
        stack: AnyCase = cases[0].beside(cases[1:])  # type: ignore[arg-type]  # of one kind
        self.checker.ahead.put(
            stack.size,
            lambda: self.checker.asking_each(stack),
            lambda answers: self._judge(stack, answers),
        )

    def _judge(self, stack: AnyCase, answers: Sequence[Sequence[Answer | Refused]]) -> None:
        found = self.checker.check_each(stack, answers, self.part, self.label)
        for index, row in enumerate(found):
            if any(map(self.checker.is_lasting, row)):
                (key,) = fingerprints(stack[index])
                self.failing.append((stack[index], row))
                self._failing[key] = row


class _Earlier(ExampleDatabase):
    """Failures of earlier runs, to be tried first; what becomes of them is not known at once.

    Args:
        kept: The database.
    """

    def __init__(self, kept: ExampleDatabase | None) -> None:
        super().__init__()
        self._kept = kept
        self._gone: list[tuple[bytes, bytes]] = []

    def fetch(self, key: bytes) -> Any:
        """See `ExampleDatabase`."""
        return () if self._kept is None else self._kept.fetch(key)

    def save(self, key: bytes, value: bytes) -> None:
        """Nothing fails yet."""

    def delete(self, key: bytes, value: bytes) -> None:
        """Hypothesis takes for passed what only waits to be judged."""
        self._gone.append((key, value))

    def forget(self) -> None:
        """All of them have passed."""
        if self._kept is not None:
            for key, value in self._gone:
                self._kept.delete(key, value)
