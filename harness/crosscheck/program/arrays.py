"""What NumPy's arrays have in common, whatever is in them: most verbs, pieces by comparison."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.piecewise import Piecewise
from crosscheck.program.arithmetic import leading
from crosscheck.program.graph import Shape
from crosscheck.program.places import Places

__all__ = ["OnArrays", "decided_slope", "first_largest", "numbered", "polynomials"]


class OnArrays:
    """The verbs of `Arithmetic` that any numbers in NumPy's arrays have.

    Attributes:
        takes_first: Of a number that may be computed in several ways the first is, and no other.
    """

    takes_first: ClassVar[bool] = True

    def add(self, a: Any, b: Any) -> Any:
        """See `Arithmetic`."""
        return a + b

    def difference(self, a: Any, b: Any) -> Any:
        """See `Arithmetic`."""
        return a - b

    def mul(self, a: Any, b: Any) -> Any:
        """See `Arithmetic`."""
        return a * b

    def contract(self, a: Any, b: Any) -> Any:
        """See `Arithmetic`."""
        return a @ b

    def sum(self, a: Any, axes: tuple[int, ...], keep: bool) -> Any:
        """See `Arithmetic`."""
        return np.sum(a, axis=axes, keepdims=keep)

    def broadcast(self, a: Any, shape: Shape) -> Any:
        """See `Arithmetic`."""
        return np.broadcast_to(a, (*leading(a, shape), *shape))

    def expand(self, a: Any, axis: int) -> Any:
        """See `Arithmetic`."""
        return np.expand_dims(a, axis)

    def squeeze(self, a: Any, axis: int) -> Any:
        """See `Arithmetic`."""
        return np.squeeze(a, axis)

    def transpose(self, a: Any) -> Any:
        """See `Arithmetic`."""
        return np.swapaxes(a, -1, -2)

    def take(self, a: Any, indices: Places, source: Shape, shape: Shape) -> Any:
        """See `Arithmetic`."""
        lead = leading(a, source)
        return _taken(a.reshape(*lead, math.prod(source)), indices).reshape((*lead, *shape))

    def scatter(self, a: Any, indices: Places, source: Shape, shape: Shape) -> Any:
        """See `Arithmetic`."""
        lead, size = leading(a, source), math.prod(shape)
        gathered = _taken(a.reshape(*lead, math.prod(source)), indices.by_place(size))
        return gathered.reshape(*lead, size, -1).sum(axis=-1).reshape((*lead, *shape))

    def either(self, a: Any, b: Any) -> Any:
        """See `Arithmetic`: as the first."""
        return a

    def updated(self, a: Any, axis: int, order: int) -> Any:
        """See `Arithmetic`: in two passes, as updates are for bounds only."""
        mean = self.times(self.sum(a, (axis,), True), (Fraction(1, a.shape[axis]),))
        return mean if order == 1 else self.sum((a - mean) * (a - mean), (axis,), True)

    def times(self, a: Any, constants: tuple[Fraction, ...]) -> Any:
        """See `Arithmetic`."""
        raise NotImplementedError

    def total(self, e: Any, d: Any) -> Any:
        """See `Arithmetic`: a sum."""
        return e.sum(axis=-1, keepdims=True)

    def maximum(self, a: Any) -> Any:
        """See `Arithmetic`."""
        return a.max(axis=-1)

    def detached(self, a: Any) -> Any:
        """See `Arithmetic`."""
        return a

    def vanishing(self, a: Any, s: Any) -> Any:
        """See `Arithmetic`."""
        return a * 0


def _taken(flat: Any, places: Places) -> Any:
    """The entries along the last axis at some places, and zero where there is none."""
    found = flat[..., places.array]
    if places.is_there is None:
        return found
    nothing: Any = flat[..., :1] * 0 if flat.dtype == object else 0.0
    return np.where(places.is_there, found, nothing)


def numbered(z: Any, points: list[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each number how many breakpoints are below it, and how many are not above it.

    Args:
        z: Numbers, of any shape.
        points: The breakpoints, as numbers of the same kind, in order.
    """
    below, reached = np.zeros(np.shape(z), np.int64), np.zeros(np.shape(z), np.int64)
    for point in points:
        below += np.asarray(z > point, dtype=bool)
        reached += np.asarray(z >= point, dtype=bool)
    return below, reached


def polynomials(z: Any, number: Any, function: Piecewise, of: Callable[[Fraction], Any]) -> Any:
    """The value of each number's piece.

    Args:
        z: Numbers, of any shape.
        number: Of their pieces, whole numbers of z's shape.
        function: What has the pieces.
        of: Makes a number of a rational.
    """
    total: Any = None
    for degree in range(max(function.degree, 0), -1, -1):
        column = np.array(
            [of(piece[degree] if degree < len(piece) else Fraction(0)) for piece in function.pieces]
        )[number]
        total = column if total is None else total * z + column
    return total


def decided_slope(
    z: Any, points: list[Any], function: Piecewise, decided: Any, of: Callable[[Fraction], Any]
) -> Any:
    """f'(z), with λ where z is at a breakpoint.

    Args:
        z: Numbers, of any shape.
        points: The breakpoints, as numbers of the same kind, in order.
        function: f.
        decided: λ, of z's shape; ``None`` for 0.
        of: Makes a number of a rational.
    """
    slopes = function.derivative
    below, reached = numbered(z, points)
    found = polynomials(z, below, slopes, of)
    if decided is not None and (reached > below).any():
        right = polynomials(z, reached, slopes, of)
        found = np.where(reached > below, found + decided * (right - found), found)
    return found


def first_largest(a: Any, decided: Any) -> Any:
    """1 at the first of the largest entries along the last axis, 0 elsewhere.

    Args:
        a: Numbers.
        decided: Weights for where several are the largest, of a's shape; or ``None``.
    """
    tied = a == a.max(axis=-1, keepdims=True)
    first = tied & (np.cumsum(tied, axis=-1) == 1)
    if decided is None:
        return first * 1
    several = tied.sum(axis=-1, keepdims=True) > 1
    return np.where(several, decided * tied, first * 1)
