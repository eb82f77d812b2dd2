"""`FusedJudge`: the verdict AGREES for whole batches, at the speed of the frameworks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from crosscheck.judge.compiled.passes import Pass, arrays_of, pass_over
from crosscheck.network.batch import Batch
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.tools.compiling import is_compiled
from crosscheck.tools.installing import installation

__all__ = ["WITHOUT_NUMBA", "FusedJudge", "is_compiled"]

WITHOUT_NUMBA = (
    "numba is not installed: cases and verdicts come from NumPy forms, which are the same and many "
    f"times slower; {installation('sweep')}"
)
"""What to tell the user where `is_compiled` is false."""


class FusedJudge:
    """Compares gradients of a batch of cases, those of all frameworks in one pass.

    Where it says that a gradient AGREES, `crosscheck.judge.stacks.StackJudge` says so too; of
    everything else it says nothing.

    Args:
        batch: The cases, as a batch or as a stack.
    """

    def __init__(self, batch: Batch | Case) -> None:
        self.batch = batch if isinstance(batch, Batch) else Batch.of(batch)

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
