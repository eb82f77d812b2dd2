"""The two steps of a sweep whose speed counts, each behind one function.

`batched_gradients` asks a framework for the gradients of a whole block; `agreements` compares
those of all frameworks. Whatever stands behind them, what `agreements` says is what
`harness.compare.Judge` says case by case, and what it leaves open is handed to that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.compare import StackJudge
from harness.enclosed import Derivation
from harness.frameworks.base import Framework
from harness.network import Array, Case, Gradients

__all__ = ["agreements", "batched_gradients"]

_CACHED = 65_536
"""Numbers in the cases that are enclosed together: what comes of them stays in memory for so long
as they are compared, several hundred bytes for each."""


def batched_gradients(framework: Framework, stack: Case) -> Gradients:
    """The gradients of a stack of cases, by the framework's fastest correct path."""
    return framework.gradients(stack)


def agreements(
    stack: Case, given: Sequence[Gradients], derivations: Sequence[Derivation]
) -> tuple[NDArray[np.bool_], Array]:
    """Which cases AGREE by each framework's gradients, and the largest error / bound of each.

    Args:
        stack: C cases.
        given: Of each of F frameworks, the gradients of all of them.
        derivations: How each framework differentiated.

    Returns:
        Bool and float64, both of shape (F, C); the second is only meaningful where the first is
        true. Where it is false the case has open gates, or something to explain.
    """
    count = stack.count
    assert count is not None
    agrees = np.zeros((len(given), count), dtype=bool)
    largest = np.zeros((len(given), count))
    whole = [
        all(np.shape(array)[:1] == (count,) for _, array in gradients.entries())
        for gradients in given
    ]
    size = sum(array[0].size for _, array in stack.arrays())
    step = max(16, _CACHED // size)
    for start in range(0, count if any(whole) else 0, step):
        part = slice(start, start + step)
        judge = StackJudge(_cut(stack, part))
        for row, gradients in enumerate(given):
            if whole[row]:
                cut = _cut_gradients(gradients, part)
                agrees[row, part], largest[row, part] = judge.agreements(cut, derivations[row])
    return agrees, largest


def _cut(stack: Case, part: slice) -> Case:
    return Case(
        stack.network,
        tuple(weight[part] for weight in stack.weights),
        tuple(None if bias is None else bias[part] for bias in stack.biases),
        stack.x[part],
        stack.y[part],
        stack.dtype,
    )


def _cut_gradients(given: Gradients, part: slice) -> Gradients:
    return Gradients(
        given.loss[part],
        tuple(weight[part] for weight in given.weights),
        tuple(None if bias is None else bias[part] for bias in given.biases),
        given.x[part],
    )
