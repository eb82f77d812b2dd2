"""The arrays in which numbers are held."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "blocks", "condensed"]

Array = NDArray[np.float64]

_AT_ONCE = 2**14
"""So many numbers at once: a dozen arrays of them are held in a processor's second cache."""


def blocks(shape: tuple[int, ...], most: int = _AT_ONCE) -> Iterator[tuple[Any, ...]]:
    """Indices that cut arrays of a shape into parts, in order.

    A formula of many steps takes a large array's parts one after the other in a small part of the
    time: what it forms on the way is still in the cache when it is needed.

    Args:
        shape: Of the arrays.
        most: How many numbers a part has at most.
    """
    axis = next((k for k, size in enumerate(shape) if size > 1), 0)
    if math.prod(shape) <= most:
        yield (...,)
        return
    lead, rest = (slice(None),) * axis, math.prod(shape[axis + 1 :])
    step = max(1, most // rest)
    for start in range(0, shape[axis], step):
        here = (*lead, slice(start, start + step))
        if rest <= most:
            yield here
        else:
            yield from ((*here, *inner) for inner in blocks(shape[axis + 1 :], most))


def condensed(array: Any) -> Any:
    """An array, or the one number that it repeats, of shape ``()``."""
    if array.size and not any(array.strides):
        return array[(0,) * array.ndim]
    return array
