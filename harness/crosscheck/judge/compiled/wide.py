"""One compiled pass over one case of a wide network: gradient, bound, and comparison.

What `crosscheck.judge.compiled.kernel` does for eight cases side by side, with eight units of one
case side by side instead, for networks of one row. Parameters are read as they lie in memory,
nothing is transposed, and all that is known of a case stays in the processor's fastest cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crosscheck.judge.compiled.compare import write_answer
from crosscheck.judge.compiled.functions import called
from crosscheck.judge.compiled.lanes import WIDTH, any_lane, lane, splat
from crosscheck.judge.compiled.memory import aligned_stack, load, store
from crosscheck.judge.compiled.records import Answers, Cases, Form, Room, Shape
from crosscheck.judge.compiled.rows import ROWS_TABLE
from crosscheck.judge.compiled.rules import left_open, nothing_seen
from crosscheck.judge.compiled.wide_backward import backward
from crosscheck.judge.compiled.wide_forward import forward, loss
from crosscheck.tools.compiling import kept

__all__ = ["judge_case", "lanes_of_case", "pass_over_cases"]


def lanes_of_case(units: int, shape: Shape, frameworks: int) -> tuple[int, ...]:
    """How many `Lanes` the parts of a `Room` take, for `judge_case`.

    Args:
        units: `Lanes` of the units of all layers.
        shape: What all cases have in common.
        frameworks: F.
    """
    cotangents, grids = 4 * shape.widest, 3 * shape.depth + 3
    table = ROWS_TABLE + 2 * shape.widest + -(-frameworks // WIDTH)
    return 0, 4 * units, cotangents, cotangents, frameworks, grids, table


@called
def judge_case(cases: Cases) -> None:
    """Judge one case of one row."""
    aligned_stack()
    shape, room, answers = cases.shape, cases.room, cases.answers
    for f in range(answers.frameworks):
        store(room.worst, f, splat(0.0))
    for k in range(3 * shape.depth + 3):
        store(room.grids, k, splat(0.0))
    watch = forward(cases, nothing_seen())
    watch, coarse = loss(cases, watch)
    watch = backward(cases, coarse, watch)
    is_open = any_lane(left_open(watch, cases.form))
    for f in range(answers.frameworks):
        ratio = lane(load(room.worst, f), 0)
        if is_open or not ratio <= 1.0:
            ratio = np.inf
        write_answer(ratio, f, cases.first, answers)


def pass_over_cases(digest: str, dtype: str) -> Callable[..., None]:
    """`judge_case` for all cases, as a function that numba keeps on disk once compiled.

    Args:
        digest: See `crosscheck.judge.compiled.kernel.pass_over_groups`.
        dtype: See `crosscheck.judge.compiled.kernel.pass_over_groups`.
    """

    @kept(dtype)
    def judge_each(
        count: int, tag: Any, addresses: int, shape: Any, form: Any, room: Any, answers: Any
    ) -> None:
        if len(digest) == 0:
            return
        aligned_stack()
        for case in range(count):
            records = Shape(*shape), Form(*form), Room(*room), Answers(*answers)
            judge_case(Cases(tag, addresses, case, 1, *records))

    return judge_each
