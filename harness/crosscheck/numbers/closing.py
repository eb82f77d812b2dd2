"""Results cut to the range of float64; see `crosscheck.numbers.extended`."""

from __future__ import annotations

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.bounded import Center
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.endless import end_of
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.kinds import Kinds, Sum

__all__ = ["WIDEST", "closed", "ends_of", "shrunk"]

WIDEST = float(np.finfo(np.float64).max)
"""No number that a framework holds is further out."""

_NEAR_THE_END = 2.0**960


def ends_of(enclosure: Enclosure) -> tuple[Array, Array]:
    """Float64 bounds on what any framework holds."""
    margin = enclosure.margin
    low, high = enclosure.high - margin, enclosure.high + margin
    low = np.where(margin > 0, np.nextafter(low, -np.inf), low)
    high = np.where(margin > 0, np.nextafter(high, np.inf), high)
    return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)


def shrunk(enclosure: Enclosure, power: int) -> Enclosure:
    """The same numbers times 2^power, and r enlarged by what is lost by that."""
    if isinstance(enclosure.c, DoubleDouble):
        c: Center = DoubleDouble(
            np.ldexp(enclosure.c.high, power), np.ldexp(enclosure.c.low, power)
        )
    else:
        c = np.ldexp(enclosure.c, power)
    some = enclosure.reach > 0
    r = np.where(some, np.ldexp(enclosure.r, power) + 3 * TINY, 0.0)
    e = np.where(enclosure.e > 0, np.ldexp(enclosure.e, power) + TINY, 0.0)
    return Enclosure(enclosure.model, c, r, e)


def closed(
    enclosure: Enclosure,
    scaled: Enclosure | None,
    power: int,
    terms: Sum,
    size: Array | None = None,
    overflow: float | None = None,
) -> tuple[Enclosure, Kinds]:
    """A result: the kinds it can be of, and its enclosure cut to float64's range.

    Args:
        enclosure: Of the finite values, for an unbounded range.
        scaled: The same times 2^power, where float64 may be too narrow.
        power: At most 0.
        terms: What was added.
        size: Upper bound on the magnitudes in it, if not what ``terms`` says.
        overflow: The largest number of the format that it was added up in, if not the dtype's.
    """
    model, end = enclosure.model, WIDEST
    may = terms.kinds(model, end_of(model.format) if overflow is None else overflow)
    c, r, e = enclosure.c, enclosure.r, enclosure.e
    low, high = ends_of(enclosure)
    plain = may.plain & (low >= -end) & (high <= end)
    if scaled is None and plain.all():
        return Enclosure(model, c, r, e), may
    centre = enclosure.high
    if scaled is not None:
        size = terms.up + terms.down if size is None else size
        near = ~(size < _NEAR_THE_END)
        if not near.any() and plain.all():
            return Enclosure(model, c, r, e), may
        if near.any():
            least, most = ends_of(scaled)
            limit = np.ldexp(end, power)
            beyond = near & ((least > limit) | (most < -limit))
            may = may._replace(finite=may.finite & ~beyond)
            low = np.where(near, np.ldexp(np.clip(least, -limit, limit), -power), low)
            high = np.where(near, np.ldexp(np.clip(most, -limit, limit), -power), high)
    beyond = (low > end) | (high < -end)
    low, high = np.maximum(low, -end), np.minimum(high, end)
    finite = may.finite & ~beyond
    cut = ~(
        (enclosure.high - enclosure.margin >= -end) & (enclosure.high + enclosure.margin <= end)
    )
    if scaled is not None:
        cut |= near
    middle = 0.5 * low + 0.5 * high
    half = np.maximum(high - middle, middle - low)
    half = np.where(low == high, 0.0, np.nextafter(half, np.where(half < end, np.inf, end)))
    centre = np.where(finite, np.where(cut, middle, centre), 0.0)
    if isinstance(c, DoubleDouble):
        c = DoubleDouble(centre, np.where(finite & ~cut, c.low, 0.0))
    else:
        c = centre
    r = np.where(finite & ~cut, r, 0.0)
    e = np.where(finite, np.where(cut, half, e), 0.0)
    return Enclosure(model, c, r, e), may._replace(finite=finite)
