"""Hill climbing with a population: each try reads its operands and its dice from a row of bits.

A try that reads k numbers is a row of k words. Of all rows at once some words are changed, and a
row is kept where error / bound has not become smaller. Now and then the rows that are furthest
behind go on from where the foremost are.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.arrays import Array
from crosscheck.program.graph import Shape

__all__ = ["Bits", "Genes", "climb"]

Bits = NDArray[np.uint64]

_MOST_CHANGES = 4

_TOGETHER, _SHARE = 4, 4
"""Every fourth time the last quarter of the rows is replaced by the first."""


class Genes:
    """The words of a population, handed out from the first on.

    Attributes:
        count: P, the number of tries.
        words: (P, n) of them.
    """

    def __init__(self, rng: np.random.Generator, count: int, words: Bits | None = None) -> None:
        self.rng, self.count, self._at = rng, count, 0
        self.words = np.empty((count, 0), np.uint64) if words is None else words

    def bits(self, shape: Shape = ()) -> Bits:
        """The next words, of shape (P, *shape); new ones where there are none yet."""
        more = math.prod(shape)
        missing = self._at + more - self.words.shape[1]
        if missing > 0:
            self.words = np.concatenate([self.words, self._new((self.count, missing))], axis=1)
        found = self.words[:, self._at : self._at + more]
        self._at += more
        return found.reshape(self.count, *shape)

    def below(self, number: int, shape: Shape = ()) -> NDArray[np.int64]:
        """Whole numbers below one, (P, *shape)."""
        return (self.bits(shape) % np.uint64(number)).astype(np.int64)

    def share(self, shape: Shape = ()) -> Array:
        """Numbers in [0, 1], (P, *shape), both ends included; a third of them is an end."""
        bits = self.bits(shape)
        inner = (bits >> np.uint64(32)).astype(np.float64) / (2.0**32 - 1.0)
        kind = bits % np.uint64(6)
        return np.where(kind == 0, 0.0, np.where(kind == 1, 1.0, inner))

    def changed(self) -> Genes:
        """Some words of each row replaced, moved by one, or with a bit turned."""
        rng, (rows, length) = self.rng, self.words.shape
        words = self.words.copy()
        for _ in range(min(_MOST_CHANGES, length)):
            chosen = np.flatnonzero(rng.random(rows) < 0.6)
            at = rng.integers(0, length, len(chosen))
            old = words[chosen, at]
            turned = old ^ (np.uint64(1) << rng.integers(0, 64, len(chosen)).astype(np.uint64))
            kind = rng.integers(0, 4, len(chosen))
            one = np.uint64(1)
            words[chosen, at] = np.choose(
                kind, [old + one, old - one, turned, self._new((len(chosen),))]
            )
        return Genes(rng, self.count, words)

    def _new(self, shape: Shape) -> Bits:
        return self.rng.integers(0, 2**64, shape, dtype=np.uint64)


def climb(
    attempt: Callable[[Genes], Array], rng: np.random.Generator, *, count: int, steps: int
) -> float:
    """The largest error / bound that a population finds.

    Args:
        attempt: The error / bound of each try, (P,), from its words.
        rng: What words are changed with.
        count: P.
        steps: How often all rows are tried.
    """
    genes = Genes(rng, count)
    best = attempt(genes)
    for step in range(1, steps):
        moved = genes.changed()
        found = attempt(moved)
        better = found >= best
        best = np.where(better, found, best)
        words = np.where(better[:, None], moved.words, genes.words)
        if step % _TOGETHER == 0:
            order, some = np.argsort(-best, kind="stable"), count // _SHARE
            first, last = order[:some], order[count - some :]
            words[last], best[last] = words[first], best[first]
        genes = Genes(rng, count, words)
    return float(best.max())
