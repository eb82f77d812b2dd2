"""What a framework makes of one case, and the verdict on it."""

from __future__ import annotations

from typing import Any

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import ask
from crosscheck.frameworks.refusals import Refused
from crosscheck.judge.door import Answer, Question
from crosscheck.judge.verdict import Verdict
from crosscheck.network.composed import AnyCase

__all__ = ["answer", "names_of", "of_the_whole", "verdict_of"]


def verdict_of(framework: Framework, case: AnyCase, question: Question, index: int = 0) -> Verdict:
    """The verdict on a framework's gradient of a single case, or on what came in its place.

    Args:
        framework: An adapter.
        case: The case.
        question: One in which it is case ``index``.
        index: See ``question``.
    """
    return answer(framework, case, question, index)[1]


def answer(
    framework: Framework, case: AnyCase, question: Question, index: int = 0
) -> tuple[Any, Verdict]:
    """What a framework returns for a single case, if anything, and the verdict on it."""
    given = ask(framework, case)
    if isinstance(given, Refused):
        return None, Verdict(*names_of(framework), given.kind, detail=given.reason)
    answered = Answer(given, framework.derivation, names_of(framework))
    return given, question.another(answered, index)


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
