"""One compiled pass over eight cases: gradient, bound, and the comparison of every framework.

The formulas are those of `crosscheck.numbers.enclosure` for gradual underflow, written for one
network after the other on `Lanes`; `crosscheck.judge.compiled` derives what the pass leaves out
and why its answers are still those of `crosscheck.judge.stacks.StackJudge`.

Arrays are read as frameworks hold them, case after case, transposed in registers to one number
of eight cases, and everything between the parameters and the answers stays in the processor's
caches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crosscheck.judge.compiled.compare import spread, write_answers
from crosscheck.judge.compiled.functions import called, inlined
from crosscheck.judge.compiled.kernel_backward import FEW, backward
from crosscheck.judge.compiled.kernel_forward import forward, loss
from crosscheck.judge.compiled.lanes import WIDTH, splat, where
from crosscheck.judge.compiled.memory import aligned_stack, load, store, whole
from crosscheck.judge.compiled.records import Answers, Cases, Form, Room, Shape, Watch, place_of
from crosscheck.judge.compiled.rules import left_open, nothing_seen
from crosscheck.tools.compiling import kept

__all__ = ["judge_group", "lanes_of_group", "pass_over_groups"]


def lanes_of_group(numbers: int, units: int, shape: Shape, frameworks: int) -> tuple[int, ...]:
    """How many `Lanes` the parts of a `Room` take, for `judge_group`.

    Args:
        numbers: Of one case.
        units: Of all layers, of all rows.
        shape: What all cases have in common.
        frameworks: F.
    """
    cotangents, grids = 4 * shape.widest, 3 * shape.depth + 3
    table = 4 * (shape.widest + FEW)
    return numbers, 4 * units, cotangents, cotangents, frameworks, grids, table


@inlined
def _begun(cases: Cases) -> Watch:
    """Read the parameters of eight cases, and begin with nothing known of them."""
    shape, room = cases.shape, cases.room
    for k in range(2 * shape.depth + 2):
        size = whole(shape.sizes, k)
        if size:
            at = whole(shape.starts, k)
            spread(cases.tag, place_of(cases, 0, k), size, cases.apart, room.parameters, at)
    for f in range(cases.answers.frameworks):
        store(room.worst, f, splat(0.0))
    for k in range(3 * shape.depth + 3):
        store(room.grids, k, splat(0.0))
    return nothing_seen()


@called
def judge_group(cases: Cases) -> None:
    """Judge eight cases."""
    aligned_stack()
    watch = _begun(cases)
    watch = forward(cases, watch)
    watch, coarse = loss(cases, watch)
    watch = backward(cases, coarse, watch)
    open_ = left_open(watch, cases.form)
    worst, infinite = cases.room.worst, splat(float("inf"))
    for f in range(cases.answers.frameworks):
        ratio = load(worst, f)
        store(worst, f, where(open_ | ~(ratio <= splat(1.0)), infinite, ratio))
    write_answers(worst, cases.first, cases.apart, cases.answers)


def pass_over_groups(digest: str, dtype: str) -> Callable[..., None]:
    """`judge_group` for all cases, as a function that numba keeps on disk once compiled.

    Args:
        digest: Of all the source that is compiled. numba's key to what it has kept is the source
            of one file, and whatever the function refers to outside of itself: so this.
        dtype: Names the type of the arrays and of the reference.
    """

    @kept(dtype)
    def judge_all(
        count: int,
        apart: int,
        tag: Any,
        addresses: int,
        shape: Any,
        form: Any,
        room: Any,
        answers: Any,
    ) -> None:
        if len(digest) == 0:
            return
        aligned_stack()
        for group in range((count + WIDTH - 1) // WIDTH):
            # Without a distance the last group may overlap the one before.
            first = min(WIDTH * group, count - WIDTH)
            if apart > 1:
                first = group // apart * apart * WIDTH + group % apart
            records = Shape(*shape), Form(*form), Room(*room), Answers(*answers)
            judge_group(Cases(tag, addresses, first, apart, *records))

    return judge_all
