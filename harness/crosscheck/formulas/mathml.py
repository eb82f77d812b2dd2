"""Formulas as MathML, the part of it that browsers know (MathML Core)."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from crosscheck.formulas import tree
from crosscheck.formulas.nodes import Expression, Sign
from crosscheck.formulas.tree import relation
from crosscheck.formulas.writing import Dialect

__all__ = ["DIALECT", "inline", "members"]

_FULL = ' displaystyle="true"'
_DOT = "<mo>·</mo>"
_OPENING, _CLOSING = "<mo>(</mo>", "<mo>)</mo>"


def inline(it: Expression, *, full: bool = False) -> str:
    """A formula as a ``math`` element.

    Args:
        it: The formula.
        full: Whether fractions are set at full height, as in a displayed formula.
    """
    return f"<math{_FULL if full else ''}>{DIALECT.write(it)}</math>"


def members(it: Expression) -> list[str]:
    """A member of a chain with its relation, as elements between which a line may be broken."""
    pieces = [DIALECT.write(it)]
    if isinstance(it, tree.Sum):
        pieces = list(map("".join, DIALECT.groups(it)))
    pieces[0] = _operator(relation(it)) + pieces[0]
    return [f"<math{_FULL}>{piece}</math>" for piece in pieces]


def _operator(sign: str) -> str:
    """A relation or a sign between two elements."""
    # At the beginning of an element it would be taken for a prefix, and set without spaces.
    return f'<mo form="infix" rspace="0.28em">{html.escape(sign)}</mo>'


def _row(*parts: str) -> str:
    return f"<mrow>{''.join(parts)}</mrow>"


def _list(parts: Iterable[str]) -> str:
    return "<mo>,</mo>".join(parts)


def _symbol(it: tree.Symbol, parts: Sequence[str]) -> str:
    letter = f"<mi>{html.escape(it.letter)}</mi>"
    if not it.index:
        return letter if it.layer is None else f"<msub>{letter}<mn>{it.layer}</mn></msub>"
    below = _row(
        _list(f"<mn>{at}</mn>" if isinstance(at, int) else f"<mi>{at}</mi>" for at in it.index)
    )
    if it.layer is None:
        return f"<msub>{letter}{below}</msub>"
    above = _row(_OPENING, f"<mn>{it.layer}</mn>", _CLOSING)
    return f"<msubsup>{letter}{below}{above}</msubsup>"


def _number(it: tree.Number, parts: Sequence[str]) -> str:
    digits = DIALECT.digits(it)
    return _row(DIALECT.signs[Sign.NEGATIVE], digits) if it.is_negative else digits


def _chain(it: tree.Chain, parts: Sequence[str]) -> str:
    return _row(*parts)


def _partial(it: tree.Partial, parts: Sequence[str]) -> str:
    return f"<mfrac>{''.join(_row('<mi>∂</mi>', part) for part in parts)}</mfrac>"


def _scaled(it: tree.Scaled, parts: Sequence[str]) -> str:
    top, bottom = it.scale.as_integer_ratio()
    return _row(f"<mn>{top}</mn>" if bottom == 1 else _ratio(str(top), str(bottom)), *parts)


def _call(it: tree.Call, parts: Sequence[str]) -> str:
    arguments = _row(_OPENING, _list(parts), _CLOSING)
    return _row(f'<mi mathvariant="normal">{html.escape(it.name)}</mi>', arguments)


def _over(it: tree.Over, parts: Sequence[str]) -> str:
    letters = _row(_list(f"<mi>{letter}</mi>" for letter, _ in it.indices))
    return _row(f"<munder><mo>∑</mo>{letters}</munder>" if it.indices else "<mo>∑</mo>", *parts)


def _matrix(it: tree.Matrix, parts: Sequence[str]) -> str:
    rows = "".join(
        f"<mtr>{''.join(f'<mtd>{entry}</mtd>' for entry in row)}</mtr>" for row in it.in_rows(parts)
    )
    return _row(_OPENING, f"<mtable>{rows}</mtable>", _CLOSING)


def _cases(it: tree.Cases, parts: Sequence[str]) -> str:
    pieces, other = it.in_pieces(parts)
    rows = "".join(
        f"<mtr><mtd>{piece}</mtd><mtd><mtext>for </mtext>{when}</mtd></mtr>"
        for piece, when in pieces
    )
    rows += f"<mtr><mtd>{other}</mtd><mtd><mtext>else</mtext></mtd></mtr>"
    return _row("<mo>{</mo>", f"<mtable>{rows}</mtable>")


def _ratio(top: str, bottom: str) -> str:
    return f"<mfrac><mn>{top}</mn><mn>{bottom}</mn></mfrac>"


def _power(base: str, exponent: str) -> str:
    return f"<msup><mn>{base}</mn><mn>{exponent.replace('-', '−')}</mn></msup>"


DIALECT = Dialect(
    spellings={
        tree.Symbol: _symbol,
        tree.Number: _number,
        tree.Words: lambda it, parts: f"<mtext>{html.escape(it.text)}</mtext>",
        tree.Term: _chain,
        tree.Product: _chain,
        tree.Sum: _chain,
        tree.Difference: _chain,
        tree.Partial: _partial,
        tree.Square: lambda it, parts: f"<msup>{parts[0]}<mn>2</mn></msup>",
        tree.Scaled: _scaled,
        tree.Call: _call,
        tree.Over: _over,
        tree.Matrix: _matrix,
        tree.Transposed: lambda it, parts: f"<msup>{parts[0]}<mi>T</mi></msup>",
        tree.Absolute: lambda it, parts: _row("<mo>|</mo>", *parts, "<mo>|</mo>"),
        tree.Comparison: lambda it, parts: _row(parts[0], _operator(it.sign), parts[1]),
        tree.Cases: _cases,
    },
    numerals={
        "decimal": lambda digits: f"<mn>{digits}</mn>",
        "power": lambda exponent: _power("2", exponent),
        "ratio": _ratio,
        "scientific": lambda mantissa, exponent: _row(
            f"<mn>{mantissa}</mn>", _DOT, _power("10", exponent)
        ),
    },
    signs={
        Sign.NONE: "",
        Sign.NEGATIVE: '<mo form="prefix">−</mo>',
        Sign.PLUS: _operator("+"),
        Sign.MINUS: _operator("−"),
        Sign.TIMES: _DOT,
    },
    brackets=(f"<mrow>{_OPENING}", f"{_CLOSING}</mrow>"),
)
"""MathML Core."""
