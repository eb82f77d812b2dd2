"""What the formulas of operators are made of."""

from __future__ import annotations

from fractions import Fraction

from crosscheck.formulas.tree import (
    Call,
    Cases,
    Comparison,
    Expression,
    Number,
    Product,
    Scaled,
    Square,
    Sum,
    Term,
)
from crosscheck.numbers.piecewise import Piecewise, Polynomial
from crosscheck.operators.operator import Attribute, exact

__all__ = ["larger", "number", "piece_by_piece", "scaled", "smaller"]

_LARGEST_DENOMINATOR = 99


def number(value: Attribute) -> Number:
    """An attribute, or any number, as it is shown."""
    return Number(exact(value))


def larger(left: Expression, right: Expression) -> Call:
    """max(left, right)."""
    return Call("max", (left, right))


def smaller(left: Expression, right: Expression) -> Call:
    """min(left, right)."""
    return Call("min", (left, right))


def scaled(factor: Attribute, body: Expression) -> Expression:
    """A constant times ``body``, as a fraction in front of it where that is short."""
    scale = exact(factor)
    if scale == 1:
        return body
    is_short = scale > 0 and scale.denominator <= _LARGEST_DENOMINATOR
    return Scaled(scale, body) if is_short else Term(scale, (body,))


def piece_by_piece(function: Piecewise, z: Expression) -> Expression:
    """A function of ``z``, each of its pieces up to a breakpoint."""
    *pieces, last = (_polynomial(piece, z) for piece in function.pieces)
    conditions = (Comparison(z, "≤", Number(point)) for point in function.breakpoints)
    return Cases(tuple(zip(pieces, conditions, strict=True)), last) if pieces else last


def _polynomial(coefficients: Polynomial, z: Expression) -> Expression:
    terms = [_term(c, power, z) for power, c in enumerate(coefficients) if c]
    if not terms:
        return Number(Fraction(0))
    return terms[0] if len(terms) == 1 else Sum(tuple(reversed(terms)))


def _term(coefficient: Fraction, power: int, z: Expression) -> Expression:
    if power == 0:
        return Number(coefficient)
    factor = (z, Square(z))[power - 1] if power < 3 else Product((z,) * power)
    return factor if coefficient == 1 else Term(coefficient, (factor,))
