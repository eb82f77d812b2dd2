"""What all frameworks make of a case or a stack, and what they make of it when asked again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import ask
from crosscheck.frameworks.refusals import Refused
from crosscheck.judge.certificates import BY_STEPS
from crosscheck.judge.door import Answer, Question, judge
from crosscheck.judge.verdict import Verdict
from crosscheck.network.composed import AnyCase, AnyGradients
from crosscheck.numbers.arrays import Array
from crosscheck.run.again import LATER, differing, named, named_at_once
from crosscheck.run.answers import (
    answer,
    asking,
    names_of,
    of_the_whole,
    together,
    verdict_of,
    with_verdict,
)

__all__ = ["Judged", "changed_since", "judged", "judged_each", "judged_stack"]

IsFailing = Callable[[Verdict], bool]
"""Whether a verdict makes the run fail."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What is said of C cases.

    Attributes:
        question: What the judge was asked.
        given: What each of F frameworks returned; ``None`` if nothing.
        verdicts: Case by case, one for each framework.
        bounds: The largest error / bound that they go with, of shape (C, F).
    """

    question: Question
    given: Sequence[AnyGradients | None]
    verdicts: Sequence[tuple[Verdict, ...]]
    bounds: Array


def judged(
    frameworks: Sequence[Framework], case: AnyCase, is_failing: IsFailing, command: str = "run"
) -> Judged:
    """What is said of a single case; where that fails, the framework is asked again at once.

    Args:
        frameworks: The adapters.
        case: The case.
        is_failing: See `IsFailing`.
        command: As of `crosscheck.run.answers.asked`.
    """
    waiting = [asking(framework, case, command) for framework in frameworks]
    question = judge(case, by_steps=command == BY_STEPS)
    given, verdicts = [], []
    for framework, found in zip(frameworks, waiting, strict=True):
        returned, verdict = with_verdict(framework, found(), question)
        given.append(returned)
        if is_failing(verdict):
            again, then = answer(framework, case, question, command=command)
            verdict = named_at_once(verdict, returned, again, passes=not is_failing(then))
        verdicts.append(verdict)
    bounds = [verdict.worst.bounds if verdict.worst else 0.0 for verdict in verdicts]
    return Judged(question, given, [tuple(verdicts)], np.array([bounds]))


def judged_stack(
    frameworks: Sequence[Framework],
    stack: AnyCase,
    answers: Sequence[Answer | Refused],
    is_failing: IsFailing,
    command: str = "run",
) -> Judged:
    """What is said of a stack; see `judged`.

    Args:
        frameworks: The adapters.
        stack: The cases.
        answers: Of each framework, to all of them at once.
        is_failing: As of `judged`.
        command: Likewise.
    """
    count = stack.count or 0
    pairs = list(zip(frameworks, answers, strict=True))
    given = [each for each in answers if not isinstance(each, Refused)]
    question, columns = judge(stack, given, with_arrays=True), []
    bounds, row = np.zeros((count, len(pairs))), 0
    for column, (framework, each) in enumerate(pairs):
        if isinstance(each, Refused):
            columns.append(_alone(framework, stack, question, each, is_failing, command))
            continue
        found = [question.verdict(row, index) for index in range(count)]
        bounds[:, column], row = question.bounds[row], row + 1
        _ask_at_once(framework, stack, question, each.given, found, is_failing)
        columns.append(found)
    return Judged(
        question,
        [None if isinstance(each, Refused) else each.given for each in answers],
        [tuple(column[index] for column in columns) for index in range(count)],
        bounds,
    )


def judged_each(
    frameworks: Sequence[Framework],
    stack: AnyCase,
    answers: Sequence[Sequence[Answer | Refused]],
    is_failing: IsFailing,
    command: str = "run",
) -> Judged:
    """What is said of the cases of a stack each of which was asked by itself; see `judged`.

    The verdicts are those of `judged`, in less time; only the adjoint certificate is asked of the
    first case alone.

    Args:
        frameworks: The adapters.
        stack: The cases.
        answers: Of each framework, to each case.
        is_failing: As of `judged`.
        command: Likewise.
    """
    count, columns = stack.count or 0, []
    wholes = [together(each) for each in answers]
    judged_whole = [each for each in wholes if each is not None]
    question = judge(stack, judged_whole, with_arrays=True, with_gates=True)
    bounds, row = np.zeros((count, len(wholes))), 0
    for column, (framework, own, whole) in enumerate(zip(frameworks, answers, wholes, strict=True)):
        if whole is None:
            found = [with_verdict(framework, each, question, at)[1] for at, each in enumerate(own)]
            bounds[:, column] = [each.worst.bounds if each.worst else 0.0 for each in found]
        else:
            found = [question.verdict(row, at) for at in range(count)]
            bounds[:, column], row = question.bounds[row], row + 1
        for at in [at for at, verdict in enumerate(found) if is_failing(verdict)]:
            returned, (again, then) = own[at], answer(framework, stack[at], question, at, command)
            given = None if isinstance(returned, Refused) else returned.given
            found[at] = named_at_once(found[at], given, again, passes=not is_failing(then))
        columns.append(found)
    return Judged(
        question,
        [None if each is None else each.given for each in wholes],
        [tuple(column[at] for column in columns) for at in range(count)],
        bounds,
    )


def _alone(
    framework: Framework,
    stack: AnyCase,
    question: Question,
    refused: Refused,
    is_failing: IsFailing,
    command: str,
) -> list[Verdict]:
    """The verdicts of a framework on the cases of a stack that it does not take as a whole."""
    count = question.count
    alone = [verdict_of(framework, stack[at], question, at, command) for at in range(count)]
    if not refused.raised and not any(map(is_failing, alone)):
        alone[0] = of_the_whole(alone[0], refused, f"the stack of {count} cases")
    return alone


def _ask_at_once(
    framework: Framework,
    stack: AnyCase,
    question: Question,
    given: AnyGradients,
    verdicts: list[Verdict],
    is_failing: IsFailing,
) -> None:
    """Give failing verdicts of a framework their name if the same call gives other bits now."""
    failing = [at for at, verdict in enumerate(verdicts) if is_failing(verdict)]
    again = ask(framework, stack) if failing else None
    if again is None or isinstance(again, Refused):
        return
    for index in failing:
        before, now = given[index], again[index]
        if not differing(before, now):
            continue
        answered = Answer(now, framework.derivation, names_of(framework))
        then = question.another(answered, index)
        verdicts[index] = named_at_once(verdicts[index], before, now, passes=not is_failing(then))


def changed_since(
    framework: Framework,
    case: AnyCase,
    given: AnyGradients,
    now: Any,
    is_failing: IsFailing,
    command: str = "run",
) -> tuple[int, list[tuple[AnyCase, AnyGradients, Verdict]]]:
    """Whether a call that was made again returned the same bits.

    Args:
        framework: The adapter.
        case: A single case or a stack.
        given: What it returned then.
        now: What it returned now, or `Refused`.
        is_failing: See `IsFailing`.
        command: As of `judged`.

    Returns:
        In how many cases a bit differs; and of those where what is returned now fails, the case,
        its reference and the verdict, with its name.
    """
    if isinstance(now, Refused):
        changed = np.arange(case.count or 1)
    else:
        changed = np.flatnonzero(np.atleast_1d(differing(given, now)))
    wrong = []
    for index in changed.tolist():
        one = case if case.count is None else case[index]
        question, names = judge(one, by_steps=command == BY_STEPS), names_of(framework)
        if isinstance(now, Refused):
            verdict = Verdict(*names, now.kind, detail=now.reason)
        else:
            again = now if case.count is None else now[index]
            verdict = question.another(Answer(again, framework.derivation, names))
        if is_failing(verdict):
            wrong.append((one, question.reference(), named(verdict, LATER)))
    return len(changed), wrong
