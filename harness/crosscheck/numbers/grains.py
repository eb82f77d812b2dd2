"""The least grain of a sum's terms: the exponent of the lowest bit that is set in any of them.

An exactness certificate (`crosscheck.numbers.enclosure`) needs M <= 2^(p+g), g the least grain of
all terms. Of most large sums a look at a few terms says already that there is none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.arrays import Array, blocks
from crosscheck.numbers.bounded import Bounded
from crosscheck.numbers.rounding import NO_GRAIN, least_sums, lowest_bit, lowest_powers

__all__ = ["NONE_FITS", "of_addends", "of_products"]

NONE_FITS = np.int32(-(1 << 20))
"""An exponent so small that no sum but 0 is below what it allows."""

_LARGE = 2**17
"""Products in sums, from which on it pays to ask whether their grains are wanted."""

_SOME = 2**13
"""Addends in sums, from which on it does."""

_FEW = (8, 64)
"""Terms of each sum of which that is asked, and then of those that are open still."""


def of_products(left: Bounded, right: Bounded, total: Array, depth: int) -> Any:
    """The least grain of the terms of each matrix product, where it can matter.

    An exactness certificate needs M <= 2^(p+g), g the least grain of all terms, which is no more
    than that of a few: M > 2^(p+g') for the g' of these says the same of g, and of whatever is
    added to the sum later, since M grows by that and g does not. Only sums that a few terms leave
    open are looked at whole; the others get an exponent that certifies nothing.
    """
    if total.size * depth < _LARGE or not (left.is_data and right.is_data):
        return least_sums(left.grain, right.grain)
    is_open = _may_be_certain(left, right, total, depth)
    if not is_open.any():
        return np.broadcast_to(NONE_FITS, total.shape)
    found = np.full(total.shape, NONE_FITS)
    for terms in (*(each for each in _FEW if each < depth), depth):
        few = slice(None, None, depth // terms)
        one, other = left.high[..., few], right.high[..., few, :]
        if 8 * np.count_nonzero(is_open) > total.size:
            grain = least_sums(lowest_bit(one), lowest_bit(other))[is_open]
        else:
            *lead, row, column = np.nonzero(is_open)
            lines = _lowest_of_lines(one, total.shape[:-1], (*lead, row))
            turned = other.swapaxes(-1, -2)
            lines = lines + _lowest_of_lines(turned, _turned(total.shape), (*lead, column))
            grain = lines.min(axis=-1, initial=2 * NO_GRAIN)
        allowed = np.minimum(np.clip(grain, -1100, 900) + left.model.precision, 1023)
        is_left = ~(total[is_open] > np.ldexp(1.0, allowed))
        found[is_open] = np.where(is_left, grain, NONE_FITS)
        is_open[is_open] = is_left
        if one.shape[-1] == depth or not is_open.any():
            break
    return found


def of_addends(numbers: Bounded, total: Array, axis: int | tuple[int, ...], depth: int) -> Any:
    """The least grain of the terms of sums; that of the largest lowest bit may say enough."""
    if numbers.is_data and total.size * depth >= _SOME:
        most = np.ldexp(lowest_powers(numbers.high).max(axis), numbers.model.precision)
        if ((total > most) | (total == 0)).all():
            return np.broadcast_to(NONE_FITS, total.shape)
    return numbers.grain.min(axis)


def _may_be_certain(left: Bounded, right: Bounded, total: Array, depth: int) -> NDArray[np.bool_]:
    """Which sums may have a certificate by the largest of the lowest set bits alone.

    A sum that is not 0 has a product that is not, and the grain of that is no more than those of
    the largest lowest bits in its row of the left operand and its column of the right one. A few
    terms do as well, if one of them is no product with zero: if there is a factor in the row, and
    none in the column is zero. Where the product of two bits underflows it is below η, as the grain
    is then.
    """
    few = slice(None, None, max(1, depth // _FEW[0]))
    rows, columns = lowest_powers(left.high[..., few]), lowest_powers(right.high[..., few, :])
    if (columns > 0).all():
        rows = np.where((rows > 0).any(axis=-1), rows.max(axis=-1), np.inf)
        columns = columns.max(axis=-2)
    elif (rows > 0).all():
        columns = np.where((columns > 0).any(axis=-2), columns.max(axis=-2), np.inf)
        rows = rows.max(axis=-1)
    else:
        rows, columns = (
            lowest_powers(left.high).max(axis=-1),
            lowest_powers(right.high).max(axis=-2),
        )
    rows = np.broadcast_to(np.ldexp(rows, left.model.precision)[..., :, None], total.shape)
    columns = np.broadcast_to(columns[..., None, :], total.shape)
    found = np.empty(total.shape, dtype=bool)
    with np.errstate(invalid="ignore"):  # ∞ where a lowest bit is not known, which 0 is times
        for block in blocks(total.shape):
            here = total[block]
            found[block] = ~(here > rows[block] * columns[block])
            if found[block].any():
                found[block] &= here != 0
    return found


def _lowest_of_lines(array: Array, lead: tuple[int, ...], index: Any) -> Any:
    """The lowest bits in some of the lines, of these or of all, whichever are fewer."""
    if len(index[-1]) * array.shape[-1] < array.size:
        return lowest_bit(_lines(array, lead)[index])
    return _lines(lowest_bit(array), lead)[index]


def _lines(array: Any, lead: tuple[int, ...]) -> Any:
    """``array``, with the axes in front that its rows have in the product."""
    return np.broadcast_to(array, (*lead, array.shape[-1]))


def _turned(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1])
