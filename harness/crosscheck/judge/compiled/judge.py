"""`FusedJudge`: the verdict AGREES for whole batches, at the speed of the frameworks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from crosscheck.judge.compare import Judge, StackJudge
from crosscheck.judge.compiled.passes import Pass, pass_over
from crosscheck.network.batch import Batch, arrays_of, chosen_gradients
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.tools.compiling import is_compiled

if TYPE_CHECKING:
    pass

__all__ = ["WITHOUT_NUMBA", "FusedJudge", "is_compiled", "pieces"]

WITHOUT_NUMBA = (
    "numba is not installed: cases and verdicts come from NumPy forms, which are the same and many "
    "times slower; pip install 'gradient-crosscheck[sweep]'"
)
"""What to tell the user where `is_compiled` is false."""

_CACHED = 65_536
"""Numbers in the cases that are enclosed together: what comes of them stays in memory for so long
as they are compared, several hundred bytes for each."""


class FusedJudge:
    """Compares gradients of a batch of cases, those of all frameworks in one pass.

    Its answers are those of `crosscheck.judge.compare.StackJudge`: what the compiled pass does not
    certify is put to that.

    Args:
        batch: The cases, as a batch or as a stack.
    """

    def __init__(self, batch: Batch | Case) -> None:
        self.batch = batch if isinstance(batch, Batch) else Batch.of(batch)
        self._judges: dict[int, Judge] = {}

    def judge(self, index: int) -> Judge:
        """The judge of case ``index``."""
        if index not in self._judges:
            self._judges[index] = Judge(self.batch.case([index])[0])
        return self._judges[index]

    def agreements(self, given: Gradients) -> tuple[Any, Array]:
        """As `StackJudge.agreements`; the numbers may be held as the batch's are.

        Returns:
            A bool array of shape (C,): which cases AGREE; and the largest error / bound of each
            case, float64 of the same shape, only meaningful where the first is true. It may be
            above the readable form's, by little: a bound that is certainly reached is used.
        """
        agrees, largest = self.all_agreements([given])
        return agrees[0], largest[0]

    def all_agreements(
        self,
        given: Sequence[Gradients],
        *,
        few: int = 0,
        out: tuple[Any, Array] | None = None,
    ) -> tuple[Any, Array]:
        """`agreements` of several frameworks' gradients, which costs little more than of one.

        Args:
            given: Of each framework.
            few: If no more than that many cases are left uncertified, they stay so: for callers
                who put them to `judge` anyway.
            out: Arrays for the result, in place of new ones.

        Returns:
            What `agreements` returns, of shape (F, C).
        """
        sound, largest = self.certified(given, out)
        open_ = np.flatnonzero(~sound.all(axis=0))
        fitting = (
            [each for each, one in enumerate(given) if self._pass.fits(arrays_of(one))]
            if len(open_)
            else []
        )
        for left in pieces(self.batch, open_) if len(open_) > few else ():
            judge = StackJudge(self.batch.case(left))
            for framework in fitting:
                rest = left[~sound[framework, left]]
                if not rest.size:
                    continue
                agrees, ratio = judge.agreements(chosen_gradients(given[framework], left))
                open_ = ~sound[framework, left]
                sound[framework, rest] = agrees[open_]
                largest[framework, rest] = ratio[open_]
        return sound, largest

    @in_ieee_arithmetic
    def certified(
        self, given: Sequence[Gradients], out: tuple[Any, Array] | None = None
    ) -> tuple[Any, Array]:
        """What the compiled pass alone can say.

        Args:
            given: Of each framework.
            out: Arrays for the result, in place of new ones.

        Returns:
            A bool array of shape (F, C), true where a framework's gradient certainly AGREES,
            and an upper bound on its largest error / bound where it does.
        """
        shape = len(given), self.batch.count
        sound, largest = out or (np.empty(shape, dtype=bool), np.empty(shape))
        rows = [arrays_of(gradients) for gradients in given]
        whole = [f for f, row in enumerate(rows) if self._pass.is_suitable and self._pass.fits(row)]
        if whole and len(whole) == len(given) and _can_be_written(sound, largest):
            self._pass.certify(rows, sound, largest)
            return sound, largest
        sound[:], largest[:] = False, 0.0
        if whole:
            found = np.empty((len(whole), shape[1]), dtype=bool), np.empty((len(whole), shape[1]))
            self._pass.certify([rows[f] for f in whole], *found)
            sound[whole], largest[whole] = found
        return sound, largest

    @cached_property
    def _pass(self) -> Pass:
        return pass_over(self.batch)


def _can_be_written(sound: Any, largest: Array) -> bool:
    """Whether the pass can: rows may be apart, numbers of a row may not."""
    step, size = sound.strides
    return size == 1 and largest.strides == (8 * step, 8)


def pieces(batch: Batch, chosen: Any) -> Iterator[Any]:
    """``chosen``, indices of cases, in pieces that `StackJudge` can hold in little memory."""
    step = max(16, _CACHED // sum(array[0].size for array in batch.arrays))
    for start in range(0, len(chosen), step):
        yield chosen[start : start + step]
