"""What a framework makes of a batch of a sweep: its gradients, or why there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from crosscheck.cases.stream.generate import Block
from crosscheck.cases.stream.settings import BLOCK
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.refusals import Refused
from crosscheck.judge.door import judge
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.dense import Gradients
from crosscheck.run.answers import verdict_of
from crosscheck.run.sweep.fast import batched_gradients, mode_of

__all__ = ["Answer", "answer"]


@dataclass(frozen=True, eq=False)
class Answer:
    """What a framework makes of a batch.

    Attributes:
        given: The gradients of all its cases, or ``None`` where they are not to be had.
        verdict: Why not: what is to be said of every case. ``None`` if each case is to be put
            to the framework by itself.
        by_case: Verdicts on cases that were found out otherwise, by position in the block.
        upto: The position in the block up to which it was asked, where it was given up on.
        mode: How ``given`` was asked for; empty where there is none.
        refused: Why the batch failed, where that is to be told even if no case by itself fails.
    """

    given: Gradients | None
    verdict: Verdict | None = None
    by_case: Mapping[int, Verdict] = field(default_factory=dict)
    upto: int = BLOCK
    mode: str = ""
    refused: Refused | None = None


def answer(framework: Framework, made: Block, anew: Callable[[Block], None]) -> Answer:
    """The gradients of a batch, or why there are none.

    Args:
        framework: An adapter.
        made: The batch.
        anew: Makes the batch once more, in the same memory: for when something wrote into it.
    """
    batch = made.batch
    found = batched_gradients(framework, batch)
    if isinstance(found, Gradients):
        return Answer(found, mode=mode_of(framework, batch.dtype))
    if found.changed:
        anew(made)
    if found.kind is Kind.UNSUPPORTED:
        case = made.case(0)
        verdict = verdict_of(framework, case, judge(case))
        if verdict.kind is Kind.UNSUPPORTED:
            return Answer(None, verdict)
    return Answer(None, refused=None if found.raised else found)
