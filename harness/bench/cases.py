"""Cases for measuring: numbers picked by random bytes from tables of normal numbers."""

from __future__ import annotations

from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np

from harness.batch import Batch, aligned, held_dtype
from harness.formats import format_of
from harness.network import Network

__all__ = ["draw"]

_TABLE, _CHOICES = 256, 64


@cache
def _quantiles() -> Any:
    """Normal quantiles in the middles of 256 · 64 equal parts, ascending."""
    count = _TABLE * _CHOICES
    quantile = NormalDist().inv_cdf
    values = [quantile((place + 0.5) / count) for place in range(count)]
    return np.array(values).reshape(_TABLE, _CHOICES)


def draw(network: Network, *, dtype: str, count: int, seed: int, number: int) -> Batch:
    """Batch ``number`` of a stream: ``count`` cases of one row, all layers with biases.

    The table, drawn anew for each batch, holds one of 64 normal quantiles for each 256th of all
    numbers, so that the significands use all their bits.
    """
    philox = np.random.Philox(key=[seed, number])
    choice = philox.random_raw(_TABLE) % np.uint64(_CHOICES)
    held = held_dtype(dtype)
    chosen = _quantiles()[np.arange(_TABLE), choice.astype(np.int64)]
    table = format_of(dtype).round(chosen).astype(held)

    def pick(*shape: int) -> Any:
        array = aligned((count, *shape), held)
        size = array.size
        words = philox.random_raw(-(-size // 8))
        np.take(table, words.view(np.uint8)[:size].reshape(array.shape), out=array, mode="clip")
        return array

    widths = network.widths
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    return Batch(
        network,
        tuple(pick(*pair) for pair in pairs),
        tuple(pick(units) for units, _ in pairs),
        pick(1, widths[0]),
        pick(1, widths[-1]),
        dtype,
    )
