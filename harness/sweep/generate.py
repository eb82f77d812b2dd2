"""The counter-based generator: case number i of a stream, on its own, anywhere.

A stream is named by a seed and a shape. Its numbers come from Philox 4x64 (Salmon, Moraes, Dror
and Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC 2011), whose output is a function of a
key and a counter: here the key is (seed, shape), and the counter is made of the number of a block
of `harness.sweep.settings.BLOCK` cases and of what is drawn. Nothing is passed on from one block to
the next, so each can be made on its own.

The raw words of Philox are all that is used, with additions, multiplications and roundings that
IEEE 754 fixes to the last bit, each sum in an order of its own. So the same number is the same
case on every processor and under every version of NumPy.

Most numbers are picked by one random byte out of a table of 256 values; the tables are drawn
anew for each block. This costs a quarter of drawing each number by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.batch import Batch, aligned, held_dtype, widened
from harness.formats import Format, format_of
from harness.network import Array, Case, Network
from harness.sweep.draw import (
    BYTES,
    EXPONENTS,
    SIGNS,
    SPECIALS,
    TABLES,
    Draw,
    normals,
    rounded,
    significands,
    trailing_zeros,
)
from harness.sweep.families import FAMILIES, Mix
from harness.sweep.settings import BLOCK, Shape

__all__ = ["Block", "block", "case"]

_NUMBER = {name: number for number, name in enumerate(FAMILIES)}
_TABLE = 256
_CACHED = 8192  # numbers: 64 KiB of them, and as much of offsets
_LOWEST_BINADE = 8  # of uniform numbers; a power of two that float16 does not have to flush


@dataclass(frozen=True, eq=False)
class Block:
    """Consecutive cases of a stream.

    Attributes:
        batch: The cases, as frameworks take them.
        families: Number of each case's family, its position in `FAMILIES`.
    """

    batch: Batch
    families: NDArray[np.int64]

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
    made = block(shape, seed, number, mix)
    return made.case(position), list(FAMILIES)[made.families[position]]


def block(shape: Shape, seed: int, number: int, mix: Mix) -> Block:
    """Block ``number`` of a stream: cases ``number · BLOCK`` to ``(number + 1) · BLOCK - 1``.

    Args:
        shape: Of the cases.
        seed: 0 … 2⁶⁴ − 1.
        number: From 0.
        mix: The families and their shares.
    """
    draw = Draw(shape, seed, number)
    families = mix.families(number * BLOCK, BLOCK)
    layout = _layout(shape)
    # Rounded to the format already, so that nothing is lost.
    values = _tables(shape, draw).reshape(-1).astype(held_dtype(shape.dtype))
    # The second half of the rows of `offsets` is for cases with a positive last layer: without
    # them the output unit, and with it the whole gradient, would be zero in half of all cases.
    positive = draw.raw_bytes(SIGNS, BLOCK) % 2 == 1
    choices = families + len(FAMILIES) * positive
    random = draw.raw_bytes(BYTES, BLOCK * shape.numbers).reshape(BLOCK, -1)
    form = format_of(shape.dtype)
    batch, arrays = layout.empty(shape)
    # A slice at a time stays in the processor's cache on its way through.
    step = max(1, _CACHED // shape.numbers)
    for start in range(0, BLOCK, step):
        picked = layout.offsets.take(choices[start : start + step], axis=0)
        picked += random[start : start + step]
        numbers = values.take(picked)
        for (first, last), array in zip(layout.pieces.values(), arrays, strict=True):
            array[start : start + step] = numbers[:, first:last]
    rows = np.flatnonzero(families == _NUMBER["gaussian"])
    if len(rows):
        numbers = normals(draw, len(rows) * shape.numbers, form).reshape(len(rows), -1)
        for first, last in layout.last_layer:
            part = numbers[:, first:last]
            np.abs(part, out=part, where=positive[rows, None])
        for (first, last), array in zip(layout.pieces.values(), arrays, strict=True):
            array[rows] = numbers[:, first:last]
    _cancel(batch, families, draw, form)
    _specialise(batch, families, draw, form)
    return Block(batch, families)


# -- the tables ------------------------------------------------------------------------------------


def _largest_whole(form: Format) -> int:
    """Whole numbers go up to this in magnitude: few bits are filled quickly by products."""
    return 4 if form.precision >= 24 else 1


def _spread(shape: Shape, form: Format) -> int:
    """Exponents of the wide family go from minus this to this.

    With L layers, products of up to L + 1 numbers are squared in the loss: 2 (L + 1) factors, whose
    exponents, with some room for sums, stay within the format's.
    """
    return max(1, min(60, form.emax // (3 * (shape.network.depth + 1))))


def _tables(shape: Shape, draw: Draw) -> Array:
    """One row of 256 values for each use, as `_Layout` numbers them.

    Rows: uniform and its magnitudes, wide and its magnitudes, whole numbers and theirs; then for
    each layer l the numbers k + 2^-l, and the magnitudes of the last layer's.

    Why no pre-activation of the dyadic family is zero. Suppose all a_{l-1} are multiples of
    2^-(l-1), as the whole x are for l = 1. W_l is whole, so W_l a_{l-1} is such a multiple too, and
    b_l = k + 2^-l = (2^l k + 1) 2^-l is an odd multiple of 2^-l: so is z_l, and |z_l| >= 2^-l. And
    a_l is z_l or 0, a multiple of 2^-l.
    """
    form, depth = format_of(shape.dtype), shape.network.depth
    words = draw.words(TABLES, 5 * _TABLE).reshape(5, _TABLE)
    signs = np.where(words[0] >> np.uint64(63), -1.0, 1.0)
    # Uniform in (0, 1): each binade half as likely as the one above it.
    binades = -1 - np.clip(trailing_zeros(words[0]), 0, _LOWEST_BINADE)
    uniform = rounded(signs * np.ldexp(significands(words[1]), binades), form)
    spread = _spread(shape, form)
    exponents = (words[2] % np.uint64(2 * spread + 1)).astype(np.int64) - spread
    wide = rounded(signs * np.ldexp(significands(words[3]), exponents), form)
    largest = _largest_whole(form)
    span = np.uint64(2 * largest + 1)
    whole = (words[4] % span).astype(np.float64) - largest
    shifted = [whole + 2.0**-layer for layer in range(1, depth + 1)]
    rows = [uniform, np.abs(uniform), wide, np.abs(wide), whole, np.abs(whole)]
    return np.stack([*rows, *shifted, np.abs(shifted[-1])])


@dataclass(frozen=True, eq=False)
class _Layout:
    """Where the numbers of a case lie, and which table each is picked from.

    Attributes:
        pieces: Name of each array to its first column and the one behind its last.
        last_layer: The same of W_L and b_L.
        offsets: (2 · families, numbers): where in the flattened tables a number's values begin;
            the second half with a positive last layer.
    """

    pieces: dict[str, tuple[int, int]]
    last_layer: tuple[tuple[int, int], tuple[int, int]]
    offsets: NDArray[np.int64]

    def empty(self, shape: Shape) -> tuple[Batch, list[Any]]:
        """A batch of a block's size, and its arrays with the numbers of a case in a row."""
        network = shape.network
        shapes = _shapes(network, shape.rows)
        held = held_dtype(shape.dtype)
        flat = {
            name: aligned((BLOCK, last - first), held)
            for name, (first, last) in self.pieces.items()
        }
        arrays = {name: array.reshape(BLOCK, *shapes[name]) for name, array in flat.items()}
        layers = range(1, network.depth + 1)
        batch = Batch(
            network,
            tuple(arrays[f"W{layer}"] for layer in layers),
            tuple(arrays[f"b{layer}"] for layer in layers),
            arrays["x"],
            arrays["y"],
            shape.dtype,
        )
        return batch, list(flat.values())


