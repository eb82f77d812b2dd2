"""Formulas as plain text, on one line."""

from __future__ import annotations

from collections.abc import Sequence

from crosscheck.formulas import tree
from crosscheck.formulas.nodes import Expression, Sign
from crosscheck.formulas.writing import Dialect

__all__ = ["DIALECT", "expression"]

_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SHORT = {"1/2": "½", "1/4": "¼"}


def expression(it: Expression) -> str:
    """A formula as text."""
    return DIALECT.write(it)


def _symbol(it: tree.Symbol, parts: Sequence[str]) -> str:
    at = f"[{','.join(map(str, it.index))}]" if it.index else ""
    return f"{it.letter}{'' if it.layer is None else it.layer}{at}"


def _number(it: tree.Number, parts: Sequence[str]) -> str:
    return (DIALECT.signs[Sign.NEGATIVE] if it.is_negative else "") + DIALECT.digits(it)


def _chain(it: tree.Chain, parts: Sequence[str]) -> str:
    return " ".join(parts)


def _scaled(it: tree.Scaled, parts: Sequence[str]) -> str:
    return f"{_SHORT.get(str(it.scale), str(it.scale))} {parts[0]}"


def _over(it: tree.Over, parts: Sequence[str]) -> str:
    letters = ",".join(letter for letter, _ in it.indices)
    return f"Σ_{letters} {parts[0]}" if letters else f"Σ {parts[0]}"


def _cases(it: tree.Cases, parts: Sequence[str]) -> str:
    pieces, other = it.in_pieces(parts)
    told = ", ".join(f"{piece} for {when}" for piece, when in pieces)
    return f"{told}, else {other}"


def _matrix(it: tree.Matrix, parts: Sequence[str]) -> str:
    rows = [f"[{', '.join(row)}]" for row in it.in_rows(parts)]
    return rows[0] if len(rows) == 1 else f"[{', '.join(rows)}]"


DIALECT = Dialect(
    spellings={
        tree.Symbol: _symbol,
        tree.Number: _number,
        tree.Words: lambda it, parts: it.text,
        tree.Term: _chain,
        tree.Product: _chain,
        tree.Sum: _chain,
        tree.Difference: _chain,
        tree.Partial: lambda it, parts: f"∂{parts[0]}/∂{parts[1]}",
        tree.Square: lambda it, parts: f"{parts[0]}²",
        tree.Scaled: _scaled,
        tree.Call: lambda it, parts: f"{it.name}({', '.join(parts)})",
        tree.Over: _over,
        tree.Matrix: _matrix,
        tree.Transposed: lambda it, parts: f"{parts[0]}ᵀ",
        tree.Absolute: lambda it, parts: f"|{parts[0]}|",
        tree.Comparison: lambda it, parts: f"{parts[0]} {it.sign} {parts[1]}",
        tree.Cases: _cases,
    },
    numerals={
        "decimal": str,
        "power": lambda exponent: f"2{exponent.translate(_RAISED)}",
        "ratio": lambda top, bottom: f"{top}/{bottom}",
        "scientific": lambda mantissa, exponent: f"{mantissa}e{int(exponent):+03d}",
    },
    signs={
        Sign.NONE: "",
        Sign.NEGATIVE: "−",
        Sign.PLUS: "+ ",
        Sign.MINUS: "− ",
        Sign.TIMES: "· ",
    },
    brackets=("(", ")"),
)
"""Plain text."""
