"""Formulas as trees: the little that a derivation needs, for every dialect to spell in its way.

A kind of node says how tightly it binds and what its parts are, each with its place and the sign
in front of it (`crosscheck.formulas.nodes`); `crosscheck.formulas.writing` derives every bracket
from that.

A `Line` is a chain of equals, ∂J/∂w2 = ∂J/∂a2 · ∂a2/∂z2 · ∂z2/∂w2 = 2 · 1 · 2 = 4. Where a
number cannot be written shortly without loss, the relation in front of it is ≈ (`relation`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from crosscheck.formulas.nodes import (
    BRACKETED,
    OPERAND,
    TERM,
    Binding,
    Expression,
    Part,
    Place,
    Sign,
)
from crosscheck.formulas.numerals import numeral

__all__ = [
    "Call",
    "Chain",
    "Difference",
    "Expression",
    "Group",
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
    "relation",
]

Index: TypeAlias = int | str


# -- what is not made of others ----------------------------------------------------------------


@dataclass(frozen=True)
class Symbol(Expression):
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
class Number(Expression):
    """A rational number.

    Attributes:
        value: The number.
        rounded: Whether it is itself a rounded one.
    """

    value: Fraction
    rounded: bool = False

    @property
    def is_negative(self) -> bool:
        """Whether it is less than zero."""
        return self.value < 0

    @property
    def is_exact(self) -> bool:
        """Whether it is written as it is."""
        return not self.rounded and numeral(self.value).exact


@dataclass(frozen=True)
class Words(Expression):
    """Something said in words inside a formula."""

    text: str


# -- terms and factors in a row ----------------------------------------------------------------


class Group(NamedTuple):
    """A term or factor of a chain, and the parts that it is written as."""

    member: Expression
    parts: tuple[Part, ...]


class Chain(Expression):
    """Terms or factors in a row, each with its sign."""

    def groups(self) -> Iterator[Group]:
        """The terms or factors; between two of them a line may be broken."""
        raise NotImplementedError

    def parts(self) -> tuple[Part, ...]:
        """Those of all groups."""
        return tuple(part for group in self.groups() for part in group.parts)


@dataclass(frozen=True)
class Term(Chain):
    """A number times other factors, one term of a polynomial; ±1 is written as a sign only."""

    coefficient: Fraction
    factors: tuple[Expression, ...]

    binding: ClassVar[Binding] = Binding.PRODUCT

    def groups(self) -> Iterator[Group]:
        """The factors; the number stands with the first."""
        size = abs(self.coefficient)
        number = () if size == 1 else (Number(size),)
        groups = _in_a_row((*number, *self.factors), minus=False)
        together = len(number) + 1
        parts = [part for group in groups[:together] for part in group.parts]
        if self.coefficient < 0:
            parts[0] = replace(parts[0], sign=Sign.NEGATIVE)
        yield Group(self.factors[0], tuple(parts))
        yield from groups[together:]


@dataclass(frozen=True)
class Product(Chain):
    """Factors with a dot between them."""

    factors: tuple[Expression, ...]

    binding: ClassVar[Binding] = Binding.PRODUCT

    def groups(self) -> Iterator[Group]:
        """The factors."""
        return iter(_in_a_row(self.factors))


@dataclass(frozen=True)
class Sum(Chain):
    """Terms with a plus between them, or a minus in front of a number that has one."""

    terms: tuple[Expression, ...]

    binding: ClassVar[Binding] = Binding.SUM

    def groups(self) -> Iterator[Group]:
        """The terms."""
        first, *others = self.terms
        yield Group(first, (Part(first),))
        for term in others:
            yield Group(term, _further_term(term))


@dataclass(frozen=True)
class Difference(Chain):
    """left − right."""

    left: Expression
    right: Expression

    binding: ClassVar[Binding] = Binding.SUM

    def groups(self) -> Iterator[Group]:
        """The two."""
        yield Group(self.left, (Part(self.left),))
        yield Group(self.right, (Part(self.right, OPERAND, Sign.MINUS),))


def _in_a_row(factors: Sequence[Expression], *, minus: bool = True) -> list[Group]:
    """Factors with their parts; those of a product among them stand in its place.

    Args:
        factors: The factors.
        minus: Whether the first may begin with a minus.
    """
    flat = [_flat(factor) for factor in factors]
    last = sum(map(len, flat)) - 1
    groups, at = [], 0
    for factor, inner in zip(factors, flat, strict=True):
        parts = []
        for each in inner:
            place = Place(Binding.PRODUCT, minus=minus and at == 0, sigma=at == last)
            parts.append(Part(each, place, Sign.TIMES if at else Sign.NONE))
            at += 1
        groups.append(Group(factor, tuple(parts)))
    return groups


def _flat(factor: Expression) -> list[Expression]:
    """The factors of a product of products; of anything else, itself."""
    if not isinstance(factor, Product):
        return [factor]
    return [each for inner in factor.factors for each in _flat(inner)]


def _further_term(term: Expression) -> tuple[Part, ...]:
    """The parts of a term of a sum that is not the first."""
    if term.is_negative:
        match term:
            case Number(value=value):
                return (Part(replace(term, value=-value), TERM, Sign.MINUS),)
            case Term(coefficient=value):
                return (Part(replace(term, coefficient=-value), TERM, Sign.MINUS),)
            case Product(factors=factors):
                # A product keeps its numbers as they are: 2 · 1 + (−3) · 4.
                groups = _in_a_row(factors, minus=False)
                first, *others = (part for group in groups for part in group.parts)
                return (replace(first, sign=Sign.PLUS), *others)
    return (Part(term, TERM, Sign.PLUS),)


# -- what else is made of others ---------------------------------------------------------------


@dataclass(frozen=True)
class Partial(Expression):
    """∂of/∂by."""

    of: Symbol
    by: Symbol

    def parts(self) -> tuple[Part, ...]:
        """The two symbols."""
        return Part(self.of), Part(self.by)


@dataclass(frozen=True)
class Square(Expression):
    """base²."""

    base: Expression

    def parts(self) -> tuple[Part, ...]:
        """The base, always in brackets."""
        return (Part(self.base, BRACKETED),)


@dataclass(frozen=True)
class Scaled(Expression):
    """A positive fraction such as ½ in front of something."""

    scale: Fraction
    body: Expression

    binding: ClassVar[Binding] = Binding.PRODUCT

    def parts(self) -> tuple[Part, ...]:
        """The body."""
        return (Part(self.body, OPERAND),)


@dataclass(frozen=True)
class Call(Expression):
    """A function of something.

    Attributes:
        name: Its name, as ``ReLU``, ``max``, or ``H`` for the Heaviside step function; ``′``
            at the end of it stands for its derivative.
        arguments: What it is a function of.
    """

    name: str
    arguments: tuple[Expression, ...]

    def parts(self) -> tuple[Part, ...]:
        """The arguments."""
        return tuple(map(Part, self.arguments))


@dataclass(frozen=True)
class Over(Expression):
    """Σ over indices, each from 0 up to a count."""

    indices: tuple[tuple[str, int], ...]
    body: Expression

    binding: ClassVar[Binding] = Binding.PRODUCT

    def parts(self) -> tuple[Part, ...]:
        """The body."""
        return (Part(self.body, OPERAND),)

    @property
    def has_open_sigma(self) -> bool:
        """It is one."""
        return True


@dataclass(frozen=True)
class Matrix(Expression):
    """Numbers in rows; a vector is one row."""

    rows: tuple[tuple[Expression, ...], ...]

    def parts(self) -> tuple[Part, ...]:
        """The entries, row by row."""
        return tuple(Part(entry) for row in self.rows for entry in row)

    def in_rows(self, written: Sequence[str]) -> list[list[str]]:
        """Its parts as they are written, in rows again."""
        entries = iter(written)
        return [[next(entries) for _ in row] for row in self.rows]


# -- lines -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A chain of equals.

    Attributes:
        chain: Its members, the quantity in question first.
        note: A few words beside it.
    """

    chain: tuple[Expression, ...]
    note: str = ""


def relation(expression: Expression) -> Literal["=", "≈"]:
    """≈ in front of an expression that is written with a rounded number, else =."""
    return "=" if expression.is_exact else "≈"
