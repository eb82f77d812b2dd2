"""Formulas as trees: the little that a derivation needs, for every format to write in its way.

A `Line` is a chain of equals, ∂J/∂w2 = ∂J/∂a2 · ∂a2/∂z2 · ∂z2/∂w2 = 2 · 1 · 2 = 4. Where a
number cannot be written shortly without loss, the relation in front of it is ≈ (`relation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, TypeAlias

from crosscheck.explain.numerals import numeral
from crosscheck.numbers.multilinear import GateKey, Multilinear

__all__ = [
    "Call",
    "Difference",
    "Expression",
    "Index",
    "Line",
    "Matrix",
    "Number",
    "Over",
    "Partial",
    "Product",
    "Scaled",
    "Square",
    "Sum",
    "Symbol",
    "Term",
    "Words",
    "is_negative",
    "relation",
    "value_expression",
]

Index: TypeAlias = int | str


@dataclass(frozen=True)
class Symbol:
    """A named number, as ``W2[0,1]``, ``z1`` or ``a2[r,0]``.

    Attributes:
        letter: ``J``, ``x``, ``y``, ``W``, ``w``, ``b``, ``z``, ``a`` or ``λ``.
        layer: 1 … L; ``None`` for J, x and y.
        index: Zero-based; a letter stands for an index that is summed over.
    """

    letter: str
    layer: int | None = None
    index: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Number:
    """A rational number.

    Attributes:
        value: The number.
        rounded: Whether it is itself a rounded one.
    """

    value: Fraction
    rounded: bool = False


@dataclass(frozen=True)
class Term:
    """A number times other factors, one term of a polynomial; ±1 is written as a sign only."""

    coefficient: Fraction
    factors: tuple[Expression, ...]


@dataclass(frozen=True)
class Partial:
    """∂of/∂by."""

    of: Symbol
    by: Symbol


@dataclass(frozen=True)
class Product:
    """Factors with a dot between them."""

    factors: tuple[Expression, ...]


@dataclass(frozen=True)
class Sum:
    """Terms with a plus between them."""

    terms: tuple[Expression, ...]


@dataclass(frozen=True)
class Difference:
    """left − right."""

    left: Expression
    right: Expression


@dataclass(frozen=True)
class Square:
    """base²."""

    base: Expression


@dataclass(frozen=True)
class Scaled:
    """A fraction such as ½ in front of something."""

    scale: Fraction
    body: Expression


@dataclass(frozen=True)
class Call:
    """A function of something; H is the Heaviside step function."""

    name: Literal["ReLU", "ReLU′", "max", "H"]
    arguments: tuple[Expression, ...]


@dataclass(frozen=True)
class Over:
    """Σ over indices, each from 0 up to a count."""

    indices: tuple[tuple[str, int], ...]
    body: Expression


@dataclass(frozen=True)
class Matrix:
    """Numbers in rows; a vector is one row."""

    rows: tuple[tuple[Expression, ...], ...]


@dataclass(frozen=True)
class Words:
    """Something said in words inside a formula."""

    text: str


Expression: TypeAlias = (
    Symbol
    | Number
    | Term
    | Partial
    | Product
    | Sum
    | Difference
    | Square
    | Scaled
    | Call
    | Over
    | Matrix
    | Words
)


@dataclass(frozen=True)
class Line:
    """A chain of equals.

    Attributes:
        chain: Its members, the quantity in question first.
        note: A few words beside it.
    """

    chain: tuple[Expression, ...]
    note: str = ""


def is_negative(expression: Expression) -> bool:
    """Whether it begins with a minus sign."""
    match expression:
        case Number(value=value) | Term(coefficient=value):
            return value < 0
        case Sum(terms=parts) | Product(factors=parts):
            return bool(parts) and is_negative(parts[0])
    return False


def relation(expression: Expression) -> Literal["=", "≈"]:
    """≈ in front of an expression that is written with a rounded number, else =."""
    return "=" if _is_exact(expression) else "≈"


def _is_exact(expression: Expression) -> bool:
    match expression:
        case Number(value=value, rounded=rounded):
            return not rounded and numeral(value).exact
        case Term(coefficient=value, factors=parts):
            return numeral(value).exact and all(map(_is_exact, parts))
        case Product(factors=parts) | Sum(terms=parts) | Call(arguments=parts):
            return all(map(_is_exact, parts))
        case Difference(left=left, right=right):
            return _is_exact(left) and _is_exact(right)
        case Square(base=inner) | Scaled(body=inner) | Over(body=inner):
            return _is_exact(inner)
        case Matrix(rows=rows):
            return all(_is_exact(entry) for row in rows for entry in row)
    return True


_MOST_TERMS = 6
"""Terms of a polynomial in slopes that are written out."""


def value_expression(value: Any, slope: Any, *, rounded: bool = False) -> Expression:
    """A number, or a polynomial in slopes, as an expression.

    Args:
        value: A `Fraction`, or a `Multilinear`.
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


def _term(monomial: Sequence[GateKey], coefficient: Fraction, slope: Any) -> Expression:
    if not monomial:
        return Number(coefficient)
    return Term(coefficient, tuple(slope(*gate) for gate in monomial))
