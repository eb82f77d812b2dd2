"""What a framework makes of a batch of a sweep: its gradients, or why there are none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.compare import Judge
from harness.crosscheck import verdict_of
from harness.errors import UnsupportedError
from harness.frameworks.base import Framework
from harness.network import Gradients
from harness.sweep.fast import batched_gradients, mode_of
from harness.sweep.generate import Block
from harness.sweep.settings import BLOCK
from harness.verdict import Verdict

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
    """

    given: Gradients | None
    verdict: Verdict | None = None
    by_case: Mapping[int, Verdict] = field(default_factory=dict)
    upto: int = BLOCK
    mode: str = ""


def answer(framework: Framework, made: Block) -> Answer:
    """The gradients of a batch, or why there are none."""
    batch = made.batch
    if batch.dtype not in framework.dtypes:
        return Answer(None, _of_every_case(framework, made))
    try:
        given = batched_gradients(framework, batch)
    except UnsupportedError:
        return Answer(None, _of_every_case(framework, made))
    except Exception:  # whatever a library raises is its verdict, found case by case
        return Answer(None)
    return Answer(given, mode=mode_of(framework, batch.dtype))


def _of_every_case(framework: Framework, made: Block) -> Verdict:
    case = made.case(0)
    return verdict_of(framework, case, Judge(case))