def _shapes(network: Network, rows: int) -> dict[str, tuple[int, ...]]:
    widths = network.widths
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(1, network.depth + 1):
        shapes[f"W{layer}"] = (widths[layer], widths[layer - 1])
        shapes[f"b{layer}"] = (widths[layer],)
    return {**shapes, "x": (rows, widths[0]), "y": (rows, widths[-1])}


@cache
def _layout(shape: Shape) -> _Layout:
    depth, pieces, end = shape.network.depth, {}, 0
    for name, sizes in _shapes(shape.network, shape.rows).items():
        pieces[name] = (end, end + int(np.prod(sizes)))
        end = pieces[name][1]
    last_layer = (pieces[f"W{depth}"], pieces[f"b{depth}"])
    offsets = np.zeros((2, len(FAMILIES), end), dtype=np.int64)
    for family, number in _NUMBER.items():
        plain = {"wide": 2, "dyadic": 4, "kinks": 4}.get(family, 0)
        for half in (0, 1):
            row = offsets[half, number]
            row[:] = plain
            for first, upto in last_layer if half else ():
                row[first:upto] = plain + 1
            if family == "dyadic":
                for layer in range(1, depth + 1):
                    first, upto = pieces[f"b{layer}"]
                    row[first:upto] = 5 + layer
                if half:
                    row[slice(*last_layer[1])] = 6 + depth
    return _Layout(pieces, last_layer, offsets.reshape(2 * len(FAMILIES), end) * _TABLE)


