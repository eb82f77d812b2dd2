"""Cases for measuring: numbers picked by random bytes from tables of normal numbers."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np

from harness.batch import Batch, aligned, held_dtype
from harness.formats import format_of
from harness.network import Network

__all__ = ["draw"]

_TABLE = 256


def draw(network: Network, *, dtype: str, count: int, seed: int, number: int) -> Batch:
    """Batch ``number`` of a stream: ``count`` cases of one row, all layers with biases.

    The table holds normal quantiles, each moved at random between its neighbours, so that all bits
    of the significands are in use; it is drawn anew for each batch.
    """
    philox = np.random.Philox(key=[seed, number])
    rng = np.random.Generator(philox)
    places = (np.arange(_TABLE) + rng.random(_TABLE)) / _TABLE
    quantile = NormalDist().inv_cdf
    held = held_dtype(dtype)
    table = format_of(dtype).round([quantile(float(place)) for place in places]).astype(held)

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
