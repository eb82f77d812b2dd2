"""Numbers of a derivation, and polynomials in slopes, as formulas."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

from crosscheck.formulas.tree import Expression, Number, Sum, Symbol, Term, Words
from crosscheck.numbers.multilinear import Key, Multilinear, fraction

__all__ = ["Value", "plain", "value_expression"]

Value: TypeAlias = Fraction | Multilinear

_MOST_TERMS = 6
"""Terms of a polynomial in slopes that are written out."""


def plain(value: Any) -> Value:
    """A number of the reference as a rational, or as a polynomial if it depends on a slope."""
    if isinstance(value, Multilinear):
        constant = value.constant
        return value if constant is None else constant
    return fraction(value)


def value_expression(
    value: Value, slope: Callable[[Key], Symbol], *, rounded: bool = False
) -> Expression:
    """A number, or a polynomial in slopes, as an expression.

    Args:
        value: The number or the polynomial.
        slope: The function that gives a gate its `Symbol`.
        rounded: Whether it is a rounded number.
    """
    if not isinstance(value, Multilinear):
        return Number(value, rounded)
    constant = value.constant
    if constant is not None:
        return Number(constant, rounded)
    ordered = sorted(value.terms.items(), key=lambda item: (len(item[0]), item[0]))
    terms = [_term(monomial, factor, slope) for monomial, factor in ordered]
    if len(terms) > _MOST_TERMS:
        left = len(terms) - _MOST_TERMS
        return Sum((*terms[:_MOST_TERMS], Words(f"… ({left} more terms)")))
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def _term(
    monomial: Sequence[Key], coefficient: Fraction, slope: Callable[[Key], Symbol]
) -> Expression:
    if not monomial:
        return Number(coefficient)
    return Term(coefficient, tuple(map(slope, monomial)))
