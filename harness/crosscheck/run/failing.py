"""What it takes for a smaller case to fail in the same way as a given one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from crosscheck.judge.door import Question, judge
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.composed import AnyCase

__all__ = ["Failing", "SameFailure", "failures"]

Failing = tuple[str, Kind, str]
"""Who fails, with which verdict, and for a crash with which exception."""


def failures(verdicts: Sequence[Verdict], is_failing: Callable[[Verdict], bool]) -> set[Failing]:
    """How verdicts on one case fail."""
    return {
        (
            verdict.framework,
            verdict.kind,
            verdict.detail.split(":")[0] if verdict.kind is Kind.CRASHED else "",
        )
        for verdict in verdicts
        if is_failing(verdict)
    }


class SameFailure:
    """Whether one of those that failed on a case fails on another in the same way.

    A failure away from kinks stays away from them, where it is easier to understand. Those that
    did not fail are not asked: they may have to compile for each new shape.

    Args:
        case: The case.
        failing: How it failed.
        ask: Gives the verdicts of the frameworks with some names.
        is_failing: Which verdicts are failures.
    """

    def __init__(
        self,
        case: AnyCase,
        failing: Collection[Failing],
        ask: Callable[[AnyCase, Question, Collection[str]], Sequence[Verdict]],
        is_failing: Callable[[Verdict], bool],
    ) -> None:
        self.failing = frozenset(failing)
        self._names = {name for name, _, _ in failing}
        self._ask, self._is_failing = ask, is_failing
        self._is_smooth = not judge(case).has_open_decisions()

    def __call__(self, case: AnyCase) -> bool:
        """Whether ``case`` fails so; nothing is counted or reported."""
        question = judge(case)
        if self._is_smooth and question.has_open_decisions():
            return False
        verdicts = self._ask(case, question, self._names)
        return bool(failures(verdicts, self._is_failing) & self.failing)
