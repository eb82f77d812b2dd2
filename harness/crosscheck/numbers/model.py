"""The arithmetic that a framework is held to, from which `crosscheck.numbers.enclosure` derives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format
from crosscheck.numbers.library import ANY, Library
from crosscheck.numbers.named import Arithmetic, arithmetics_of

__all__ = ["Model", "Product", "reductions_of"]

Product: TypeAlias = tuple[Literal["forward", "weight", "input"], int]
"""A matrix product of backpropagation and its layer: z_l, ∂J/∂W_l or g_{l-1}."""


@dataclass(frozen=True)
class Model:
    """The arithmetic that a framework is held to.

    Attributes:
        format: The dtype.
        flush: Whether subnormal numbers may be replaced by zero, as results and as operands.
        arithmetic: How matrix products are formed, if not in the dtype's own arithmetic.
        spared: Matrix products that are formed in the dtype's own arithmetic nevertheless.
        is_partial: Whether any other may be formed in that as well, of which nothing is known.
        is_brief: Whether the reference is float64 also where float64 is what is checked: it errs as
            much as a framework then, for a small part of the time.
        inside: What sums of one operation are formed in, if finer than the format: they are rounded
            to that once, at their end.
        library: Whose elementary functions are called; if not given, any library's may be.
    """

    format: Format
    flush: bool = False
    arithmetic: Arithmetic | None = None
    spared: frozenset[Product] = frozenset()
    is_partial: bool = False
    is_brief: bool = False
    inside: Format | None = None
    library: Library | None = None

    @property
    def precision(self) -> int:
        """p, the significant bits of each operation."""
        return self.format.precision

    @property
    def roundoff(self) -> float:
        """u, the largest relative error of one operation.

        With a format v inside, what is rounded may have been rounded to that before: u + v + u v.
        """
        u = self.format.unit_roundoff
        if self.inside is None:
            return u
        return u + self.inside.unit_roundoff * (1.0 + u)

    def roundings(self, function: str, order: int) -> float:
        """N of an elementary function or of its derivative; see `crosscheck.numbers.library`."""
        return (self.library or ANY).roundings(function, order, self.format.name)

    @property
    def least(self) -> float:
        """The smallest positive number whose multiples are all handled without underflow."""
        return self.format.smallest_normal if self.flush else self.format.smallest_subnormal

    @property
    def underflow(self) -> float:
        """The largest absolute error of a product: ½η, λ₀ under flush-to-zero.

        In float64 ½η rounds to 0: where it has to be there, see `lost`.
        """
        return self.least if self.flush else 0.5 * self.least

    def lost(self, products: Array | float) -> Any:
        """The largest absolute error of so many products together, rounded up.

        `underflow` times their number, but for float64: there ½η is no number and rounds to 0,
        so that half of an odd number of η is the next whole number of them.

        Args:
            products: How many, any number that is not negative.
        """
        if self.flush:
            return products * self.least
        halves = 0.5 * products
        return (np.ceil(halves) if self.format.emin < -1000 else halves) * self.least

    @property
    def wide(self) -> bool:
        """Whether the reference needs double-double to be finer than the framework."""
        if self.is_brief:
            return False
        return self.format.precision > 26  # products of two such numbers exceed float64


def reductions_of(model: Model) -> Iterator[Model]:
    """With each named arithmetic in turn.

    One that only cuts results comes a second time, as one that may be used in some products and not
    in others: convolutions go another way than matrix products. Bounds grow by an ulp of a product.
    """
    for each in arithmetics_of(model.format.name):
        yield replace(model, arithmetic=each)
        if each.cut:
            yield replace(model, arithmetic=each, is_partial=True)
