"""What a framework makes of a batch of a sweep: its gradients, or why there are none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from crosscheck.cases.stream.generate import Block
from crosscheck.cases.stream.settings import BLOCK
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.refusals import Refused
from crosscheck.judge.door import judge
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.dense import Gradients
from crosscheck.run.answers import verdict_of
from crosscheck.run.sweep.fast import batched_gradients, mode_of
from crosscheck.run.sweep.steps import Steps, are_shown, steps_of_batch

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
        steps: What is said of the steps of ``given``, where the sweep asks for that.
    """

    given: Gradients | None
    verdict: Verdict | None = None
    by_case: Mapping[int, Verdict] = field(default_factory=dict)
    upto: int = BLOCK
    mode: str = ""
    refused: Refused | None = None
    steps: Steps | None = None


def answer(
    framework: Framework,
    made: Block,
    anew: Callable[[Block], None],
    command: str,
    positions: range,
) -> Answer:
    """The gradients of a batch, or why there are none.

    Args:
        framework: An adapter.
        made: The batch.
        anew: Makes the batch once more, in the same memory: for when something wrote into it.
        command: Of `crosscheck.judge.certificates.CERTIFICATES`.
        positions: Of cases in the block, of which some are in the batch: those whose steps are
            looked at.
    """
    batch = made.batch
    found = batched_gradients(framework, batch, command)
    if isinstance(found, Gradients):
        steps = None
        if are_shown(framework, command):
            first, last = made.first, made.first + batch.count
            found = found.map(np.copy)  # it is the adapter's own, which is asked again
            here = range(max(first, positions.start), min(last, positions.stop))
            steps = steps_of_batch(framework, made, found, here)
        return Answer(found, mode=mode_of(framework, batch.dtype, command), steps=steps)
    if found.changed:
        anew(made)
    if found.kind is Kind.UNSUPPORTED:
        case = made.case(0)
        verdict = verdict_of(framework, case, judge(case), command=command)
        if verdict.kind is Kind.UNSUPPORTED:
            return Answer(None, verdict)
    return Answer(None, refused=None if found.raised else found)
