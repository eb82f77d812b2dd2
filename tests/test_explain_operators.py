"""A network of operators is explained by its operators' formulas, which are what is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_explain_formats import checked, is_balanced

from crosscheck.cli import main
from crosscheck.explain.document import FORMATS, Document
from crosscheck.explain.operators import explain_composed
from crosscheck.formulas import text
from crosscheck.formulas.tree import (
    Absolute,
    Call,
    Cases,
    Comparison,
    Difference,
    Expression,
    Number,
    Over,
    Product,
    Scaled,
    Square,
    Sum,
    Symbol,
    Term,
    Transposed,
    Words,
)
from crosscheck.network.composed import Composed
from crosscheck.network.exact import rational_of, rationals
from crosscheck.network.files import write_case
from crosscheck.network.steps import step
from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.numbers.multilinear import fraction
from crosscheck.operators.elementwise import activation
from crosscheck.operators.operator import Operator
from crosscheck.operators.registry import known
from crosscheck.program.evaluate import values_of
from crosscheck.program.exact import BITS, OnExact
from crosscheck.tools.errors import UsageError

ROUNDED = ("elementary", "softmax", "log_softmax")
SPARE = 8
"""Bits that a few roundings may take."""

POINTS = (-7.0, -3.0, -1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 6.0, 8.5)


def value_of(it: Expression, values: Mapping[str, Fraction]) -> Fraction:
    """The value of a formula in which every array is one number."""

    def of(inner: Expression) -> Fraction:
        return value_of(inner, values)

    match it:
        case Symbol(letter=letter):
            return values[letter]
        case Number(value=value):
            return value
        case Term(coefficient=value, factors=factors):
            return value * of(Product(factors))
        case Product(factors=(first, *others)):
            return of(first) * of(Product(tuple(others))) if others else of(first)
        case Sum(terms=terms):
            return sum(map(of, terms), Fraction(0))
        case Difference(left=left, right=right):
            return of(left) - of(right)
        case Square(base=base):
            return of(base) ** 2
        case Scaled(scale=scale, body=body):
            return scale * of(body)
        case Over(body=inner) | Transposed(matrix=inner) | Call(name="mean", arguments=(inner,)):
            return of(inner)
        case Absolute(body=body):
            return abs(of(body))
        case Call(name=name, arguments=arguments):
            return called(name, [of(each) for each in arguments if not isinstance(each, Words)])
        case Cases(pieces=pieces, other=other):
            for piece, condition in pieces:
                assert isinstance(condition, Comparison)
                assert condition.sign == "≤"
                if of(condition.left) <= of(condition.right):
                    return of(piece)
            return of(other)
    raise TypeError(it)


def called(name: str, operands: list[Fraction]) -> Fraction:
    """A function by the name that is shown, of numbers, or of arrays of one number each."""
    if name in ("max", "min"):
        return max(operands) if name == "max" else min(operands)
    if name in ("softmax", "layernorm", "batchnorm", "logsoftmax", "-logsoftmax"):
        return Fraction(int(name == "softmax"))  # of one number: all of it, and no deviation
    if name == "quotient":
        one = called("reciprocal", operands[1:])
        return operands[0] * one
    if name == "rmsnorm":
        squares = operands[0] ** 2 + Fraction(known()["rms_norm"].attributes["eps"])
        return operands[0] * called("rsqrt", [squares])
    if name == "pow":
        name = f"power_{float(operands.pop()):g}"
    number = np.array([rational_of(operands[0])], dtype=object)
    exact = OnExact(rational_of).elementary(number, ELEMENTARY[name], 0, name)
    return fraction(exact[0])


def of_one(operator: Operator) -> dict[str, Any]:
    """What an operator needs besides for one row and one feature."""
    return {"classes": 0} if "classes" in operator.attributes else {}


def uses() -> list[Any]:
    """Operators of numbers by themselves, with their defaults and with each of their variants."""
    return [
        pytest.param(operator, {**settings, **of_one(operator)}, id=f"{operator.name}-{number}")
        for operator in known().values()
        if operator.role in ("activation", "loss") or operator.name in ("dense", "add")
        for number, settings in enumerate(({}, *operator.variants))
    ]


def single(operator: Operator, settings: Mapping[str, Any], numbers: list[float]) -> Composed:
    """A network of one operator, and a loss if it is none, in which every array is one number."""
    names = [f"{operand}_" for operand in operator.operands]
    steps = [step("result", operator.name, *names, **settings)]
    own = operator.parameters((1, 1), 1)
    arrays = {
        name: np.full(own.get(operand, (1, 1)), value)
        for name, operand, value in zip(names, operator.operands, numbers, strict=True)
    }
    parameters = {name: array for name, array in arrays.items() if name[:-1] in own}
    inputs = {name: array for name, array in arrays.items() if name[:-1] not in own}
    if operator.role != "loss":
        steps.append(step("loss", "squared_error", "result", "target"))
        inputs["target"] = np.zeros((1, 1))
    return Composed.of(steps, parameters, inputs)


@pytest.mark.parametrize(("operator", "settings"), uses())
def test_the_formula_that_is_shown_is_the_function_that_is_computed(
    operator: Operator, settings: Mapping[str, Any]
) -> None:
    for number, point in enumerate(POINTS):
        numbers = [point, *POINTS[number - 3 :], *POINTS][: len(operator.operands)]
        case = single(operator, settings, numbers)
        first = case.steps[0]
        arrays = {name: rationals(array) for name, array in case.entries()}
        computed = values_of(case.program, OnExact(rational_of), arrays)[case.results["result"]]
        symbols = {name: Symbol(name) for name in operator.operands}
        formula = operator.formula(**symbols, **first.settings)
        shown = value_of(formula, dict(zip(operator.operands, map(Fraction, numbers), strict=True)))
        found = Fraction(str(np.asarray(computed).item()))
        # Rationals are exact, but for functions that are no rationals (`OnExact`).
        is_near = abs(found - shown) * Fraction(2) ** (BITS - SPARE) <= abs(shown)
        is_rational = not set(ROUNDED) & {node.op for node in case.program.nodes}
        assert found == shown if is_rational else is_near, text.expression(formula)


def test_a_function_without_a_formula_is_written_piece_by_piece() -> None:
    operator = activation(known()["hard_sigmoid"].unit, {})  # type: ignore[arg-type]
    formula = operator.formula(z=Symbol("h", 1))
    assert text.expression(formula) == "0 for h1 ≤ −3, 1/6 · h1 + 0.5 for h1 ≤ 3, else 1"


def test_a_formula_in_words_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"relu: formula 'max\(z, 0\)', wanted a function"):
        replace(known()["relu"], formula="max(z, 0)")  # type: ignore[arg-type]


CASE = Composed.of(
    [
        step("h1", "dense", "x", "W1", "b1"),
        step("h2", "leaky_relu", "h1", slope=0.25),
        step("h3", "dense", "h2", "W2", None),
        step("h4", "add", "h3", "h2"),
        step("below", "prelu", "h4", "alpha"),
        step("loss", "huber", "below", "y", delta=0.5, factor="1/3", reduction="mean"),
    ],
    {
        "W1": np.array([[1, -2], [0.5, 3]]),
        "b1": np.array([1, 0.5]),
        "W2": np.array([[1, -2], [0.25, 3]]),
        "alpha": np.array([0.5, -1]),
    },
    {"x": np.array([[1, 1], [2, 0.5]]), "y": np.eye(2)},
)


@pytest.fixture(scope="module")
def document() -> Document:
    return explain_composed(CASE, label="mine & <yours>")


def test_each_step_is_a_formula_in_the_names_of_the_network(document: Document) -> None:
    out = " ".join(document.render("text").split())
    for line in (
        "h1 = x · W1ᵀ + b1 = [[0, 4], [2, 3]]",
        "h2 = max(h1, 0) + 0.25 · min(h1, 0) = [[0, 4], [2, 3]]",
        "h4 = h3 + h2 =",
        "below = max(h4, 0) + alpha · min(h4, 0) =",
        "J = 1/3 mean(½ (below[r,i] − y[r,i])² for |below[r,i] − y[r,i]| ≤ 0.5, else 0.5 · "
        "(|below[r,i] − y[r,i]| − 0.25)) =",
    ):
        assert line in out


def test_every_format_of_a_network_of_operators_is_well_formed(document: Document) -> None:
    latex = document.render("latex")
    assert latex.isascii()
    assert is_balanced(latex)
    assert r"\begin{cases}" in latex
    assert is_balanced("\n".join(document.render("markdown").split("$$")[1::2]))
    assert checked(document.render("html")).faults == []
    assert max(map(len, document.render("text").splitlines())) <= 80


@pytest.mark.parametrize("form", FORMATS)
def test_the_command_explains_a_network_of_operators(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_case(CASE, tmp_path / "case.json")
    arguments = ["--case", str(tmp_path / "case.json"), "--frameworks", "none", "--format", form]
    assert main(["explain", *arguments]) == 0
    assert "leaky" in capsys.readouterr().out


def test_a_large_array_is_not_written_out() -> None:
    steps = [step("h", "relu", "x"), step("loss", "absolute_error", "h", "y")]
    large = Composed.of(steps, {}, {"x": np.ones((6, 6)), "y": np.zeros((6, 6))})
    assert "h = max(x, 0) = 6 × 6 numbers" in explain_composed(large).render("text")
