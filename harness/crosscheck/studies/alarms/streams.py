"""The cases that right gradients are computed of: the sweep's generator, in a few shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crosscheck.cases.stream.families import Mix
from crosscheck.cases.stream.generate import slices
from crosscheck.cases.stream.settings import BLOCK, Shape
from crosscheck.network.batch import Batch
from crosscheck.network.dense import Network
from crosscheck.numbers.formats import format_of

__all__ = ["MIX", "SEED", "STREAMS", "Stream", "batches", "chosen"]

SEED = 14

MIX = Mix(
    (
        ("uniform", 4.0),
        ("gaussian", 1.0),
        ("wide", 4.0),
        ("dyadic", 4.0),
        ("cancelling", 2.0),
        ("kinks", 2.0**-4),
        ("undecided", 2.0**-5),
        ("special", 2.0**-5),
    )
)
"""As in a sweep, with more at the boundary: one case in 120 is made to have a kink, a sum that
cancels up to its last bit, or NaN and infinities."""


@dataclass(frozen=True)
class Stream:
    """Cases of one shape.

    Attributes:
        widths: Of the network.
        rows: Of each batch.
        output: As in `Network`.
        reduction: As in `Network`.
        without_bias: Layers, from 1, that have none.
        cases: How many, for each implementation and dtype, if it is vectorised,
        narrow: in narrower formats than float32, where many gates cost exact arithmetic,
        singly: and if it is not vectorised.
    """

    widths: tuple[int, ...]
    rows: int
    output: Any
    reduction: Any
    without_bias: tuple[int, ...] = ()
    cases: int = BLOCK
    narrow: int = BLOCK // 16
    singly: int = 100

    @property
    def name(self) -> str:
        """For records."""
        bare = f", no bias in {self.without_bias}" if self.without_bias else ""
        return f"{self.widths}, {self.rows} rows, {self.output}, {self.reduction}{bare}"

    def count(self, dtype: str, is_vectorised: bool) -> int:
        """How many cases an implementation is put to."""
        if not is_vectorised:
            return self.singly
        return self.narrow if format_of(dtype).precision < 24 else self.cases

    def shape(self, dtype: str) -> Shape:
        """As sweeps have it."""
        return Shape(Network(self.widths, self.output, self.reduction), self.rows, dtype)


STREAMS = (
    Stream((4, 8, 1), 1, "relu", "sum", cases=4 * BLOCK, narrow=4 * BLOCK, singly=550),
    Stream((1, 1, 1), 2, "relu", "sum", cases=2 * BLOCK, narrow=2 * BLOCK),
    Stream((3, 5, 4, 2), 3, "identity", "mean", singly=200),
    Stream((2, 3, 2), 6, "relu", "mean", singly=150),
    Stream((3, 4, 4, 1), 2, "relu", "sum", (1, 2), BLOCK // 32, BLOCK // 128, 50),
    Stream((17, 33, 3), 2, "identity", "sum", (), BLOCK // 8, BLOCK // 256, 8),
    Stream((130, 9, 2), 9, "relu", "mean", (), BLOCK // 16, BLOCK // 512, 2),
)
"""For blocks of 16 and 128, and eight lanes, two with sums of more terms than that."""


def batches(stream: Stream, dtype: str, count: int) -> Iterator[Batch]:
    """The first ``count`` cases of a stream, in memory that is used again for the next."""
    shape = stream.shape(dtype)
    for number in range(-(-count // BLOCK)):
        for made in slices(shape, SEED, number, MIX, min(shape.batch, BLOCK)):
            left = count - number * BLOCK - made.first
            if left <= 0:
                break
            batch = made.batch if left >= made.batch.count else chosen(made.batch, slice(0, left))
            bare = (
                None if layer in stream.without_bias else bias
                for layer, bias in enumerate(batch.biases, start=1)
            )
            yield replace(batch, biases=tuple(bare))


def chosen(batch: Batch, which: Any) -> Batch:
    """Some cases of a batch."""
    return batch.map(lambda array: np.ascontiguousarray(array[which]))
