"""SymPy's closed formulas for the loss and the gradient, and their values at the case."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from operator import attrgetter
from typing import Any

import numpy as np

from crosscheck.explain.document import Block, Formulas, Paragraph, Section
from crosscheck.explain.steps import Derivation
from crosscheck.formulas.tree import (
    Call,
    Expression,
    Line,
    Number,
    Product,
    Scaled,
    Square,
    Sum,
    Symbol,
    Term,
)
from crosscheck.network.dense import Case
from crosscheck.network.names import EntryName, array_name
from crosscheck.numbers.multilinear import fraction
from crosscheck.tools.errors import UsageError

__all__ = ["closed_formulas", "require_short"]

_MOST_PATHS = 64
"""Paths from an input to an output, over all rows: a formula has a term for each."""
_MOST_FORMULAS = 64


def require_short(case: Case, entry: EntryName | None) -> None:
    """Refuse closed formulas that would fill pages.

    Args:
        case: The case.
        entry: The only entry that is wanted; ``None`` for all.

    Raises:
        UsageError: They would.
    """
    paths = case.rows * math.prod(case.network.widths)
    if paths > _MOST_PATHS:
        raise UsageError(
            f"--symbolic: the network has {paths} paths from an input to an output, and a formula "
            f"has a term for each; wanted at most {_MOST_PATHS}: take fewer units, rows or layers"
        )
    number = sum(array.size for name, array in case.entries() if name != "y")
    if entry is None and number > _MOST_FORMULAS:
        raise UsageError(
            f"--symbolic: {number} formulas, wanted at most {_MOST_FORMULAS}; ask for one entry, "
            f"as in --entry W1[0,0]"
        )


def closed_formulas(derivation: Derivation, entry: EntryName | None) -> Section:
    """J and its derivatives as SymPy finds them, in the symbols of the case.

    SymPy differentiates the loss itself and shares no line with the backward pass. At a kink it
    uses H(0) = ½.

    Args:
        derivation: The case.
        entry: The only entry that is wanted; ``None`` for all.

    Raises:
        UsageError: The formulas would fill pages.
    """
    require_short(derivation.case, entry)
    blocks: tuple[Block, ...] = (
        Paragraph(
            (
                "SymPy differentiates the loss by itself. H is the Heaviside step function, the "
                "derivative of max(z, 0); SymPy sets H(0) = ½.",
            )
        ),
        Formulas(tuple(_formulas(derivation, entry))),
    )
    return Section("Closed formulas, by SymPy", blocks)


def _formulas(derivation: Derivation, entry: EntryName | None) -> Iterator[Line]:
    import sympy

    from crosscheck.network.symbolic import SymbolicNetwork

    case, names = derivation.case, derivation.names
    network = SymbolicNetwork.of(case.network, rows=case.rows, bias=case.has_bias)
    arrays = dict(case.entries())
    symbols = dict(_symbols(network, case))
    values = {
        symbol: sympy.Rational(*_ratio(arrays[name.array][name.index]))
        for name, symbol in symbols.items()
    }
    shown = {symbol: names.entry(name) for name, symbol in symbols.items()}

    def line(target: Expression, formula: Any) -> Line:
        value = derivation.show(fraction(formula.subs(values)))
        return Line((target, _expression(formula, shown), value))

    yield line(Symbol("J"), network.loss)
    for name in [entry] if entry else _order(case):
        yield line(names.derivative(names.entry(name)), network.derivative(symbols[name]))


def _expression(formula: Any, symbols: Mapping[Any, Symbol]) -> Expression:
    """SymPy's expression as one of ours.

    Raises:
        TypeError: It holds a function that no derivative of the loss has.
    """
    import sympy

    def convert(part: Any) -> Expression:
        return _expression(part, symbols)

    if formula.is_Symbol:
        return symbols[formula]
    if formula.is_Rational:
        return Number(fraction(formula))
    if formula.is_Add:
        terms = sorted(map(convert, formula.as_ordered_terms()), key=attrgetter("is_negative"))
        return Sum(tuple(terms))
    if formula.is_Mul:
        coefficient, rest = formula.as_coeff_Mul()
        factors = tuple(map(convert, rest.as_ordered_factors()))
        scale = fraction(coefficient)
        if scale == 1:
            return Product(factors)
        if scale.denominator == 1 or scale < 0:
            return Term(scale, factors)
        return Scaled(scale, factors[0] if len(factors) == 1 else Product(factors))
    if formula.is_Pow and formula.exp == 2:
        return Square(convert(formula.base))
    if isinstance(formula, sympy.Max):
        (inner,) = (argument for argument in formula.args if argument != 0)
        return Call("max", (convert(inner), Number(Fraction(0))))
    if isinstance(formula, sympy.Heaviside):
        return Call("H", (convert(formula.args[0]),))
    raise TypeError(f"{formula} of {type(formula).__name__}")


def _symbols(network: Any, case: Case) -> Iterator[tuple[EntryName, Any]]:
    for layer in range(1, case.network.depth + 1):
        for letter, arrays in (("W", network.weights), ("b", network.biases)):
            if arrays[layer - 1] is not None:
                yield from _entries(letter, layer, arrays[layer - 1])
    yield from _entries("x", None, network.x)
    yield from _entries("y", None, network.y)


def _entries(letter: str, layer: int | None, symbols: Any) -> Iterator[tuple[EntryName, Any]]:
    for index, symbol in np.ndenumerate(symbols):
        yield EntryName(letter, layer, index), symbol


def _order(case: Case) -> Iterator[EntryName]:
    """The entries of the gradient in the order of backpropagation."""
    arrays = dict(case.entries())
    for layer in range(case.network.depth, 0, -1):
        for letter in "Wb":
            array = arrays.get(array_name(letter, layer))
            if array is not None:
                for index in np.ndindex(*array.shape):
                    yield EntryName(letter, layer, index)
    for index in np.ndindex(*arrays["x"].shape):
        yield EntryName("x", None, index)


def _ratio(value: float) -> tuple[int, int]:
    return float(value).as_integer_ratio()
