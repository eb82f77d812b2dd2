"""Domains of matrices, in the last two axes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from crosscheck.cases.functions.domains import Domain, Place, is_real
from crosscheck.cases.functions.source import Source
from crosscheck.tools.errors import UsageError

__all__ = ["causal", "lower", "spd", "symmetric"]

_DOUBLE = 2.0**-52


@dataclass(frozen=True)
class _Causal(Domain):
    kind: ClassVar[str] = "bool"
    grad: bool = False

    def draw(self, source: Source, place: Place) -> Any:
        return self.simplest(place)

    def holds(self, array: Any, place: Place) -> bool:
        return array.shape == place.shape and np.array_equal(array, self.simplest(place))

    def simplest(self, place: Place) -> Any:
        rows, columns = _matrix(place, "causal()", square=False)
        return np.broadcast_to(np.tri(rows, columns, dtype=bool), place.shape).copy()


def causal() -> Domain:
    """Bools of the last two axes: entry [i, j] is True for j ≤ i."""
    return _Causal()


@dataclass(frozen=True)
class _Symmetric(Domain):
    grad: bool = True

    def draw(self, source: Source, place: Place) -> Any:
        _matrix(place, "symmetric()", square=True)
        return self.mended(source.reals(place.shape), place)

    def holds(self, array: Any, place: Place) -> bool:
        return is_real(array, place) and np.array_equal(array, np.swapaxes(array, -1, -2))

    def simplest(self, place: Place) -> Any:
        return np.zeros(place.shape)

    def mended(self, array: Any, place: Place) -> Any:
        below = np.tril(array)
        return below + np.swapaxes(np.tril(array, -1), -1, -2)


def symmetric() -> Domain:
    """Symmetric matrices in the last two axes; differentiated by each entry alone."""
    return _Symmetric()


@dataclass(frozen=True)
class _Spd(Domain):
    grad: bool = True

    def draw(self, source: Source, place: Place) -> Any:
        """Symmetric, with a diagonal of at least the next power of two of what is beside it."""
        size, _ = _matrix(place, "spd()", square=True)
        beside = source.reals(place.shape, -1.0, 1.0) / 2.0 ** math.ceil(math.log2(max(size, 1)))
        return self.mended(place.form.round(beside), place)

    def holds(self, array: Any, place: Place) -> bool:
        """Whether a_ii > Σ_j≠i |a_ij|, by Gershgorin's circles."""
        if not _Symmetric().holds(array, place):
            return False
        diagonal, beside = self._parts(array)
        return bool((diagonal > beside).all())

    def simplest(self, place: Place) -> Any:
        size, _ = _matrix(place, "spd()", square=True)
        return np.broadcast_to(np.eye(size), place.shape).copy()

    def mended(self, array: Any, place: Place) -> Any:
        array = _Symmetric().mended(array, place)
        diagonal, beside = self._parts(array)
        # frexp gives x = s 2^e with ½ ≤ s < 1: 2^e > x, and 1 for what is below ½.
        raised = np.exp2(np.maximum(np.frexp(beside)[1], 0))
        every = np.arange(array.shape[-1])
        array[..., every, every] = np.where(diagonal > raised, diagonal, raised)
        return array

    def _parts(self, array: Any) -> tuple[Any, Any]:
        """The diagonal, and what is beside it; a sum of n numbers in float64 passes n roundings."""
        diagonal = np.diagonal(array, axis1=-2, axis2=-1)
        size = array.shape[-1]
        beside = np.abs(np.where(np.eye(size, dtype=bool), 0.0, array)).sum(axis=-1)
        return diagonal, beside * (1.0 + size * _DOUBLE)


def spd() -> Domain:
    """Symmetric positive definite matrices in the last two axes, by a dominating diagonal."""
    return _Spd()


@dataclass(frozen=True)
class _Lower(Domain):
    grad: bool = True

    def draw(self, source: Source, place: Place) -> Any:
        size, _ = _matrix(place, "lower()", square=True)
        found = np.tril(source.reals(place.shape))
        every = np.arange(size)
        diagonal = source.reals((*place.shape[:-2], size), 2.0**-4)
        found[..., every, every] = diagonal
        return found

    def holds(self, array: Any, place: Place) -> bool:
        if not is_real(array, place) or np.triu(array, 1).any():
            return False
        return bool((np.diagonal(array, axis1=-2, axis2=-1) >= 2.0**-4).all())

    def simplest(self, place: Place) -> Any:
        size, _ = _matrix(place, "lower()", square=True)
        return np.broadcast_to(np.eye(size), place.shape).copy()


def lower() -> Domain:
    """Lower-triangular matrices in the last two axes, with a diagonal of 2^-4 or more."""
    return _Lower()


def _matrix(place: Place, who: str, *, square: bool) -> tuple[int, int]:
    """The last two sizes.

    Raises:
        UsageError: There are none, or they differ where they must not.
    """
    if len(place.shape) < 2 or (square and place.shape[-1] != place.shape[-2]):
        wanted = "two equal axes last" if square else "two axes or more"
        raise UsageError(
            f"inputs[{place.name!r}]: {who} given, and shape {place.shape}, wanted {wanted}"
        )
    return place.shape[-2], place.shape[-1]
