"""The cross-check: cases in, gradients from every framework, verdicts, events out."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from hypothesis import strategies as st

from crosscheck.cases.composed import (
    Plan,
    composed_boundary_cases,
    composed_cases,
    seeded_composed,
)
from crosscheck.cases.profiles import WIDE_STACK, Profile
from crosscheck.cases.strategies import (
    boundary_cases,
    gaussian_stack,
    nonfinite_cases,
    seeded_stacks,
    smooth_cases,
)
from crosscheck.cases.wide import Visit, visits, wide_stack
from crosscheck.frameworks.refusals import Refused
from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.door import Answer
from crosscheck.judge.vacuity import Coverage
from crosscheck.network.composed import AnyCase, Composed
from crosscheck.network.dense import Case, Network
from crosscheck.run.again import (
    NAME,
)
from crosscheck.run.checker import Checker, Emit
from crosscheck.run.events import (
    ExitCode,
    Part,
    RunFinished,
    RunStarted,
)
from crosscheck.run.failing import failures
from crosscheck.run.searching import searched
from crosscheck.tools.interrupts import interrupts

__all__ = [
    "Outcome",
    "check_generated",
    "check_given",
    "outcome",
]


_ALSO_ZERO = "the bounds there cannot tell the gradient from zero"
_MORE = 16
"""Cases of a shape of which an array was never checked."""


def check_given(checker: Checker, cases: Iterable[tuple[str, AnyCase]]) -> None:
    """Check the user's own cases, one after the other.

    Args:
        checker: Where the results go.
        cases: Pairs of a label and a single case.
    """
    for label, case in cases:
        checker.check_case(case, "given", label)
    checker.finish()


def check_generated(
    checker: Checker,
    profile: Profile,
    *,
    seed: int,
    dtypes: Sequence[str],
    operators: Sequence[str] | None = None,
) -> None:
    """Search for disagreements on generated cases: smooth, on the boundary, in bulk, not finite.

    A failing case ends its search after it was shrunk; the other searches go on.

    Args:
        checker: Where the results go.
        profile: How many cases of which kind.
        seed: Of everything that is drawn.
        dtypes: Each is searched with an equal share of the examples.
        operators: What networks of operators are made of; by default those that are drawn.
    """
    dense: list[tuple[Part, str, st.SearchStrategy[Any], int]] = []
    others: list[tuple[Part, str, st.SearchStrategy[Any], int]] = []
    for place, dtype in enumerate(dtypes):
        share = profile.share(place, len(dtypes))
        of: dict[str, Any] = {"dtype": dtype, "turn": seed + place if profile.in_turn else None}
        half, stacks = share.composed // 2, seeded_stacks(count=share.stack_size, **of)
        composed, at = (
            cases(dtype=dtype, operators=operators)
            for cases in (composed_cases, composed_boundary_cases)
        )
        dense += [
            ("smooth", f"smooth {dtype}", smooth_cases(**of), share.smooth_examples),
            ("boundary", f"boundary {dtype}", boundary_cases(**of), share.boundary_examples),
            ("smooth", f"stacks {dtype}", stacks, share.stacks),
        ]
        others += [
            ("boundary", f"not finite {dtype}", nonfinite_cases(**of), share.nonfinite),
            ("smooth", f"operators {dtype}", composed, share.composed - half),
            ("boundary", f"operators at breakpoints {dtype}", at, half),
        ]
    searches = [*dense, *others]
    finishing = [
        searched(checker, part, label, strategy, seed=seed + number, examples=examples)
        for number, (part, label, strategy, examples) in enumerate(searches)
        if examples
    ]
    _check_wide(checker, visits(profile.wide, dtypes, seed))
    checker.ahead.finish()
    for finish in finishing:
        finish()
    _look_again(checker, seed)
    checker.finish()


def _check_wide(checker: Checker, wanted: Sequence[Visit]) -> None:
    """Check networks too wide to be drawn number by number; what fails is shrunk."""
    for shape, dtype, stacked, seed in wanted:
        label = f"wide {'stack ' if stacked else ''}{dtype}"
        stack = wide_stack(shape, seed, WIDE_STACK if stacked else 1, dtype)
        _put_wide(checker, stack, label, whole=stacked)


def _put_wide(checker: Checker, stack: Case, label: str, *, whole: bool) -> None:
    """Ask for a stack as a whole, or for its one case by itself."""

    def judge(answers: Sequence[Answer | Refused]) -> None:
        checker.check_stack(stack, "smooth", label, answers)

    def judge_each(answers: Sequence[Sequence[Answer | Refused]]) -> None:
        (verdicts,) = checker.check_each(stack, answers, "smooth", label)
        failing = failures(verdicts, checker.is_lasting)
        checker.check_smallest(stack[0], failing, "smooth", label)

    if whole:
        checker.ahead.put(stack.size, lambda: checker.asking(stack), judge)
    else:
        checker.ahead.put(stack.size, lambda: checker.asking_each(stack), judge_each)


def _look_again(checker: Checker, seed: int) -> None:
    """Put one more stack of each shape of which an array was never checked.

    Of a shape that was drawn once or twice, all cases may have been such as cancel or underflow.
    With ordinary numbers an array is checked, unless its bounds are too wide for that in general.
    Networks of operators are held apart by their operators: others may have the same widths.
    """
    for line in list(checker.coverage.lines()):
        if line.never:
            stack = _ordinary(checker.unseen[line.shape], line.dtype, seed)
            checker.check_stack(stack, "smooth", f"once more {line.dtype}")


def _ordinary(case: AnyCase, dtype: str, seed: int) -> AnyCase:
    """A stack of cases with ordinary numbers, of the same shape as a case."""
    if isinstance(case, Composed):
        return seeded_composed(seed, Plan.of(case), _MORE, dtype)
    rng = np.random.Generator(np.random.Philox(seed))
    return gaussian_stack(rng, Network(case.widths, "identity"), case.rows, _MORE, dtype)


def run(
    checker_of: Callable[[Emit], Checker],
    work: Callable[[Checker], None],
    started: RunStarted,
    states: Sequence[FrameworkState],
    emit: Emit,
) -> ExitCode:
    """Do ``work`` between a first and a last event, whatever happens in between.

    Args:
        checker_of: Makes the checker.
        work: Puts cases to it.
        started: The first event.
        states: The frameworks' states; a broken one makes the run fail.
        emit: Takes each event.

    Returns:
        What the command exits with; also in the last event.
    """
    begin = time.monotonic()
    checker = checker_of(emit)
    emit(started)
    interrupted = False
    try:
        with interrupts() as checker.held:
            if checker.frameworks:
                work(checker)
    except KeyboardInterrupt:
        interrupted = True
    code, reason = outcome(checker, states, started, interrupted=interrupted)
    emit(RunFinished(code, reason, time.monotonic() - begin, checker.distinct))
    return code


class Outcome(Protocol):
    """What decides how a run ends; `Checker` is one."""

    @property
    def frameworks(self) -> Sequence[object]:
        """The frameworks that are checked."""

    @property
    def failed(self) -> bool:
        """Whether anything failed."""

    @property
    def smooth(self) -> int:
        """How many cases with certain gates at least one framework was compared on."""

    @property
    def coverage(self) -> Coverage:
        """Which arrays were checked, shape by shape."""

    @property
    def nondeterministic(self) -> Collection[str]:
        """Names of frameworks whose answer depends on when they are asked."""


def outcome(
    checked: Outcome,
    states: Sequence[FrameworkState],
    started: RunStarted,
    *,
    interrupted: bool,
) -> tuple[ExitCode, str]:
    """The exit code, and one line that says why."""
    broken = [state.name for state in states if state.state == "broken"]
    if checked.failed:
        moody = ", ".join(checked.nondeterministic)
        named_ = f"; {NAME}: {moody}" if moody else ""
        return ExitCode.DISAGREEMENT, f"at least one framework disagrees or crashed{named_}"
    if broken:
        return ExitCode.DISAGREEMENT, f"broken: {', '.join(broken)}"
    if interrupted:
        return ExitCode.INTERRUPTED, "interrupted; what was done until then is reported"
    if not checked.frameworks:
        return ExitCode.NOTHING_CHECKED, "nothing checked: no framework is available"
    if started.seed is not None and checked.smooth == 0:
        return ExitCode.NOTHING_CHECKED, "nothing checked: no case away from kinks was compared"
    never = checked.coverage.never()
    if never:
        return ExitCode.NOTHING_CHECKED, f"nothing checked: {never}; {_ALSO_ZERO}"
    return ExitCode.OK, "every gradient is explained"
