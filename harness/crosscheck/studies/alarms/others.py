"""What the frameworks' own checkers, and a comparison with a tolerance, say of right gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from crosscheck.network.batch import Batch
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.reference import gradients
from crosscheck.network.tree import widened
from crosscheck.studies import peers
from crosscheck.studies.alarms.catalogue import Right
from crosscheck.studies.alarms.measure import Rate
from crosscheck.studies.alarms.streams import STREAMS, batches, chosen

__all__ = ["measure_peers"]

_DTYPES = ("float64", "float32")
"""The checkers take no others."""

_ALLCLOSE = "assert_allclose, against float64"


def measure_peers(rights: Sequence[Right], count: int) -> list[Rate]:
    """Rates at which checkers reject right gradients of (4, 8, 1), one row.

    All are asked about the same cases, finite ones with no open gate: where there is no
    derivative, differences of values cannot agree with one.

    Args:
        rights: Whose gradients.
        count: Cases.
    """
    return [rate for dtype in _DTYPES for rate in _rates(rights, dtype, count)]


def _rates(rights: Sequence[Right], dtype: str, count: int) -> Iterator[Rate]:
    batch = _smooth(dtype, count)
    # Many ways of adding four numbers give the same bits: then so does the checker.
    known: dict[tuple[str, int, bytes], bool] = {}
    stack = batch.case()
    for right in rights:
        if dtype not in right.dtypes or right.derivation != "reverse":
            continue
        given = right.gradients(batch)
        for checker, accepts in _CHECKERS().items():
            rejected = 0
            for at in range(count):
                one = given[at]
                bits = b"".join(np.asarray(array).tobytes() for _, array in one.entries())
                key = checker, at, bits
                if key not in known:
                    known[key] = accepts(stack[at], one.map(widened))
                rejected += not known[key]
            yield Rate(checker, right.name, dtype, rejected, count)


def _smooth(dtype: str, count: int) -> Batch:
    from crosscheck.judge.stacks import StackJudge

    (batch, *_) = batches(STREAMS[0], dtype, 4 * count)
    stack = batch.case()
    open_ = StackJudge(stack).enclosed().has_open_gates | ~stack.are_finite
    return chosen(batch, np.flatnonzero(~open_)[:count])


def _is_close(case: Case, given: Gradients) -> bool:
    try:
        for (_, value), (_, wanted) in zip(given.entries(), gradients(case).entries(), strict=True):
            getattr(np.testing, "assert_allclose")(value, wanted)  # noqa: B009
    except AssertionError:
        return False
    return True


def _CHECKERS() -> dict[str, Callable[[Case, Gradients], bool]]:
    def asked(checker: str) -> Callable[[Case, Gradients], bool]:
        return lambda case, given: peers.accepts(checker, case, given)

    return {**{name: asked(name) for name in peers.CHECKERS}, _ALLCLOSE: _is_close}
