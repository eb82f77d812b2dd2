"""The pieces of a piecewise polynomial that an enclosed number can be in.

**The piece.** A framework compares ẑ with a breakpoint b̂, |b̂ - b| <= e_b; comparisons are exact.
Where |c_z - b| exceeds the margin of z and e_b the side is certain. So each number has a first and
a last piece that an evaluation can be in; under flush-to-zero a z that may be read as zero is on no
certain side of 0. Where ways of evaluating compare a rounded result instead, as z + 3 with 6, it
may be on the other side of its end although z is not: with terms of size t there and slope s at
least, z is then within β ((1 + u)^R - 1 + 2Rτ) of the breakpoint, β = t / |s| (`Piecewise.blur`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.rounding import growth, up
from crosscheck.numbers.scaling import nearest

__all__ = ["Indices", "Sides", "constant_held", "pieces_met", "sides_of"]

Indices: TypeAlias = NDArray[np.int64]
"""Numbers of pieces, from 0."""


@dataclass(frozen=True)
class Sides:
    """Which pieces each number can be in; of z's shape.

    Attributes:
        first: The first piece, from 0.
        last: The last one.
        center: The one that the reference is in; at a breakpoint the one to the left.
    """

    first: Indices
    last: Indices
    center: Indices

    @property
    def open(self) -> NDArray[np.bool_]:
        """Where there is more than one."""
        return self.first < self.last


def constant_held(value: Fraction, model: Model) -> tuple[float, float, float]:
    """A constant in float64, what that errs, and what holding it in the dtype or finer can."""
    rounded = nearest(value)
    own = abs(nearest(value - Fraction(rounded))) * (1 + 2.0**-50)
    in_format = model.format.round(np.array(rounded))
    error = abs(nearest(value - Fraction(float(in_format)))) if np.isfinite(in_format) else np.inf
    if error and value:
        error = max(error * (1 + 2.0**-50), TINY)
    if model.flush and abs(rounded) < model.least:  # it may be read as zero
        error = max(error, abs(rounded))
    return rounded, own + (TINY if own else 0.0), error


def sides_of(z: Enclosure, function: Piecewise) -> Sides:
    """The pieces of ``function`` that z can be in; what was found is kept with z."""
    known: dict[Piecewise, Sides] = vars(z).setdefault("sides", {})
    if function not in known:
        known[function] = _sides_of(z, function)
    return known[function]


def _sides_of(z: Enclosure, function: Piecewise) -> Sides:
    margin, model = z.margin, z.model
    low = z.c.low if isinstance(z.c, DoubleDouble) else 0.0
    shape = z.shape
    blur = growth(model.roundoff, function.roundings) + 2.0 * model.lost(function.roundings)
    blur = nearest(function.blur) * float(blur)
    # Counted in bytes, which takes a fraction of the time: a function has few pieces.
    first, last, center = np.zeros((3, *shape), dtype=np.int8)
    for point in function.breakpoints:
        at, own, error = constant_held(point, model)
        gap = z.high - at
        # Near its zero the difference is exact (Sterbenz), elsewhere its sign is right.
        room = margin + up(own + error + blur, 3)
        if model.flush and point != 0:
            room = room + z.lost_by_reading
        clear = np.abs(gap) > up(room, 2) if point else np.abs(gap) > room
        if model.flush and point == 0:
            clear = np.abs(gap) - room >= model.least
        above = gap > 0
        first += (clear & above).view(np.int8)
        last += (~clear | (gap >= 0)).view(np.int8)
        center += (above | ((gap == 0) & (low > 0)) if np.ndim(low) else above).view(np.int8)
    return Sides(*(each.astype(np.int64) for each in (first, last, center)))


def pieces_met(sides: Sides, function: Piecewise) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Each piece that any number can be in, and where."""
    for number in range(len(function.pieces)):
        mask = (sides.first <= number) & (number <= sides.last)
        if mask.any():
            yield number, mask
