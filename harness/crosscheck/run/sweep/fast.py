"""The two steps of a sweep whose speed counts, each behind one function.

`batched_gradients` asks a framework for the gradients of a whole block; `agreements` compares
those of all frameworks. Whatever stands behind them, what `agreements` says is what
`crosscheck.judge.compare.Judge` says case by case, and what it leaves open is handed to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.batched import Batched, batched
from crosscheck.frameworks.gatekeeper import ask_adapter, ask_batch
from crosscheck.judge.compare import StackJudge
from crosscheck.judge.compiled import FusedJudge
from crosscheck.judge.compiled.judge import pieces
from crosscheck.judge.enclosed import Derivation
from crosscheck.network.batch import Batch, chosen_gradients, has_all_cases
from crosscheck.network.dense import Gradients
from crosscheck.numbers.arrays import Array

__all__ = ["agreements", "batched_gradients", "mode_of", "modes_of"]

_FEW = 16
"""Cases that are not worth a stack of their own: they wait for those of other batches."""

_paths: WeakKeyDictionary[Framework, Batched] = WeakKeyDictionary()
"""What was compiled for a framework is kept as long as the framework."""


def _path(framework: Framework) -> Batched:
    if framework not in _paths:
        _paths[framework] = batched(framework)
    return _paths[framework]


def mode_of(framework: Framework, dtype: str) -> str:
    """How `batched_gradients` asks for gradients: the name for reports.

    The adapter's name for its mode where it goes through the adapter, else a line of source.
    """
    path = _path(framework)
    return framework.mode if path.is_through_adapter(dtype) else path.mode


def modes_of(framework: Framework, dtypes: Sequence[str]) -> str:
    """`mode_of` for several dtypes, in one line."""
    modes: dict[str, list[str]] = {}
    for dtype in dtypes:
        modes.setdefault(mode_of(framework, dtype), []).append(dtype)
    if len(modes) == 1:
        return next(iter(modes))
    return "; ".join(f"{mode} for {', '.join(which)}" for mode, which in modes.items())


def batched_gradients(framework: Framework, batch: Batch) -> Any:
    """The gradients of a batch, by the framework's fastest correct path, or why there are none.

    Returns:
        Arrays in `crosscheck.network.batch.held_dtype`; in float64 where they come from the
        adapter.
    """
    path = _path(framework)
    if path.is_through_adapter(batch.dtype):
        return ask_adapter(framework, batch)
    return ask_batch(path, batch)


def agreements(
    batch: Batch,
    given: Sequence[Gradients],
    derivations: Sequence[Derivation],
    *,
    out: tuple[NDArray[np.bool_], Array] | None = None,
) -> tuple[NDArray[np.bool_], Array]:
    """Which cases AGREE by each framework's gradients, and the largest error / bound of each.

    Args:
        batch: C cases.
        given: Of each of F frameworks, the gradients of all of them.
        derivations: Of each framework, how it differentiates. The compiled pass knows the bounds
            of reverse mode; forward mode is held to its own by `StackJudge`.
        out: Arrays for the result, in place of new ones.

    Returns:
        Bool and float64, both of shape (F, C); the second is only meaningful where the first is
        true. Where it is false the case has open gates, or something to explain.
    """
    count = batch.count
    reverse = [row for row, derivation in enumerate(derivations) if derivation == "reverse"]
    if len(reverse) == len(given):
        return FusedJudge(batch).all_agreements(given, few=_FEW, out=out)
    shape = len(given), count
    agrees, largest = out or (np.empty(shape, dtype=bool), np.empty(shape))
    agrees[:], largest[:] = False, 0.0
    if reverse:
        chosen = [given[row] for row in reverse]
        agrees[reverse], largest[reverse] = FusedJudge(batch).all_agreements(chosen, few=_FEW)
    forward = [
        row
        for row, gradients in enumerate(given)
        if derivations[row] == "forward" and has_all_cases(gradients, count)
    ]
    for part in pieces(batch, np.arange(count)) if forward else ():
        stack = StackJudge(batch.case(part))
        for row in forward:
            cut = chosen_gradients(given[row], part)
            agrees[row, part], largest[row, part] = stack.agreements(cut, "forward")
    return agrees, largest
