"""What a framework makes of one case, and the verdict on it."""

from __future__ import annotations

from typing import Any

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import Refused, ask
from crosscheck.judge.door import AnyJudge
from crosscheck.judge.verdict import Verdict
from crosscheck.network.composed import AnyCase

__all__ = ["answer", "of_the_whole", "verdict_of"]


def verdict_of(framework: Framework, case: AnyCase, judge: AnyJudge) -> Verdict:
    """What ``judge`` says of a framework's gradient of its case, or of what came in its place."""
    return answer(framework, case, judge)[1]


def answer(framework: Framework, case: AnyCase, judge: AnyJudge) -> tuple[Any, Verdict]:
    """What a framework returns for a single case, if anything, and the verdict on it."""
    names = (framework.name, framework.formulation, framework.mode)
    given = ask(framework, case)
    if isinstance(given, Refused):
        return None, Verdict(*names, given.kind, detail=given.reason)
    verdict = judge.verdict(
        given,
        framework=names[0],
        formulation=names[1],
        mode=names[2],
        derivation=framework.derivation,
    )
    return given, verdict


def of_the_whole(alone: Verdict, refused: Refused, whole: str) -> Verdict:
    """The verdict that one case bears for several which fail only when they are asked together.

    Args:
        alone: The verdict on the case by itself.
        refused: Why there are no gradients of all of them.
        whole: What all of them are, for people.
    """
    detail = f"{refused.reason}; asked for {whole}, for none of them alone"
    return Verdict(alone.framework, alone.formulation, alone.mode, refused.kind, detail=detail)
