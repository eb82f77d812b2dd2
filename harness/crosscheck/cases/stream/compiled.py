"""The generator in its compiled form, and the memory that it works in."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from crosscheck.cases.stream.draw import SPECIALS, Draw, quantiles
from crosscheck.cases.stream.families import Mix
from crosscheck.cases.stream.layout import (
    NUMBER,
    TABLE,
    largest_whole,
    layout_of,
    lowest_binade,
    spread,
    table_count,
)
from crosscheck.cases.stream.readable import cancelling_factors, specialise
from crosscheck.cases.stream.settings import BLOCK, Shape
from crosscheck.network.batch import Batch, address, aligned, held_dtype
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.tools.compiling import digest

__all__ = ["Maker"]

_SOURCES = ("draw.py", "families.py", "kernel.py", "layout.py", "steps.py", "words.py")


@cache
def _compiled(dtype: str) -> tuple[Callable[..., None], Callable[..., None]]:
    from crosscheck.cases.stream.kernel import passes

    return passes(digest("crosscheck.cases.stream", _SOURCES), dtype)


class Maker:
    """Makes blocks of one shape, one at a time and from its first case to its last.

    What it needs in between lies in memory that is kept from block to block. It is not for two
    threads at once.

    Args:
        shape: Of the cases.
    """

    def __init__(self, shape: Shape) -> None:
        from crosscheck.cases.stream.kernel import STATE, WAITING
        from crosscheck.cases.stream.words import GROUP

        self.shape = shape
        self._layout, self._form = layout_of(shape), format_of(shape.dtype)
        held = held_dtype(shape.dtype)
        self._dtype: str = held.name
        widths = shape.network.widths
        # A case's words begin within a counter's four, and are drawn in whole groups.
        needed = [shape.numbers // 8, shape.numbers, widths[1] // 8]
        rooms = [max(WAITING, -(-(words + 8) // GROUP) * GROUP) for words in needed]
        self._waiting = [aligned((room,), np.uint64) for room in rooms]
        self._scratch = aligned((max(5 * TABLE, BLOCK // 8),), np.uint64)
        self._tables = aligned((table_count(shape), TABLE), held)
        self._key = np.array([0, shape.key, 0, 0], dtype=np.uint64)
        self._state = np.zeros(STATE, dtype=np.int64)
        self._families = np.empty(0, dtype=np.int8)
        self._choices = np.empty(BLOCK, dtype=np.int8)
        self._special = np.empty(0, dtype=np.int64)
        self._words = np.empty((0, 4), dtype=np.uint64)
        self._tag = held.type(0)
        self._format = (
            self._form.precision,
            self._form.smallest_subnormal,
            self._form.largest,
            shape.numbers,
        )
        # In the order of the arguments of `fill`.
        self._arrays = (
            address(self._tables) + self._layout.tables * TABLE * held.itemsize,
            self._layout.sizes,
        )
        places = zip(self._state, self._waiting, rooms, strict=True)
        streams = [(address(state), address(words), room) for state, words, room in places]
        self._factors = cancelling_factors(self._form)
        self._kept = (
            *(number for stream in streams for number in stream),
            address(quantiles()),
            address(self._factors),
            held.itemsize,
            *self._format,
            widths[0],
            widths[1],
        )
        self._at = 0

    @in_ieee_arithmetic
    def begin(self, seed: int, number: int, mix: Mix) -> NDArray[np.int8]:
        """Start with a block; see `crosscheck.cases.stream.generate.block`.

        Returns:
            The number of each case's family.
        """
        begin, _ = _compiled(self._dtype)
        shape, widths = self.shape, self.shape.network.widths
        self._key[0], self._key[2], self._key[3] = seed, number, number * BLOCK
        self._families, self._at = np.empty(BLOCK, dtype=np.int8), 0
        begin(
            self._tag,
            self._key,
            self._state,
            *mix.parts(),
            *mix.pattern(BLOCK),
            self._families,
            self._choices,
            address(self._tables),
            address(self._scratch),
            shape.network.depth,
            spread(shape, self._form),
            largest_whole(self._form),
            lowest_binade(self._form),
            *self._format,
            widths[1],
        )
        self._special = np.flatnonzero(self._families == NUMBER["special"])
        if len(self._special):
            words = Draw(shape, seed, number).words(SPECIALS, 4 * len(self._special))
            self._words = words.reshape(-1, 4)
        return self._families

    @in_ieee_arithmetic
    def fill(self, batch: Batch, addresses: NDArray[np.int64]) -> None:
        """Make the next cases of the block.

        Args:
            batch: What they are written to: as many as it holds, no more than are left.
            addresses: Of its arrays, in the order of the layout.
        """
        _, fill = _compiled(self._dtype)
        first = self._at
        self._at += batch.count
        fill(
            self._tag,
            self._key,
            self._families,
            self._choices,
            *self._arrays,
            addresses,
            batch.count,
            *self._kept,
        )
        if len(self._special):
            here = (self._special >= first) & (self._special < self._at)
            specialise(batch, self._special[here] - first, self._words[here], self._form)
