"""The generator in its readable form: a whole block, with NumPy.

It defines what the cases are. `crosscheck.cases.stream.kernel` makes the same ones, bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crosscheck.cases.stream.draw import (
    BYTES,
    EXPONENTS,
    SIGNS,
    SPECIALS,
    TABLES,
    Draw,
    Words,
    normals,
    significands,
    trailing_zeros,
)
from crosscheck.cases.stream.families import FAMILIES, Mix
from crosscheck.cases.stream.layout import (
    NUMBER,
    TABLE,
    largest_whole,
    layout_of,
    lowest_binade,
    spread,
)
from crosscheck.cases.stream.settings import BLOCK, Shape
from crosscheck.network.batch import Batch, held_dtype
from crosscheck.network.tree import widened
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format, format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic

__all__ = ["make", "specialise"]

_CACHED = 8192  # numbers: 64 KiB of them, and as much of offsets


@in_ieee_arithmetic
def make(shape: Shape, seed: int, number: int, mix: Mix) -> tuple[Batch, NDArray[np.int8]]:
    """The cases of a block and their families; see `crosscheck.cases.stream.generate.block`."""
    draw = Draw(shape, seed, number)
    families = mix.families(number * BLOCK, BLOCK)
    layout = layout_of(shape)
    # Rounded to the format already, so that nothing is lost.
    values = _tables(shape, draw).reshape(-1).astype(held_dtype(shape.dtype))
    # The second half of the layout's tables is for cases with a positive last layer: without
    # them the output unit, and with it the whole gradient, would be zero in half of all cases.
    positive = draw.raw_bytes(SIGNS, BLOCK) % 2 == 1
    choices = families + len(FAMILIES) * positive
    offsets = np.repeat(layout.tables * TABLE, layout.sizes, axis=1)
    random = draw.raw_bytes(BYTES, BLOCK * shape.numbers).reshape(BLOCK, -1)
    form = format_of(shape.dtype)
    batch, arrays = layout.empty(shape, BLOCK)
    # A slice at a time stays in the processor's cache on its way through.
    step = max(1, _CACHED // shape.numbers)
    for start in range(0, BLOCK, step):
        picked = offsets.take(choices[start : start + step], axis=0)
        picked += random[start : start + step]
        numbers = values.take(picked)
        for (first, last), array in zip(layout.pieces.values(), arrays, strict=True):
            array[start : start + step] = numbers[:, first:last]
    rows = np.flatnonzero(families == NUMBER["gaussian"])
    if len(rows):
        numbers = normals(draw, len(rows) * shape.numbers, form).reshape(len(rows), -1)
        for first, last in layout.last_layer:
            part = numbers[:, first:last]
            np.abs(part, out=part, where=positive[rows, None])
        for (first, last), array in zip(layout.pieces.values(), arrays, strict=True):
            array[rows] = numbers[:, first:last]
    _cancel(batch, families, draw, form)
    special = np.flatnonzero(families == NUMBER["special"])
    words = draw.words(SPECIALS, 4 * len(special)).reshape(-1, 4)
    specialise(batch, special, words, form)
    return batch, families


def _tables(shape: Shape, draw: Draw) -> Array:
    """One row of 256 values for each use, as `Layout` numbers them.

    Rows: uniform and its magnitudes, wide and its magnitudes, whole numbers and theirs; then for
    each layer l the numbers k + 2^-l, and the magnitudes of the last layer's.

    Why no pre-activation of the dyadic family is zero. Suppose all a_{l-1} are multiples of
    2^-(l-1), as the whole x are for l = 1. W_l is whole, so W_l a_{l-1} is such a multiple too, and
    b_l = k + 2^-l = (2^l k + 1) 2^-l is an odd multiple of 2^-l: so is z_l, and |z_l| >= 2^-l. And
    a_l is z_l or 0, a multiple of 2^-l. In a format of fewer than l + 1 bits b_l is rounded, and
    z_l can be zero.
    """
    form, depth = format_of(shape.dtype), shape.network.depth
    words = draw.words(TABLES, 5 * TABLE).reshape(5, TABLE)
    signs = np.where(words[0] >> np.uint64(63), -1.0, 1.0)
    # Uniform in (0, 1): each binade half as likely as the one above it.
    binades = -1 - np.clip(trailing_zeros(words[0]), 0, lowest_binade(form))
    uniform = form.round(signs * np.ldexp(significands(words[1]), binades))
    widest = spread(shape, form)
    exponents = (words[2] % np.uint64(2 * widest + 1)).astype(np.int64) - widest
    wide = form.round(signs * np.ldexp(significands(words[3]), exponents))
    largest = largest_whole(form)
    span = np.uint64(2 * largest + 1)
    whole = (words[4] % span).astype(np.float64) - largest
    shifted = [form.round(whole + 2.0**-layer) for layer in range(1, depth + 1)]
    rows = [uniform, np.abs(uniform), wide, np.abs(wide), whole, np.abs(whole)]
    return np.stack([*rows, *shifted, np.abs(shifted[-1])])


# -- cancellation and special values ---------------------------------------------------------------


def cancelling_factors(form: Format) -> Array:
    """±2^-k for each byte, k from 2 to p - 13 (2 in narrow formats)."""
    choices = np.arange(256)
    most = max(2, form.precision - 13)
    factors: Array = np.where(choices & 128, -1.0, 1.0) * 2.0 ** -(2 + choices % (most - 1))
    return factors


def _cancel(batch: Batch, families: NDArray[np.int8], draw: Draw, form: Format) -> None:
    """First biases that cancel W_1 x, in the first row of the batch.

    With s the sum over j, from 0 up, of the rounded products w_ij x_j, and m that of their
    magnitudes: the bias is -(s ± 2^-k m), with a factor out of `cancelling_factors`, in the
    cancelling family. That leaves z = ∓ 2^-k m or so, 2^13 roundings of m or more, and certain to
    have that sign unless the layer has thousands of inputs. In the undecided one the bias is -s,
    at one unit.
    """
    undecided = families == NUMBER["undecided"]
    rows = np.flatnonzero(undecided | (families == NUMBER["cancelling"]))
    bias = batch.biases[0]
    if not len(rows) or bias is None:
        return
    weight, x = widened(batch.weights[0][rows]), widened(batch.x[rows, 0])
    total, size = np.zeros(weight.shape[:-1]), np.zeros(weight.shape[:-1])
    for column in range(weight.shape[-1]):
        term = weight[..., column] * x[:, None, column]
        total += term
        size += np.abs(term)
    choices = draw.raw_bytes(EXPONENTS, total.size).reshape(total.shape)
    biases = form.round(-(total + size * cancelling_factors(form)[choices]))
    undecided = undecided[rows]
    if undecided.any():
        # A byte does not hold the width of a wide layer.
        unit = choices[undecided, 0].astype(np.int64) % batch.network.widths[1]
        exact = form.round(-total[undecided, unit])
        biases[undecided] = bias[rows[undecided]]
        biases[undecided, unit] = exact
    bias[rows] = biases


def specialise(batch: Batch, rows: NDArray[np.int64], words: Words, form: Format) -> None:
    """One to three numbers of each case of the special family become special ones.

    Args:
        batch: Cases.
        rows: Where those of the family are.
        words: Four for each of them.
        form: Of the cases.
    """
    if not len(rows):
        return
    tiny, least, most = form.smallest_subnormal, form.smallest_normal, form.largest
    finite = [tiny, -tiny, 3.0 * tiny, least - tiny, -(least - tiny), least, most, -most, -0.0]
    values = form.round([*finite, most / 2.0, 0.5 * least, np.inf, -np.inf, np.nan]).tolist()
    layers = zip(batch.weights, batch.biases, strict=True)
    arrays = [*(array for layer in layers for array in layer), batch.x, batch.y]
    sizes = np.cumsum([array[0].size for array in arrays])
    for row, (many, *choices) in zip(rows.tolist(), words.tolist(), strict=True):
        for choice in choices[: 1 + many % 3]:
            place = choice % int(sizes[-1])
            at = int(np.searchsorted(sizes, place, side="right"))
            within = place - (int(sizes[at - 1]) if at else 0)
            arrays[at][row].reshape(-1)[within] = values[(choice >> 32) % len(values)]