# -- cancellation and special values ---------------------------------------------------------------


def _cancel(batch: Batch, families: NDArray[np.int64], draw: Draw, form: Format) -> None:
    """First biases that cancel W_1 x, in the first row of the batch.

    With s the sum over j, from 0 up, of the rounded products w_ij x_j: the bias is
    -(s ± 2^-k s), k from 2 to p - 13, in the cancelling family, which leaves z = ∓ 2^-k s or so,
    mostly certain to have that sign. In the undecided one it is -s, at one unit.
    """
    undecided = families == _NUMBER["undecided"]
    rows = np.flatnonzero(undecided | (families == _NUMBER["cancelling"]))
    bias = batch.biases[0]
    if not len(rows) or bias is None:
        return
    weight, x = widened(batch.weights[0][rows]), widened(batch.x[rows, 0])
    total = np.zeros(weight.shape[:-1])
    for column in range(weight.shape[-1]):
        total += weight[..., column] * x[:, None, column]
    choices = draw.raw_bytes(EXPONENTS, total.size).reshape(total.shape)
    most = max(2, form.precision - 13)
    exponents = -2 - (choices % np.uint8(most - 1)).astype(np.int64)
    rest = np.ldexp(np.where(choices & 128, -total, total), exponents)
    biases = rounded(-(total + rest), form)
    undecided = undecided[rows]
    if undecided.any():
        unit = choices[undecided, 0] % batch.network.widths[1]
        exact = rounded(-total[undecided, unit], form)
        biases[undecided] = bias[rows[undecided]]
        biases[undecided, unit] = exact
    bias[rows] = biases


def _specialise(batch: Batch, families: NDArray[np.int64], draw: Draw, form: Format) -> None:
    """One to three numbers of each case of the special family become special ones."""
    rows = np.flatnonzero(families == _NUMBER["special"])
    if not len(rows):
        return
    tiny, least, most = form.smallest_subnormal, form.smallest_normal, form.largest
    finite = [tiny, -tiny, 3.0 * tiny, least - tiny, -(least - tiny), least, most, -most, -0.0]
    values = [*finite, most / 2.0, 0.5 * least, np.inf, -np.inf, np.nan]
    layers = zip(batch.weights, batch.biases, strict=True)
    arrays = [*(array for layer in layers for array in layer), batch.x, batch.y]
    sizes = np.cumsum([array[0].size for array in arrays])
    words = draw.words(SPECIALS, 4 * len(rows)).reshape(-1, 4)
    for row, (many, *choices) in zip(rows.tolist(), words.tolist(), strict=True):
        for choice in choices[: 1 + many % 3]:
            place = choice % int(sizes[-1])
            at = int(np.searchsorted(sizes, place, side="right"))
            within = place - (int(sizes[at - 1]) if at else 0)
            arrays[at][row].reshape(-1)[within] = values[(choice >> 32) % len(values)]
