"""Polynomials in the slopes λ of gates, over the rationals: a gradient at a kink in closed form.

At a kink the gate s is a number λ in [0, 1] that a framework is free to choose. With a symbol in
its place the backward pass stays what it is, and each entry of the gradient becomes a polynomial.
It is linear in each λ alone: the cotangent of a layer is built from the gates above it, and
δ_l = s_l ∘ g_l brings in those of layer l once. (The activations hold no λ, since ReLU(0) = 0
whatever its derivative there.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any, TypeAlias

__all__ = ["Key", "Multilinear", "fraction", "slope_symbol"]

Key: TypeAlias = Any
"""What tells a gate from others, and has an order: its place."""

Monomial = tuple[Key, ...]
"""The gates whose slopes are multiplied, in order; empty for the constant term."""


def fraction(value: Any) -> Fraction:
    """A rational of any kind, or a finite float, as a `Fraction`."""
    if isinstance(value, Fraction):
        return value
    if isinstance(value, int):
        return Fraction(value)
    if isinstance(value, float):  # numpy's float64 too
        return Fraction(*float(value).as_integer_ratio())
    return Fraction(int(value.numerator), int(value.denominator))


@dataclass(frozen=True)
class Multilinear:
    """A polynomial that is linear in each slope.

    Sums, differences and products with others and with rationals are again such polynomials, as
    long as no product has the same slope in both factors; in a backward pass none has.

    Attributes:
        terms: Monomial to coefficient, which is never zero; empty for the zero polynomial.
    """

    terms: Mapping[Monomial, Fraction]

    @classmethod
    def of(cls, value: Any) -> Multilinear:
        """``value``, a rational or already a polynomial, as a polynomial."""
        if isinstance(value, Multilinear):
            return value
        number = fraction(value)
        return cls(MappingProxyType({(): number} if number else {}))

    @property
    def constant(self) -> Fraction | None:
        """The value, if it depends on no slope; else ``None``."""
        if not self.terms:
            return Fraction(0)
        return self.terms.get(()) if len(self.terms) == 1 else None

    @property
    def slopes(self) -> tuple[Key, ...]:
        """The gates whose slopes occur, in order."""
        return tuple(sorted({gate for monomial in self.terms for gate in monomial}))

    @property
    def size(self) -> Fraction:
        """The largest absolute value for slopes in [0, 1], or something above it."""
        return sum((abs(value) for value in self.terms.values()), Fraction(0))

    def at(self, slopes: Mapping[Key, Fraction]) -> Multilinear:
        """The polynomial with numbers in place of some slopes."""
        found: dict[Monomial, Fraction] = {}
        for monomial, coefficient in self.terms.items():
            value, left = coefficient, []
            for gate in monomial:
                if gate in slopes:
                    value *= slopes[gate]
                else:
                    left.append(gate)
            found[tuple(left)] = found.get(tuple(left), Fraction(0)) + value
        return _without_zeros(found)

    def __add__(self, other: Any) -> Multilinear:
        found = dict(self.terms)
        for monomial, coefficient in Multilinear.of(other).terms.items():
            found[monomial] = found.get(monomial, Fraction(0)) + coefficient
        return _without_zeros(found)

    __radd__ = __add__

    def __neg__(self) -> Multilinear:
        return _without_zeros({monomial: -value for monomial, value in self.terms.items()})

    def __sub__(self, other: Any) -> Multilinear:
        return self + -Multilinear.of(other)

    def __rsub__(self, other: Any) -> Multilinear:
        return Multilinear.of(other) + -self

    def __mul__(self, other: Any) -> Multilinear:
        found: dict[Monomial, Fraction] = {}
        for one, coefficient in self.terms.items():
            for another, factor in Multilinear.of(other).terms.items():
                if set(one) & set(another):
                    raise ValueError(f"the slope of {set(one) & set(another)} would be squared")
                monomial = tuple(sorted(one + another))
                found[monomial] = found.get(monomial, Fraction(0)) + coefficient * factor
        return _without_zeros(found)

    __rmul__ = __mul__

    def __truediv__(self, divisor: int) -> Multilinear:
        return self * Fraction(1, divisor)


def slope_symbol(gate: Key) -> Multilinear:
    """λ of one gate."""
    return Multilinear(MappingProxyType({(gate,): Fraction(1)}))


def _without_zeros(terms: Mapping[Monomial, Fraction]) -> Multilinear:
    return Multilinear(MappingProxyType({key: value for key, value in terms.items() if value}))
