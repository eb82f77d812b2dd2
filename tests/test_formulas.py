"""A formula is written with the brackets that it needs, in every dialect."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crosscheck.formulas import latex, mathml, text
from crosscheck.formulas.chains import Chain
from crosscheck.formulas.nodes import ALONE, Expression, Part, Sign
from crosscheck.formulas.numerals import numeral
from crosscheck.formulas.tree import (
    Absolute,
    Call,
    Cases,
    Comparison,
    Difference,
    Number,
    Over,
    Product,
    Scaled,
    Square,
    Sum,
    Symbol,
    Term,
    Transposed,
)
from crosscheck.formulas.writing import Dialect

DIALECTS = [text.DIALECT, latex.DIALECT, mathml.DIALECT]
IDS = ["text", "latex", "mathml"]

X, Y = Symbol("x"), Symbol("y")


def number(value: float) -> Number:
    return Number(Fraction(value))


def kinds(parent: type[Expression] = Expression) -> set[type[Expression]]:
    """The kinds of nodes of the package."""
    found = {each for each in parent.__subclasses__() if each.__module__.startswith("crosscheck.")}
    return found.union(*map(kinds, found)) - {Chain}


@pytest.mark.parametrize("dialect", DIALECTS, ids=IDS)
def test_every_kind_of_node_is_spelt(dialect: Dialect) -> None:
    assert set(dialect.spellings) == kinds()


@pytest.mark.parametrize("dialect", DIALECTS, ids=IDS)
def test_every_sign_and_every_kind_of_numeral_is_spelt(dialect: Dialect) -> None:
    assert set(dialect.signs) == set(Sign)
    values = [Fraction(3), Fraction(1, 3), Fraction(2) ** 70, Fraction(3) ** 90]
    written = [numeral(value) for value in values]
    assert {each.kind for each in written} == set(dialect.numerals)
    spelt = [dialect.write(Number(value)) for value in values]
    for each, digits in zip(spelt, written, strict=True):
        assert digits.parts[0].lstrip("-") in each.translate(str.maketrans("⁰⁷", "07"))


# Brackets: what is written is read back


class Reader:
    """The value of a formula as it is written, in text; Σ takes in all the factors that follow."""

    def __init__(self, source: str) -> None:
        self.tokens = re.findall(r"Σ_i|[xy]|f|½|²|\d+|[-−+·()]", source)
        assert "".join(self.tokens) == source.replace(" ", "")

    def read(self) -> Fraction:
        value = self.total()
        assert not self.tokens
        return value

    def take(self, *wanted: str) -> str:
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in wanted else ""

    def total(self) -> Fraction:
        negative = self.take("−")
        value = -self.product() if negative else self.product()
        while sign := self.take("+", "−"):
            value += self.product() if sign == "+" else -self.product()
        return value

    def product(self) -> Fraction:
        value = self.operand()
        while self.take("·"):
            value *= self.operand()
        return value

    def operand(self) -> Fraction:
        if self.take("Σ_i"):
            return over(self.product())
        return self.operand() / 2 if self.take("½") else self.factor()

    def factor(self) -> Fraction:
        if self.take("("):
            value = self.total()
            assert self.take(")")
        elif self.take("f"):
            return call(self.factor())
        else:
            token = self.tokens.pop(0)
            value = VALUES[token] if token in VALUES else Fraction(int(token))
        return value**2 if self.take("²") else value


VALUES = {"x": Fraction(3), "y": Fraction(-5)}


def over(value: Fraction) -> Fraction:
    """In place of a sum: a function such that it matters what it is taken of."""
    return 7 * value + 11


def call(value: Fraction) -> Fraction:
    return value + 13


def value_of(it: Expression) -> Fraction:
    """The value of a formula, from its tree."""
    match it:
        case Symbol(letter=letter):
            return VALUES[letter]
        case Number(value=value):
            return value
        case Term(coefficient=value, factors=factors):
            return value * value_of(Product(factors))
        case Product(factors=factors):
            product = Fraction(1)
            for factor in factors:
                product *= value_of(factor)
            return product
        case Sum(terms=terms):
            return sum(map(value_of, terms), Fraction(0))
        case Difference(left=left, right=right):
            return value_of(left) - value_of(right)
        case Square(base=base):
            return value_of(base) ** 2
        case Scaled(scale=scale, body=body):
            return scale * value_of(body)
        case Over(body=body):
            return over(value_of(body))
        case Call(arguments=(argument,)):
            return call(value_of(argument))
    raise TypeError(it)


def larger(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    several = st.lists(inner, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Term, st.sampled_from([Fraction(k) for k in (-2, -1, 1, 2)]), several),
        st.builds(Product, several),
        st.builds(Sum, several),
        st.builds(Difference, inner, inner),
        st.builds(Square, inner),
        st.builds(Scaled, st.just(Fraction(1, 2)), inner),
        st.builds(Over, st.just((("i", 2),)), inner),
        st.builds(lambda argument: Call("f", (argument,)), inner),
    )


FORMULAS = st.recursive(st.sampled_from((X, Y, number(-3), number(2))), larger, max_leaves=10)


@settings(max_examples=300)
@given(FORMULAS)
def test_a_formula_is_read_as_the_tree_that_it_is(formula: Expression) -> None:
    assert Reader(text.expression(formula)).read() == value_of(formula)


@settings(max_examples=100)
@given(FORMULAS)
def test_every_dialect_has_the_same_brackets(formula: Expression) -> None:
    counts = {dialect.write(formula).count("(") for dialect in DIALECTS}
    assert len(counts) == 1


@pytest.mark.parametrize(
    ("formula", "written"),
    [
        (Product((Over((("i", 2),), X), Y)), "(Σ_i x) · y"),
        (Product((X, Over((("i", 2),), Y))), "x · Σ_i y"),
        (Over((("i", 2),), Sum((X, Y))), "Σ_i (x + y)"),
        (Product((Scaled(Fraction(1, 2), Over((("i", 2),), X)), Y)), "(½ Σ_i x) · y"),
        (Scaled(Fraction(3), Sum((X, Y))), "3 (x + y)"),
        (Scaled(Fraction(1, 2), number(-3)), "½ (−3)"),
        (Sum((X, Difference(number(-2), Y))), "x + (−2 − y)"),
        (Product((Product((X, Sum((X, Y)))), number(-3))), "x · (x + y) · (−3)"),
        (Difference(X, Product((number(-3), Y))), "x − (−3 · y)"),
    ],
    ids=str,
)
def test_brackets_stand_where_it_would_be_read_as_something_else(
    formula: Expression, written: str
) -> None:
    assert text.expression(formula) == written


def test_without_its_brackets_a_formula_is_read_as_another() -> None:
    formula = Product((Over((("i", 2),), X), Y))
    bare = replace(text.DIALECT, brackets=("", "")).write(formula)
    assert Reader(bare).read() != value_of(formula)


# What operators bring along


def test_a_function_needs_no_entry_in_any_dialect() -> None:
    names = ("softshrink", "hard_tanh′", "max", "H")
    calls = [Call(name, (X,)) for name in names]
    assert [*map(text.expression, calls)] == ["softshrink(x)", "hard_tanh′(x)", "max(x)", "H(x)"]
    assert [*map(latex.expression, calls)] == [
        r"\operatorname{softshrink}(x)",
        r"\operatorname{hard\_tanh}'(x)",
        r"\max(x)",
        "H(x)",
    ]
    for name, it in zip(names, calls, strict=True):
        assert f'<mi mathvariant="normal">{name}</mi>' in mathml.inline(it)


HUBER = Cases(
    ((Scaled(Fraction(1, 2), Square(X)), Comparison(Absolute(X), "≤", Symbol("delta"))),),
    Product((Symbol("delta"), Difference(Absolute(X), Scaled(Fraction(1, 2), Symbol("delta"))))),
)


def test_a_formula_with_cases_is_written_in_every_dialect() -> None:
    assert text.expression(HUBER) == ("½ (x)² for |x| ≤ delta, else delta · (|x| − ½ delta)")
    assert latex.expression(HUBER) == (
        r"\begin{cases} \tfrac{1}{2} (x)^2 & \text{for } \lvert x \rvert \le \delta \\ "
        r"\delta \cdot (\lvert x \rvert - \tfrac{1}{2} \delta) & \text{else} \end{cases}"
    )
    assert "<mo>{</mo><mtable><mtr><mtd>" in mathml.inline(HUBER)


def test_cases_in_a_larger_formula_stand_in_brackets() -> None:
    cases = Cases(((X, Comparison(X, ">", number(0))),), number(0))
    for formula, written in (
        (Over((), cases), "Σ (x for x > 0, else 0)"),
        (Sum((cases, Y)), "(x for x > 0, else 0) + y"),
        (Call("f", (cases,)), "f(x for x > 0, else 0)"),
        (Call("f", (cases, Y)), "f((x for x > 0, else 0), y)"),
        (Cases(((cases, Comparison(Y, "<", X)),), Y), "(x for x > 0, else 0) for y < x, else y"),
    ):
        assert text.expression(formula) == written


def test_matrices_and_names_of_several_letters_are_written_in_every_dialect() -> None:
    layer = Sum((Product((Symbol("below"), Transposed(Symbol("W", 1)))), Symbol("b", 1)))
    assert text.expression(layer) == "below · W1ᵀ + b1"
    assert latex.expression(layer) == r"\mathit{below} \cdot W_{1}^T + b_{1}"
    assert "<msup><msub><mi>W</mi><mn>1</mn></msub><mi>T</mi></msup>" in mathml.inline(layer)


@dataclass(frozen=True)
class Floor(Expression):
    """⌊of⌋, a kind of node that the package does not have."""

    of: Expression

    def parts(self) -> tuple[Part, ...]:
        return (Part(self.of, ALONE),)


SPELLINGS: Mapping[str, Callable[[Floor, Sequence[str]], str]] = {
    "text": lambda it, parts: f"⌊{parts[0]}⌋",
    "latex": lambda it, parts: rf"\lfloor {parts[0]} \rfloor",
    "mathml": lambda it, parts: f"<mrow><mo>⌊</mo>{parts[0]}<mo>⌋</mo></mrow>",
}


def with_floor() -> Iterator[Dialect]:
    for name, dialect in zip(IDS, DIALECTS, strict=True):
        yield replace(dialect, spellings={**dialect.spellings, Floor: SPELLINGS[name]})


def test_a_new_kind_of_node_is_a_class_and_a_line_in_each_dialect() -> None:
    loss = Scaled(Fraction(1, 2), Sum((Floor(Difference(X, number(-1))), Floor(number(-2)))))
    assert [dialect.write(loss) for dialect in with_floor()][:2] == [
        "½ (⌊x − (−1)⌋ + ⌊−2⌋)",
        r"\tfrac{1}{2} (\lfloor x - (-1) \rfloor + \lfloor -2 \rfloor)",
    ]
    assert not Floor(Number(Fraction(1, 3**40))).is_exact


@pytest.mark.parametrize("dialect", DIALECTS, ids=IDS)
def test_a_kind_that_a_dialect_has_no_word_for_is_refused(dialect: Dialect) -> None:
    with pytest.raises(KeyError, match="Floor"):
        dialect.write(Floor(X))
