"""Formulas as LaTeX in math mode; they need amsmath and no other package."""

from __future__ import annotations

from collections.abc import Sequence

from crosscheck.formulas import tree
from crosscheck.formulas.nodes import Expression, Sign
from crosscheck.formulas.writing import Dialect

__all__ = ["DIALECT", "expression", "inline", "prose"]

_PROSE = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    "λ": r"$\lambda$",
    "∂": r"$\partial$",
    "≈": r"$\approx$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "−": "$-$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "½": r"$\tfrac12$",
    "‖": r"$\|$",
    "′": "$'$",
    "₋": "$_-$",
    "₊": "$_+$",
    "…": r"\dots{}",
    "—": "---",
    "‐": "-",
    "∞": r"$\infty$",
}
_LETTERS = {"λ": r"\lambda", "alpha": r"\alpha", "delta": r"\delta"}
_COMPARISONS = {"<": "<", "≤": r"\le", ">": ">", "≥": r"\ge"}
_FUNCTIONS = frozenset({"exp", "inf", "lim", "ln", "log", "max", "min", "sup", "tanh"})
"""Functions that LaTeX has a command for."""


def prose(words: str) -> str:
    """Text with every special character escaped, in ASCII."""
    return "".join(_PROSE.get(character, character) for character in words)


def expression(it: Expression) -> str:
    """A formula in math mode."""
    return DIALECT.write(it)


def inline(it: Expression) -> str:
    """A formula in math mode, low enough for a line of text."""
    if isinstance(it, tree.Partial):
        return rf"\partial {expression(it.of)} / \partial {expression(it.by)}"
    return expression(it)


def _symbol(it: tree.Symbol, parts: Sequence[str]) -> str:
    name = _LETTERS.get(it.letter, it.letter)
    if name == it.letter and len(name) > 1:
        name = rf"\mathit{{{prose(name)}}}"
    if not it.index:
        return name if it.layer is None else f"{name}_{{{it.layer}}}"
    above = "" if it.layer is None else f"^{{({it.layer})}}"
    return f"{name}{above}_{{{','.join(map(str, it.index))}}}"


def _number(it: tree.Number, parts: Sequence[str]) -> str:
    return (DIALECT.signs[Sign.NEGATIVE] if it.is_negative else "") + DIALECT.digits(it)


def _chain(it: tree.Chain, parts: Sequence[str]) -> str:
    return " ".join(parts)


def _scaled(it: tree.Scaled, parts: Sequence[str]) -> str:
    top, bottom = it.scale.as_integer_ratio()
    return rf"{top if bottom == 1 else DIALECT.numerals['ratio'](top, bottom)} {parts[0]}"


def _call(it: tree.Call, parts: Sequence[str]) -> str:
    name = it.name.rstrip("′")
    primes = "'" * (len(it.name) - len(name))
    if name in _FUNCTIONS:
        name = rf"\{name}"
    elif len(name) > 1:
        name = rf"\operatorname{{{prose(name)}}}"
    return f"{name}{primes}({', '.join(parts)})"


def _over(it: tree.Over, parts: Sequence[str]) -> str:
    letters = ",".join(letter for letter, _ in it.indices)
    return rf"\sum_{{{letters}}} {parts[0]}" if letters else rf"\sum {parts[0]}"


def _cases(it: tree.Cases, parts: Sequence[str]) -> str:
    pieces, other = it.in_pieces(parts)
    rows = [rf"{piece} & \text{{for }} {when}" for piece, when in pieces]
    rows.append(rf"{other} & \text{{else}}")
    lines = r" \\ ".join(rows)
    return rf"\begin{{cases}} {lines} \end{{cases}}"


def _matrix(it: tree.Matrix, parts: Sequence[str]) -> str:
    rows = r" \\ ".join(map(" & ".join, it.in_rows(parts)))
    return rf"\begin{{pmatrix}} {rows} \end{{pmatrix}}"


DIALECT = Dialect(
    spellings={
        tree.Symbol: _symbol,
        tree.Number: _number,
        tree.Words: lambda it, parts: rf"\text{{{prose(it.text)}}}",
        tree.Term: _chain,
        tree.Product: _chain,
        tree.Sum: _chain,
        tree.Difference: _chain,
        tree.Partial: lambda it, parts: rf"\frac{{\partial {parts[0]}}}{{\partial {parts[1]}}}",
        tree.Square: lambda it, parts: f"{parts[0]}^2",
        tree.Scaled: _scaled,
        tree.Call: _call,
        tree.Over: _over,
        tree.Matrix: _matrix,
        tree.Transposed: lambda it, parts: f"{parts[0]}^T",
        tree.Absolute: lambda it, parts: rf"\lvert {parts[0]} \rvert",
        tree.Comparison: lambda it, parts: f"{parts[0]} {_COMPARISONS[it.sign]} {parts[1]}",
        tree.Cases: _cases,
    },
    numerals={
        "decimal": str,
        "power": lambda exponent: f"2^{{{exponent}}}",
        "ratio": lambda top, bottom: rf"\tfrac{{{top}}}{{{bottom}}}",
        "scientific": lambda mantissa, exponent: rf"{mantissa} \cdot 10^{{{exponent}}}",
    },
    signs={
        Sign.NONE: "",
        Sign.NEGATIVE: "-",
        Sign.PLUS: "+ ",
        Sign.MINUS: "- ",
        Sign.TIMES: r"\cdot ",
    },
    brackets=("(", ")"),
)
"""LaTeX with amsmath."""
