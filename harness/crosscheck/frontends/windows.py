"""Windows that slide over axes: convolutions and pooling, with every kind of step and gap.

A window of size k with stride s and gaps d between its taps, over an axis of n entries that are b
apart, with p zeros in front, has tap t of position o at

    (o s + t d - p) / b,

if that is a whole number in 0 … n - 1, and elsewhere nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.frontends import verbs
from crosscheck.numbers.arrays import Array
from crosscheck.program.graph import Shape, Var
from crosscheck.program.places import Places
from crosscheck.tools.errors import UsageError

__all__ = ["Sliding", "convolved", "extreme_over"]


@dataclass(frozen=True)
class Sliding:
    """Windows over some axes; each attribute has one entry an axis.

    Attributes:
        size: k.
        stride: s.
        padding: Zeros in front and behind.
        gaps: d.
        apart: b.
    """

    size: Shape
    stride: Shape
    padding: Sequence[tuple[int, int]]
    gaps: Shape
    apart: Shape

    def places(self, shape: Shape) -> NDArray[np.intp]:
        """The places of the windows' entries, (positions …, taps …), -1 where nothing is.

        Args:
            shape: Of the axes.

        Raises:
            UsageError: They have another number.
        """
        if len(shape) != len(self.size):
            raise UsageError(f"windows {self.size} over axes of lengths {shape}")
        count = len(shape)
        found = np.zeros((1,) * (2 * count), dtype=np.intp)
        there = np.ones((1,) * (2 * count), dtype=bool)
        for axis, length in enumerate(shape):
            at, is_there = self._along(axis, length)
            form = [1] * (2 * count)
            form[axis], form[axis + count] = at.shape
            found = found * length + at.reshape(form)
            there = there & is_there.reshape(form)
        return np.where(there, found, -1)

    def _along(self, axis: int, length: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        size, stride, gap = self.size[axis], self.stride[axis], self.gaps[axis]
        apart, (front, behind) = self.apart[axis], self.padding[axis]
        whole = (length - 1) * apart + 1 if length else 0
        positions = max((whole + front + behind - (size - 1) * gap - 1) // stride + 1, 0)
        at = np.arange(positions)[:, None] * stride + np.arange(size) * gap - front
        there = (at >= 0) & (at < whole) & (at % apart == 0)
        return at // apart, there


def convolved(x: Var, kernel: Var, over: Sliding, groups: int = 1) -> Var:
    """A convolution, as neural networks have them: no kernel is flipped.

    Args:
        x: (rows, features, axes …).
        kernel: (units, features / groups, taps …).
        over: The windows.
        groups: Of features, which do not mix.

    Returns:
        (rows, units, positions …).
    """
    rows, features, *axes = x.shape
    units, per_group, *taps = kernel.shape
    if per_group * groups != features or units % groups:
        raise UsageError(f"a convolution of shapes {x.shape} and {kernel.shape}, {groups} groups")
    places = over.places(tuple(axes))
    positions = places.shape[: len(axes)]
    flat, size = places.reshape(-1), math.prod(taps)

    def by_group(at: NDArray[np.intp]) -> NDArray[np.intp]:
        each = at.reshape(rows, groups, per_group, -1)
        taken = np.where(flat >= 0, each[..., flat], -1)
        taken = taken.reshape(rows, groups, per_group, -1, size)
        return taken.transpose(1, 0, 3, 2, 4).reshape(groups, -1, per_group * size)

    def kernels(at: NDArray[np.intp]) -> NDArray[np.intp]:
        return at.reshape(groups, units // groups, per_group * size).swapaxes(1, 2)

    def in_place(at: NDArray[np.intp]) -> NDArray[np.intp]:
        each = at.reshape(groups, rows, -1, units // groups)
        return each.transpose(1, 0, 3, 2).reshape(rows, units, *positions)

    return verbs.moved(verbs.moved(x, by_group) @ verbs.moved(kernel, kernels), in_place)


def extreme_over(x: Var, rows: NDArray[np.intp], sign: int) -> tuple[Var, Array]:
    """The largest (``sign`` 1) or smallest of the entries at some places.

    Args:
        x: The numbers.
        rows: (R, K), places in the flattened array; -1 where there is none.
        sign: Which.

    Returns:
        (R,): the extremes, and -``sign`` ∞ where there was nothing to choose, else 0.
    """
    counts = (rows >= 0).sum(axis=-1)
    found: Var | None = None
    for count in np.unique(counts[counts > 0]):
        here = np.flatnonzero(counts == count)
        some = rows[here]
        chosen = some[some >= 0].reshape(len(here), int(count))
        each = x.take(Places(chosen.ravel().tolist()), chosen.shape)
        extreme = verbs.extreme_along(each, -1, sign)
        if len(here) < len(rows):
            there = np.full(len(rows), -1, dtype=np.intp)
            there[here] = np.arange(len(here))
            extreme = extreme.take(Places(there.tolist()), (len(rows),))
        found = extreme if found is None else found + extreme
    none = np.where(counts > 0, 0.0, -sign * np.inf)
    return (x.graph.zeros((len(rows),)) if found is None else found), none
