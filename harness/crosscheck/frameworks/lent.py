"""Copies of some cases of a batch, by which a change of arrays that were lent is seen."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from crosscheck.frameworks.refusals import ChangedError
from crosscheck.network.batch import Batch

__all__ = ["SHARE", "Sample", "require_same"]

SHARE = 64
"""Of a batch on the fast road, the arrays of one case in so many are looked at afterwards."""

_turn = itertools.count()


class Sample:
    """Copies of some cases of a batch, in memory that is kept from batch to batch.

    Small arrays that come and go between large ones have the C library hand out new pages for
    those, which costs ten times what is done here.

    Args:
        batch: Of the shape of those that it is for.
        arrays: Of such a batch, in any dtype.

    Attributes:
        cases: Which cases are in it.
    """

    cases: slice
    _kept = threading.local()

    def __init__(self, batch: Batch, arrays: Sequence[Any]) -> None:
        self._count = max(1, batch.count // SHARE)
        self._names = batch.names
        self._copies = [
            np.empty((self._count, *array.shape[1:]), np.dtype(f"u{array.itemsize}"))
            for array in arrays
        ]
        self._same = [np.empty(copy.shape, dtype=bool) for copy in self._copies]
        self._parts: list[Any] = []

    @classmethod
    def of(cls, batch: Batch, arrays: Sequence[Any]) -> Sample:
        """Take one, of other cases each time.

        Args:
            batch: The cases.
            arrays: Where they are, in the order of its entries.
        """
        kept: dict[Any, Sample] = vars(cls._kept).setdefault("samples", {})
        key = batch.network, batch.rows, batch.count, batch.dtype, *map(_itemsize, arrays)
        sample = kept.get(key)
        if sample is None:
            if len(kept) > 16:
                kept.clear()
            sample = kept[key] = cls(batch, arrays)
        last = (sample._count - 1) * SHARE + 1
        first = next(_turn) % (batch.count - last + 1)
        sample.cases = slice(first, first + last, SHARE)
        sample._parts = [
            array[sample.cases].view(copy.dtype)
            for array, copy in zip(arrays, sample._copies, strict=True)
        ]
        for part, copy in zip(sample._parts, sample._copies, strict=True):
            np.copyto(copy, part)
        return sample

    def changed(self) -> list[str]:
        """The names of arrays that are not what they were, bit for bit; then it is done with."""
        found = []
        for name, part, copy, same in zip(
            self._names, self._parts, self._copies, self._same, strict=True
        ):
            if not np.equal(part, copy, out=same).all():
                found.append(name)
        self._parts = []
        return found


def _itemsize(array: Any) -> int:
    return int(array.itemsize)


def require_same(held: Iterable[tuple[str, Any]], wanted: Iterable[Any]) -> None:
    """Raise `ChangedError` where arrays are not what they were.

    Args:
        held: Names, and arrays that somebody may have written into.
        wanted: Their copies.
    """
    names = [
        name for (name, array), copy in zip(held, wanted, strict=True) if _differs(array, copy)
    ]
    if names:
        raise ChangedError(names)


def _differs(array: Any, wanted: Any) -> bool:
    """Whether any bit does, the signs of zeros and what is in a NaN included."""
    if array.shape != wanted.shape or array.dtype != wanted.dtype:
        return True
    bits = np.dtype(f"u{wanted.itemsize}")
    return not np.array_equal(array.view(bits), wanted.view(bits))
