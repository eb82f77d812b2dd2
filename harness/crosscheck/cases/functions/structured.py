"""Domains whose entries depend on one another: probabilities, masks, permutations.

Each is drawn so that it is what it is called exactly, in the numbers of the dtype: probabilities
are multiples of a power of two that sum to 1 without rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from crosscheck.cases.functions.domains import Domain, Place, is_real
from crosscheck.cases.functions.given import domain_of
from crosscheck.cases.functions.source import Source
from crosscheck.numbers.arrays import Array
from crosscheck.tools.errors import UsageError

__all__ = [
    "log_probabilities",
    "mask",
    "one_hot",
    "permutation",
    "probabilities",
    "sorted_",
]

_WEIGHT_BITS = 16
_DOUBLE = 2.0**-52


def _shares(weights: Any, axis: int, place: Place, finer: int) -> Array:
    """Multiples of 2^-m that sum to 1 exactly along an axis, about in proportion to weights.

    With n entries, m = ⌈log2 n⌉ + finer but at most p: then k ≤ 2^p for each multiple k, and k 2^-m
    is a number of the format. Each gets 1 + ⌊w (2^m - n) / Σ w⌋, the first few one more. Where
    n > 2^p, m = ⌈log2 n⌉ and the first 2^m - n get 2, the others 1.
    """
    count = place.shape[axis]
    least = max(math.ceil(math.log2(count)), 0)
    m = max(least, min(least + finer, place.form.precision))
    weights = np.asarray(weights, dtype=np.int64)
    if m > place.form.precision:
        weights = np.zeros_like(weights)
    spare = 2**m - count
    total = np.maximum(weights.sum(axis=axis, keepdims=True), 1)
    given = weights * spare // total
    rest = spare - given.sum(axis=axis, keepdims=True)
    # Without weights all is left: n ≥ 2^(m - finer), so a round gives each an equal part first.
    given += rest // count
    rest = rest % count
    number = np.arange(count).reshape([-1 if k == axis else 1 for k in range(len(place.shape))])
    return np.asarray((1 + given + (number < rest)) / 2.0**m, dtype=np.float64)


@dataclass(frozen=True)
class _Probabilities(Domain):
    along: int | str
    grad: bool = True

    def draw(self, source: Source, place: Place) -> Any:
        axis = place.axis(self.along, "probabilities")
        if 0 in place.shape:
            return np.zeros(place.shape)
        if source.kind == "full":
            most, finer = 2**_WEIGHT_BITS - 1, min(place.form.precision, 40)
        else:
            most, finer = 3, 2
        return _shares(source.integers(place.shape, 0, most), axis, place, finer)

    def holds(self, array: Any, place: Place) -> bool:
        axis = place.axis(self.along, "probabilities")
        if not is_real(array, place) or not (array > 0).all():
            return False
        lanes = np.moveaxis(array, axis, -1).reshape(-1, place.shape[axis])
        return all(math.fsum(lane) == 1.0 for lane in lanes)

    def simplest(self, place: Place) -> Any:
        axis = place.axis(self.along, "probabilities")
        if 0 in place.shape:
            return np.zeros(place.shape)
        return _shares(np.zeros(place.shape), axis, place, 0)

    def mended(self, array: Any, place: Place) -> Any:
        return array if self.holds(array, place) else self.simplest(place)


def probabilities(axis: int | str = -1, *, grad: bool = True) -> Domain:
    """Positive numbers that sum to 1 along an axis, exactly and in any order.

    Args:
        axis: Its number, or its name.
        grad: Whether the function is differentiated by the argument, entry by entry.
    """
    return _Probabilities(axis, grad)


@dataclass(frozen=True)
class _LogProbabilities(Domain):
    along: int | str
    grad: bool = True

    def draw(self, source: Source, place: Place) -> Any:
        return self._log(_Probabilities(self.along).draw(source, place), place)

    def holds(self, array: Any, place: Place) -> bool:
        """Whether Σ exp a is 1 within what rounding each a = log p does.

        a = (1 + δ) log p with |δ| ≤ v = u + 2^-52, so exp a = p exp(δ log p), and the sum is
        between exp(-s) and exp(s) with s = v max|log p| ≤ 2 v max|a|. Summing n exponentials in
        float64, each right to two ulps, adds (n + 4) 2^-52 of it. Twice their sum bounds exp(s) - 1
        below 1.
        """
        axis = place.axis(self.along, "log_probabilities")
        if not is_real(array, place) or not (array <= 0).all():
            return False
        unit = place.form.unit_roundoff + _DOUBLE
        largest = np.abs(array).max(axis=axis, initial=0.0)
        bound = 2.0 * (2.0 * unit * largest + (array.shape[axis] + 4) * _DOUBLE)
        off = np.abs(np.exp(array).sum(axis=axis) - 1.0)
        return bool((off <= bound).all()) or 0 in place.shape

    def simplest(self, place: Place) -> Any:
        return self._log(_Probabilities(self.along).simplest(place), place)

    def mended(self, array: Any, place: Place) -> Any:
        return array if self.holds(array, place) else self.simplest(place)

    def _log(self, array: Array, place: Place) -> Any:
        return place.form.round(np.log(array)) + 0.0


def log_probabilities(axis: int | str = -1, *, grad: bool = True) -> Domain:
    """Logarithms of `probabilities`, rounded to the dtype.

    Args:
        axis: Along which their exponentials sum to 1.
        grad: Whether the function is differentiated by the argument, entry by entry.
    """
    return _LogProbabilities(axis, grad)


@dataclass(frozen=True)
class _OneHot(Domain):
    along: int | str
    grad: bool = False

    def draw(self, source: Source, place: Place) -> Any:
        axis = place.axis(self.along, "one_hot")
        count = place.shape[axis]
        if 0 in place.shape:
            return np.zeros(place.shape)
        lanes = tuple(1 if k == axis else size for k, size in enumerate(place.shape))
        return self._at(source.integers(lanes, 0, count - 1), axis, place)

    def holds(self, array: Any, place: Place) -> bool:
        axis = place.axis(self.along, "one_hot")
        if not is_real(array, place) or not ((array == 0) | (array == 1)).all():
            return False
        return 0 in place.shape or bool((array.sum(axis=axis) == 1).all())

    def simplest(self, place: Place) -> Any:
        return self.mended(np.zeros(place.shape), place)

    def mended(self, array: Any, place: Place) -> Any:
        axis = place.axis(self.along, "one_hot")
        if 0 in place.shape:
            return np.zeros(place.shape)
        return self._at(np.argmax(array, axis=axis, keepdims=True), axis, place)

    def _at(self, index: Any, axis: int, place: Place) -> Array:
        found = np.zeros(place.shape)
        np.put_along_axis(found, index, 1.0, axis)
        return found


def one_hot(axis: int | str = -1, *, grad: bool = False) -> Domain:
    """One 1 along an axis and zeros beside it, as real numbers.

    Args:
        axis: Its number, or its name.
        grad: Whether the function is differentiated by the argument.
    """
    return _OneHot(axis, grad)


@dataclass(frozen=True)
class _Mask(Domain):
    rows_nonempty: bool
    kind: ClassVar[str] = "bool"
    grad: bool = False

    def draw(self, source: Source, place: Place) -> Any:
        return self.mended(source.integers(place.shape, 0, 1) == 0, place)

    def holds(self, array: Any, place: Place) -> bool:
        if array.dtype != np.bool_ or array.shape != place.shape:
            return False
        return not self._has_rows(place) or bool(array.any(axis=-1).all())

    def simplest(self, place: Place) -> Any:
        return np.ones(place.shape, dtype=bool)

    def mended(self, array: Any, place: Place) -> Any:
        if not self._has_rows(place):
            return array
        array = array.copy()
        array[..., 0] |= ~array.any(axis=-1)
        return array

    def _has_rows(self, place: Place) -> bool:
        return self.rows_nonempty and bool(place.shape) and 0 not in place.shape


def mask(rows_nonempty: bool = True) -> Domain:
    """Bools, True for what is not masked.

    Args:
        rows_nonempty: Whether there is a True along the last axis everywhere.
    """
    if not isinstance(rows_nonempty, bool):
        raise UsageError(f"mask(rows_nonempty={rows_nonempty!r}): wanted True or False")
    return _Mask(rows_nonempty)


@dataclass(frozen=True)
class _Permutation(Domain):
    along: int | str
    kind: ClassVar[str] = "integer"
    grad: bool = False

    def draw(self, source: Source, place: Place) -> Any:
        return source.order(place.shape, place.axis(self.along, "permutation"))

    def holds(self, array: Any, place: Place) -> bool:
        axis = place.axis(self.along, "permutation")
        if array.dtype != np.int64 or array.shape != place.shape:
            return False
        return bool((np.sort(array, axis=axis) == self.simplest(place)).all())

    def simplest(self, place: Place) -> Any:
        axis = place.axis(self.along, "permutation")
        return np.indices(place.shape, dtype=np.int64)[axis]

    def mended(self, array: Any, place: Place) -> Any:
        """In the order that what is left was in."""
        axis = place.axis(self.along, "permutation")
        order = np.argsort(array, axis=axis, kind="stable")
        return np.argsort(order, axis=axis, kind="stable")


def permutation(axis: int | str = -1) -> Domain:
    """The numbers 0 … n - 1 in some order along an axis of size n, as int64."""
    return _Permutation(axis)


class _Sorted(Domain):
    def __init__(self, inner: Domain, along: int | str) -> None:
        self.inner, self.along = inner, along
        vars(self).update(kind=inner.kind, grad=inner.grad, is_free=inner.is_free)
        self.can_be_cut = inner.can_be_cut

    def draw(self, source: Source, place: Place) -> Any:
        return self.mended(self.inner.draw(source, place), place)

    def holds(self, array: Any, place: Place) -> bool:
        axis = place.axis(self.along, "sorted_")
        return self.inner.holds(array, place) and bool((np.diff(array * 1, axis=axis) >= 0).all())

    def simplest(self, place: Place) -> Any:
        found = self.inner.simplest(place)
        return None if found is None else self.mended(found, place)

    def mended(self, array: Any, place: Place) -> Any:
        return np.sort(self.inner.mended(array, place), axis=place.axis(self.along, "sorted_"))


def sorted_(domain: Any, axis: int | str = -1) -> Domain:
    """What another domain holds, from the smallest to the largest along an axis.

    Args:
        domain: Of entries that do not depend on their order.
        axis: Its number, or its name.
    """
    return _Sorted(domain_of(domain, "sorted_"), axis)
