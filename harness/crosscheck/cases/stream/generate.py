"""The counter-based generator: case number i of a stream, on its own, anywhere.

A stream is named by a seed and a shape. Its numbers come from Philox 4x64 (Salmon, Moraes, Dror
and Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC 2011), whose output is a function of a
key and a counter: here the key is (seed, shape), and the counter is made of the number of a block
of `crosscheck.cases.stream.settings.BLOCK` cases and of what is drawn. Nothing is passed on from
one block to the next, so each can be made on its own.

The raw words of Philox are all that is used, with additions, multiplications and roundings that
IEEE 754 fixes to the last bit, each sum in an order of its own. So the same number is the same
case on every processor and under every version of NumPy.

Most numbers are picked by one random byte out of a table of 256 values; the tables are drawn
anew for each block. This costs a quarter of drawing each number by itself.

`crosscheck.cases.stream.readable` says with NumPy what the cases are. Where numba is installed the
same ones come from `crosscheck.cases.stream.compiled`, several times as fast.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.cases.stream.families import FAMILIES, Mix
from crosscheck.cases.stream.layout import layout_of
from crosscheck.cases.stream.memory import idle
from crosscheck.cases.stream.readable import make
from crosscheck.cases.stream.settings import BLOCK, Shape
from crosscheck.network.batch import Batch, address, held_dtype
from crosscheck.network.dense import Case
from crosscheck.numbers.formats import COARSE, format_of
from crosscheck.tools.compiling import is_compiled
from crosscheck.tools.errors import UsageError

if TYPE_CHECKING:
    from crosscheck.cases.stream.compiled import Maker

__all__ = ["Block", "block", "case", "slices"]


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive cases of a stream.

    Attributes:
        batch: The cases, as frameworks take them.
        families: Number of each case's family, its position in `FAMILIES`, int8.
        first: Position of the first of them in the stream's block.
    """

    batch: Batch
    families: NDArray[np.int8]
    first: int = 0

    @property
    def stack(self) -> Case:
        """The cases as float64 arrays, made anew each time."""
        return self.batch.case()

    def case(self, position: int) -> Case:
        """One of the cases."""
        return self.batch.case([position])[0]


def case(shape: Shape, seed: int, index: int, mix: Mix) -> tuple[Case, str]:
    """Case number ``index`` of a stream, and its family."""
    number, position = divmod(index, BLOCK)
    # By the readable form, which is there at once: numba takes longer to load than a block.
    made = Block(*make(shape, seed, number, mix))
    return made.case(position), list(FAMILIES)[made.families[position]]


def block(shape: Shape, seed: int, number: int, mix: Mix) -> Block:
    """Block ``number`` of a stream: cases ``number · BLOCK`` to ``(number + 1) · BLOCK - 1``.

    It is in memory of its own.

    Args:
        shape: Of the cases.
        seed: 0 … 2⁶⁴ − 1.
        number: From 0.
        mix: The families and their shares.
    """
    if not _can_compile(shape):
        return Block(*make(shape, seed, number, mix))
    batch, arrays = layout_of(shape).empty(shape, BLOCK)
    (made,) = _compiled_slices(_Memory(batch, arrays), shape, seed, number, mix)
    return made


def slices(
    shape: Shape, seed: int, number: int, mix: Mix, size: int
) -> Generator[Block, None, None]:
    """The cases of a block, ``size`` at a time, in memory that is used again and again.

    A slice is valid until the next one is asked for, and the last one until the iterator is asked
    for one more: then other cases are written over it. Two iterators that are in use at the same
    time do not share memory; one that comes after another in the same thread works in the
    memory of that, without touching new pages.

    Args:
        shape: Of the cases.
        seed: 0 … 2⁶⁴ − 1.
        number: Of the block, from 0.
        mix: The families and their shares.
        size: A power of two, `crosscheck.cases.stream.settings.BLOCK` at the most.

    Raises:
        UsageError: ``size`` is something else.
    """
    if size not in _SIZES:
        raise UsageError(f"size={size!r}: wanted a power of two, {BLOCK} at the most")
    return _slices(shape, seed, number, mix, size)


_SIZES = frozenset(2**k for k in range(BLOCK.bit_length()) if BLOCK % 2**k == 0)


def _slices(
    shape: Shape, seed: int, number: int, mix: Mix, size: int
) -> Generator[Block, None, None]:
    free: list[_Memory] = idle("memory", (shape, size))
    memory = free.pop() if free else _Memory(*layout_of(shape).empty(shape, size))
    try:
        make_slices = _compiled_slices if _can_compile(shape) else _copied_slices
        yield from make_slices(memory, shape, seed, number, mix)
    finally:
        free.append(memory)


def _can_compile(shape: Shape) -> bool:
    """Whether the compiled form is there, and rounds as the format does.

    Not coarse ones, nor such as are held in float64 without being that.
    """
    form = format_of(shape.dtype)
    is_held = shape.dtype == "float64" or held_dtype(shape.dtype) == np.float32
    return is_compiled() and is_held and form.has_infinity and form.precision >= COARSE


class _Memory:
    """What slices are written to.

    Args:
        batch: In the form of frameworks.
        arrays: The same memory, in the order of the layout.
    """

    def __init__(self, batch: Batch, arrays: list[Any]) -> None:
        self.batch, self.arrays = batch, arrays
        self.addresses = np.array([address(array) for array in arrays])


def _compiled_slices(
    memory: _Memory, shape: Shape, seed: int, number: int, mix: Mix
) -> Iterator[Block]:
    from crosscheck.cases.stream.compiled import Maker

    free: list[Maker] = idle("maker", shape)
    maker = free.pop() if free else Maker(shape)
    try:
        families = maker.begin(seed, number, mix)
        size = memory.batch.count
        for first in range(0, BLOCK, size):
            maker.fill(memory.batch, memory.addresses)
            yield Block(memory.batch, families[first : first + size], first)
    finally:
        free.append(maker)


def _copied_slices(
    memory: _Memory, shape: Shape, seed: int, number: int, mix: Mix
) -> Iterator[Block]:
    batch, families = make(shape, seed, number, mix)
    layers = zip(batch.weights, batch.biases, strict=True)
    sources = [*(array for layer in layers for array in layer), batch.x, batch.y]
    size = memory.batch.count
    for first in range(0, BLOCK, size):
        for source, array in zip(sources, memory.arrays, strict=True):
            array[...] = source[first : first + size].reshape(size, -1)
        yield Block(memory.batch, families[first : first + size], first)
