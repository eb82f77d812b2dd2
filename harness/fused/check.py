"""Batches in, agreements out: the inner loop of everything that checks millions of cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.batch import Batch
from harness.frameworks.batched import Batched
from harness.fused.judge import FusedJudge
from harness.network import Array, Gradients

__all__ = ["CheckedBatch", "check_batch"]


@dataclass(frozen=True, eq=False)
class CheckedBatch:
    """What comparing each framework's gradients of a batch says.

    Attributes:
        judge: For the verdict on a case that does not AGREE: ``judge.judge(index)``.
        given: Each framework's gradients.
        agrees: Bool, (frameworks, cases).
        largest: Largest error / bound, float64 of the same shape, meaningful where it agrees.
    """

    judge: FusedJudge
    given: tuple[Gradients, ...]
    agrees: Any
    largest: Array


def check_batch(batch: Batch, frameworks: Sequence[Batched]) -> CheckedBatch:
    """The gradients of a batch by each framework, and which cases AGREE.

    Raises:
        Exception: Whatever a framework raises.
    """
    given = tuple(gradients(batch) for gradients in frameworks)
    judge = FusedJudge(batch)
    agrees, largest = judge.all_agreements(given)
    return CheckedBatch(judge, given, agrees, largest)
