"""The cases of a sweep, in batches of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from crosscheck.cases.stream.families import DEFAULT_MIX
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import BLOCK, Shape
from crosscheck.network.batch import Batch, aligned

__all__ = ["batches"]


def batches(shape: Shape, size: int, seed: int, numbers: Iterable[int]) -> Iterator[Batch]:
    """Blocks of a stream, cut or joined to batches of ``size`` cases.

    Args:
        shape: Of the cases.
        size: Cases in a batch. What is left of a block that it does not divide is dropped.
        seed: Of the stream.
        numbers: Of the blocks, in the order in which they are made.
    """
    blocks = (block(shape, seed, number, DEFAULT_MIX).batch for number in numbers)
    for first in blocks:
        if size <= BLOCK:
            for start in range(0, BLOCK - size + 1, size):
                yield _of([first], partial(_cut, start=start, size=size))
            continue
        parts = [first, *(next(blocks) for _ in range(-(-size // BLOCK) - 1))]
        yield _of(parts, partial(_joined, size=size))


def _of(parts: list[Batch], make: Callable[[list[Any]], Any]) -> Batch:
    first = parts[0]
    return first.map(lambda *arrays: make(list(arrays)), *parts[1:])


def _cut(arrays: list[Any], start: int, size: int) -> Any:
    return arrays[0][start : start + size]


def _joined(arrays: list[Any], size: int) -> Any:
    joined = aligned((len(arrays) * BLOCK, *arrays[0].shape[1:]), arrays[0].dtype)
    np.concatenate(arrays, out=joined)
    return joined[:size]
