"""What a framework makes of one case, and the verdict on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import begin, begin_each
from crosscheck.frameworks.refusals import Refused
from crosscheck.judge.certificates import CERTIFICATES, Certificate
from crosscheck.judge.door import Answer, Question
from crosscheck.judge.local.record import Recorded
from crosscheck.judge.verdict import Verdict
from crosscheck.network.composed import AnyCase
from crosscheck.run.again import differing

__all__ = [
    "OTHER_BITS",
    "UNSEEN",
    "answer",
    "asked",
    "asking",
    "asking_each",
    "names_of",
    "of_the_whole",
    "together",
    "verdict_of",
    "with_verdict",
]

OTHER_BITS = "its steps were discarded: watched, it returned another gradient"
"""Why there is no local certificate where watching changes a bit."""
UNSEEN = "its steps could not be seen"
"""Why there is none where watching fails; the reason follows."""


def asking(framework: Framework, case: AnyCase, command: str) -> Callable[[], Answer | Refused]:
    """Ask a framework for a case or a stack; what is returned waits for `asked`.

    One that works in another process is at it from now on (`crosscheck.frameworks.isolated`).

    Args:
        framework: An adapter.
        case: The case, or a stack.
        command: Of `CERTIFICATES`: says which certificates are asked for.
    """
    shows = framework.mode in framework.watched_modes
    wanted = CERTIFICATES[command, shows]
    awaited = begin(framework, case, watched=Certificate.LOCAL in wanted)

    return lambda: _answer_of(framework, wanted, *awaited())


def asking_each(
    framework: Framework, stack: AnyCase, command: str
) -> Callable[[], list[Answer | Refused]]:
    """`asking`, for the cases of a stack, each asked by itself."""
    shows = framework.mode in framework.watched_modes
    wanted = CERTIFICATES[command, shows]
    awaited = begin_each(framework, stack, watched=Certificate.LOCAL in wanted)
    return lambda: [_answer_of(framework, wanted, *pair) for pair in awaited()]


def _answer_of(
    framework: Framework, wanted: Collection[Certificate], given: Any, recorded: Any
) -> Answer | Refused:
    if isinstance(given, Refused):
        return given
    found = Answer(
        given,
        framework.derivation,
        names_of(framework),
        by_adjoint=Certificate.ADJOINT in wanted,
        by_relations=Certificate.RELATIONS in wanted,
    )
    if recorded is None:
        return found
    if isinstance(recorded, Refused):
        return replace(found, note=f"{UNSEEN}: {recorded.reason}")
    if np.any(differing(given, recorded.given)):
        return replace(found, note=OTHER_BITS)
    return replace(found, recorded=recorded)


def together(answers: Sequence[Answer | Refused]) -> Answer | None:
    """Answers of one framework to single cases of one kind, as to a stack.

    Returns:
        ``None`` where one of them is no answer, or has no steps and says why: then each is judged
        by itself.
    """
    found = [each for each in answers if isinstance(each, Answer) and not each.note]
    if len(found) < len(answers):
        return None
    first, *others = (each.given for each in found)
    recorded = [each.recorded for each in found if each.recorded is not None]
    return replace(
        found[0],
        given=first.map(lambda *arrays: np.stack(arrays), *others),
        recorded=Recorded.together(recorded) if recorded else None,
        of_first=1,
    )


def asked(framework: Framework, case: AnyCase, command: str) -> Answer | Refused:
    """What a framework returns for a case or a stack, with its steps where they are asked for."""
    return asking(framework, case, command)()


def verdict_of(
    framework: Framework, case: AnyCase, question: Question, index: int = 0, command: str = "sweep"
) -> Verdict:
    """The verdict on a framework's gradient of a single case, or on what came in its place.

    Args:
        framework: An adapter.
        case: The case.
        question: One in which it is case ``index``.
        index: See ``question``.
        command: As of `asked`.
    """
    return answer(framework, case, question, index, command)[1]


def answer(
    framework: Framework, case: AnyCase, question: Question, index: int = 0, command: str = "run"
) -> tuple[Any, Verdict]:
    """What a framework returns for a single case, if anything, and the verdict on it."""
    return with_verdict(framework, asked(framework, case, command), question, index)


def with_verdict(
    framework: Framework, found: Answer | Refused, question: Question, index: int = 0
) -> tuple[Any, Verdict]:
    """What a framework has returned for a single case, if anything, and the verdict on it."""
    if isinstance(found, Refused):
        return None, Verdict(*names_of(framework), found.kind, detail=found.reason)
    return found.given, question.another(found, index)


def names_of(framework: Framework) -> tuple[str, str, str]:
    """Of a framework, its formulation and its mode, as verdicts state them."""
    return framework.name, framework.formulation, framework.mode


def of_the_whole(alone: Verdict, refused: Refused, whole: str) -> Verdict:
    """The verdict that one case bears for several which fail only when they are asked together.

    Args:
        alone: The verdict on the case by itself.
        refused: Why there are no gradients of all of them.
        whole: What all of them are, for people.
    """
    detail = f"{refused.reason}; asked for {whole}, for none of them alone"
    return Verdict(alone.framework, alone.formulation, alone.mode, refused.kind, detail=detail)
