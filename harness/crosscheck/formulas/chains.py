"""Terms or factors in a row, each with its sign and its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar, NamedTuple

from crosscheck.formulas.atoms import Number
from crosscheck.formulas.nodes import OPERAND, TERM, Binding, Expression, Part, Place, Sign

__all__ = ["Chain", "Difference", "Group", "Product", "Sum", "Term"]


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
