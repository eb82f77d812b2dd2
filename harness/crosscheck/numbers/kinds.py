"""The kinds that products and sums can be of: finite, +inf, -inf, NaN.

**Products** (6.1, 7.2), kind by kind: NaN with anything is NaN; ∞ · 0 is NaN; ∞ · v is an infinity
with the product of the signs; v · a of finite numbers is finite or overflows to the sign of v a.
Under flush-to-zero what may be subnormal may be read as zero.

**Sums in any order.** Let every term be of one of the kinds that it can be of.

    finite  only if all terms are finite;
    NaN     if a term is NaN, in every order; or if one is +inf and another -inf, in every order,
            since whichever partial sums they are in, the infinities meet at last;
    +inf    else, if a term is +inf; the others are finite or +inf then; likewise -inf.

A partial sum of finite terms may overflow as well, and then counts as a term: upwards only if the
positive terms can. A leaf t contributes t Π(1 + δ_i) with 0 < 1 + δ_i <= 1 + u and at most K = N
factors (N terms, a rounding for a product, N - 1 for additions), and an absolute error of at
most 2λ₀ at each operation. So no partial sum is above

    (1 + u)^K (P₊ + 2 (N + 1) λ₀),    P₊ = Σ max(t, 0),

and if that is at most Ω none overflows upwards; likewise downwards with P₋. In a format without
infinity what overflows is NaN; it may be an infinity as well until it is returned, in a wider
format that has them (`Kinds.without_infinities`). From v⁻ <= v <= v⁺ and
a⁻ <= a <= a⁺ follows max(v a, 0) <= max(v⁺, 0) max(a⁺, 0) + max(-v⁻, 0) max(-a⁻, 0), for a
positive product has two positive factors or two negative ones. That a product overflows *by itself*
is no certainty: fused into the sum, or in a wider accumulator, it does not. Nor does a sum beyond
Ω, where it is held in a wider format until it is returned (`crosscheck.numbers.extended`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.model import Model

__all__ = ["Factor", "Flags", "Kinds", "Sum", "multiplied"]

Bools: TypeAlias = Any
Flags: TypeAlias = tuple[Any, Any, Any, Any, Any, Any, Any]
"""The first seven fields of `Sum`."""


class Kinds(NamedTuple):
    """Which kinds each entry can be of: four bool arrays of one shape."""

    finite: Bools
    plus: Bools
    minus: Bools
    nan: Bools

    def map(self, function: Callable[[Any], Any]) -> Kinds:
        """The same in another arrangement."""
        return Kinds(*map(function, self))

    def without_infinities(self) -> Kinds:
        """The same in a format without infinity, where they are NaN."""
        none = np.zeros_like(self.plus)
        return Kinds(self.finite, none, none, self.nan | self.plus | self.minus)

    @property
    def plain(self) -> Bools:
        """Where nothing but a finite number is possible."""
        return self.finite & ~self.plus & ~self.minus & ~self.nan


class Sum(NamedTuple):
    """What is known of the terms of a sum; see the module's text.

    Attributes:
        finite: Whether all can be finite.
        above: Whether all can be finite or +inf.
        below: Whether all can be finite or -inf.
        plus: Whether any can be +inf.
        minus: Whether any can be -inf.
        nan: Whether any can be NaN.
        infinite: How many can be infinite.
        up: P₊, with what flushing adds.
        down: P₋, likewise.
        terms: N, an upper bound of it.
    """

    finite: Bools
    above: Bools
    below: Bools
    plus: Bools
    minus: Bools
    nan: Bools
    infinite: Any
    up: Array
    down: Array
    terms: int

    def __add__(self, other: Any) -> Sum:
        return Sum(
            self.finite & other.finite,
            self.above & other.above,
            self.below & other.below,
            self.plus | other.plus,
            self.minus | other.minus,
            self.nan | other.nan,
            self.infinite + other.infinite,
            self.up + other.up,
            self.down + other.down,
            self.terms + other.terms,
        )

    @classmethod
    def of(cls, kinds: Kinds, axis: Any, up: Array, down: Array, terms: int) -> Sum:
        """Of terms side by side along an axis or several, which do not overflow."""
        return cls(*cls.over(kinds, axis), up, down, terms)

    @staticmethod
    def over(kinds: Kinds, axis: Any) -> Flags:
        """All but the last three fields."""
        return (
            kinds.finite.all(axis),
            (kinds.finite | kinds.plus).all(axis),
            (kinds.finite | kinds.minus).all(axis),
            kinds.plus.any(axis),
            kinds.minus.any(axis),
            kinds.nan.any(axis),
            (kinds.plus | kinds.minus).sum(axis),
        )

    def kinds(self, model: Model, end: float) -> Kinds:
        """The kinds that the sum can be of; finite also if it is surely beyond Ω.

        Args:
            model: The arithmetic.
            end: Ω.
        """
        growth = np.exp((self.terms + 1) * np.log1p(model.roundoff)) * (
            1.0 + (self.terms + 16) * 2.0**-52
        )
        rest = 2.0 * (self.terms + 1) * model.least
        up, down = growth * (self.up + rest) > end, growth * (self.down + rest) > end
        plus, minus = self.plus | up, self.minus | down
        two = (self.infinite > 1) | up | down if self.terms > 1 else False
        nan = self.nan | (plus & minus & two)
        if not model.format.has_infinity:
            nan = nan | up | down
        return Kinds(self.finite, plus & self.above, minus & self.below, nan)


class Factor(NamedTuple):
    """What matters of a factor's kind and sign; bool arrays of one shape."""

    finite: Bools
    plus: Bools
    minus: Bools
    nan: Bools
    zero: Bools
    positive: Bools
    negative: Bools

    def map(self, function: Callable[[Any], Any]) -> Factor:
        """The same in another arrangement."""
        return Factor(*map(function, self))


def multiplied(v: Factor, a: Factor) -> Kinds:
    """The kinds of products, entry by entry, less overflow."""
    v_up, v_down = v.positive | v.plus, v.negative | v.minus
    a_up, a_down = a.positive | a.plus, a.negative | a.minus
    some_v = v.finite | v.plus | v.minus | v.nan
    some_a = a.finite | a.plus | a.minus | a.nan
    return Kinds(
        v.finite & a.finite,
        (v.plus & a_up) | (v.minus & a_down) | (v_up & a.plus) | (v_down & a.minus),
        (v.plus & a_down) | (v.minus & a_up) | (v_up & a.minus) | (v_down & a.plus),
        (v.nan & some_a)
        | (a.nan & some_v)
        | ((v.plus | v.minus) & a.zero)
        | (v.zero & (a.plus | a.minus)),
    )
