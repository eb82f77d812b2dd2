"""Formulas as MathML, the part of it that browsers know (MathML Core)."""

from __future__ import annotations

import html
from collections.abc import Iterable

from crosscheck.explain.expressions import (
    Call,
    Difference,
    Expression,
    Matrix,
    Number,
    Over,
    Partial,
    Product,
    Scaled,
    Square,
    Sum,
    Symbol,
    Term,
    Words,
    is_negative,
    relation,
)
from crosscheck.explain.numerals import numeral

__all__ = ["inline", "members", "operator"]

_FULL = ' displaystyle="true"'
_DOT = "<mo>·</mo>"
_MINUS = '<mo form="prefix">−</mo>'


def inline(it: Expression, *, full: bool = False) -> str:
    """A formula as a ``math`` element.

    Args:
        it: The formula.
        full: Whether fractions are set at full height, as in a displayed formula.
    """
    return f"<math{_FULL if full else ''}>{_expression(it)}</math>"


def operator(sign: str) -> str:
    """A relation or a sign between two elements."""
    # At the beginning of an element it would be taken for a prefix, and set without spaces.
    return f'<mo form="infix" rspace="0.28em">{html.escape(sign)}</mo>'


def members(it: Expression) -> list[str]:
    """A member of a chain with its relation, as elements between which a line may be broken."""
    sign = operator(relation(it))
    if not isinstance(it, Sum):
        return [f"<math{_FULL}>{sign}{_expression(it)}</math>"]
    first, *others = it.terms
    return [
        f"<math{_FULL}>{sign}{_expression(first)}</math>",
        *(f"<math{_FULL}>{_further(term)}</math>" for term in others),
    ]


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def _bracketed(inner: str) -> str:
    return _row("<mo>(</mo>", inner, "<mo>)</mo>")


def _expression(it: Expression) -> str:
    match it:
        case Symbol():
            return _symbol(it)
        case Number(value=value):
            return _row(_MINUS, _digits(it)) if value < 0 else _digits(it)
        case Term(coefficient=value, factors=factors):
            parts = [_factor(factor, first=False) for factor in factors]
            if abs(value) != 1:
                parts.insert(0, _digits(Number(abs(value))))
            return _row(_MINUS if value < 0 else "", _DOT.join(parts))
        case Partial(of=of, by=by):
            return (
                f"<mfrac>{_row('<mi>∂</mi>', _symbol(of))}{_row('<mi>∂</mi>', _symbol(by))}</mfrac>"
            )
        case Product(factors=factors):
            return _row(
                _DOT.join(_factor(factor, first=not at) for at, factor in enumerate(factors))
            )
        case Sum(terms=terms):
            return _row(_expression(terms[0]), *map(_further, terms[1:]))
        case Difference(left=left, right=right):
            subtracted = _expression(right)
            if is_negative(right) or isinstance(right, Sum | Difference):
                subtracted = _bracketed(subtracted)
            return _row(_expression(left), operator("−"), subtracted)
        case Square(base=base):
            return f"<msup>{_bracketed(_expression(base))}<mn>2</mn></msup>"
        case Scaled(scale=scale, body=body):
            inner = _expression(body)
            if isinstance(body, Sum | Difference):
                inner = _bracketed(inner)
            if scale == 1:
                return inner
            return _row(
                f"<mfrac><mn>{scale.numerator}</mn><mn>{scale.denominator}</mn></mfrac>", inner
            )
        case Call(name=name, arguments=arguments):
            inner = "<mo>,</mo>".join(map(_expression, arguments))
            return _row(f'<mi mathvariant="normal">{name}</mi>', _bracketed(inner))
        case Over(indices=indices, body=body):
            letters = "<mo>,</mo>".join(f"<mi>{letter}</mi>" for letter, _ in indices)
            return _row(f"<munder><mo>∑</mo>{_row(letters)}</munder>", _expression(body))
        case Matrix(rows=rows):
            lines = "".join(
                f"<mtr>{''.join(f'<mtd>{_expression(entry)}</mtd>' for entry in row)}</mtr>"
                for row in rows
            )
            return _row("<mo>(</mo>", f"<mtable>{lines}</mtable>", "<mo>)</mo>")
        case Words(text=words):
            return f"<mtext>{html.escape(words)}</mtext>"


def _symbol(symbol: Symbol) -> str:
    letter = f"<mi>{symbol.letter}</mi>"
    if not symbol.index:
        return letter if symbol.layer is None else f"<msub>{letter}<mn>{symbol.layer}</mn></msub>"
    below = _row(_indices(symbol.index))
    if symbol.layer is None:
        return f"<msub>{letter}{below}</msub>"
    above = _row("<mo>(</mo>", f"<mn>{symbol.layer}</mn>", "<mo>)</mo>")
    return f"<msubsup>{letter}{below}{above}</msubsup>"


def _indices(index: Iterable[int | str]) -> str:
    return "<mo>,</mo>".join(
        f"<mn>{at}</mn>" if isinstance(at, int) else f"<mi>{at}</mi>" for at in index
    )


def _further(term: Expression) -> str:
    """A term of a sum that is not the first."""
    if isinstance(term, Number):
        sign = "−" if term.value < 0 else "+"
        return operator(sign) + _digits(term)
    if isinstance(term, Term) and term.coefficient < 0:
        return operator("−") + _expression(Term(-term.coefficient, term.factors))
    inner = _factor(term, first=False) if is_negative(term) else _expression(term)
    return operator("+") + inner


def _factor(factor: Expression, *, first: bool) -> str:
    if isinstance(factor, Product):
        head, *rest = factor.factors
        return _DOT.join(
            [_factor(head, first=first), *(_factor(each, first=False) for each in rest)]
        )
    inner = _expression(factor)
    if isinstance(factor, Sum | Difference) or (is_negative(factor) and not first):
        return _bracketed(inner)
    return inner


def _digits(number: Number) -> str:
    """A number without its sign."""
    written = numeral(number.value)
    match written.kind:
        case "decimal":
            return f"<mn>{written.parts[0]}</mn>"
        case "power":
            return f"<msup><mn>2</mn><mn>{written.parts[0].replace('-', '−')}</mn></msup>"
        case "ratio":
            return f"<mfrac><mn>{written.parts[0]}</mn><mn>{written.parts[1]}</mn></mfrac>"
        case "scientific":
            power = written.parts[1].replace("-", "−")
            return _row(
                f"<mn>{written.parts[0]}</mn>", _DOT, f"<msup><mn>10</mn><mn>{power}</mn></msup>"
            )
