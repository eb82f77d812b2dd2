"""Places in an array, as `take` and `scatter` go by them: found out about once, and kept."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["Places"]


class Places(tuple[int, ...]):
    """Places in a flattened array, one after the other; -1 is none."""

    @cached_property
    def _hash(self) -> int:
        return super().__hash__()

    def __hash__(self) -> int:
        """As of the tuple, which would look at every place each time."""
        return self._hash

    @cached_property
    def array(self) -> NDArray[np.intp]:
        """As an array."""
        return np.array(self, dtype=np.intp)

    @cached_property
    def is_there(self) -> NDArray[np.bool_] | None:
        """Where there is a place; ``None`` if there is one everywhere."""
        found = self.array >= 0
        return None if found.all() else found

    @cached_property
    def _tables(self) -> dict[int, Places]:
        return {}

    def by_place(self, size: int) -> Places:
        """Which entries a `scatter` adds up at each place.

        Args:
            size: How many places there are.

        Returns:
            Numbers of entries, as many for each place one after the other, filled up with -1.
        """
        if size not in self._tables:
            entries = np.flatnonzero(self.array >= 0)
            entries = entries[np.argsort(self.array[entries], kind="stable")]
            places = self.array[entries]
            counts = np.bincount(places, minlength=size)
            first = np.concatenate([[0], np.cumsum(counts)[:-1]])
            table = np.full((size, max(int(counts.max(initial=0)), 1)), -1, dtype=np.intp)
            table[places, np.arange(len(places)) - first[places]] = entries
            self._tables[size] = Places(table.ravel().tolist())
        return self._tables[size]
