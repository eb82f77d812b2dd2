"""Formulas as trees: the little that a derivation needs, for every dialect to spell in its way.

A kind of node says how tightly it binds and what its parts are, each with its place and the sign
in front of it (`crosscheck.formulas.nodes`); `crosscheck.formulas.writing` derives every bracket
from that.

A `Line` is a chain of equals, ∂J/∂w2 = ∂J/∂a2 · ∂a2/∂z2 · ∂z2/∂w2 = 2 · 1 · 2 = 4. Where a
number cannot be written shortly without loss, the relation in front of it is ≈ (`relation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Literal

from crosscheck.formulas.atoms import Index, Number, Symbol, Words
from crosscheck.formulas.chains import Chain, Difference, Product, Sum, Term
from crosscheck.formulas.nodes import (
    ALONE,
    BRACKETED,
    OPERAND,
    STATEMENT,
    Binding,
    Expression,
    Part,
)

__all__ = [
    "Absolute",
    "Call",
    "Cases",
    "Chain",
    "Comparison",
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
    "Transposed",
    "Words",
    "relation",
]


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
        """The arguments; one that is alone stands in the brackets of the function."""
        place = STATEMENT if len(self.arguments) == 1 else ALONE
        return tuple(Part(argument, place) for argument in self.arguments)


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


@dataclass(frozen=True)
class Transposed(Expression):
    """The transpose of a matrix."""

    matrix: Symbol

    def parts(self) -> tuple[Part, ...]:
        """The matrix."""
        return (Part(self.matrix),)


@dataclass(frozen=True)
class Absolute(Expression):
    """|body|."""

    body: Expression

    def parts(self) -> tuple[Part, ...]:
        """The body."""
        return (Part(self.body),)


@dataclass(frozen=True)
class Comparison(Expression):
    """left < right, or the like."""

    left: Expression
    sign: Literal["<", "≤", ">", "≥"]
    right: Expression

    binding: ClassVar[Binding] = Binding.STATEMENT

    def parts(self) -> tuple[Part, ...]:
        """The two sides."""
        return Part(self.left), Part(self.right)


@dataclass(frozen=True)
class Cases(Expression):
    """One formula or another, by what is the case.

    Attributes:
        pieces: Formulas with their conditions.
        other: The formula where none of them holds.
    """

    pieces: tuple[tuple[Expression, Expression], ...]
    other: Expression

    binding: ClassVar[Binding] = Binding.STATEMENT

    def parts(self) -> tuple[Part, ...]:
        """Each piece and its condition, then the other formula."""
        pieces = [(Part(piece), Part(condition, STATEMENT)) for piece, condition in self.pieces]
        return (*(part for piece in pieces for part in piece), Part(self.other))

    @staticmethod
    def in_pieces(parts: Sequence[str]) -> tuple[list[tuple[str, str]], str]:
        """`parts` as written: each piece with its condition, and the other formula."""
        *pieces, other = parts
        return [*zip(pieces[::2], pieces[1::2], strict=True)], other


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
