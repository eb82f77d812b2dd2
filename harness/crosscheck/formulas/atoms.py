"""The nodes of a formula that are not made of others."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from crosscheck.formulas.nodes import Expression
from crosscheck.formulas.numerals import numeral

__all__ = ["Index", "Number", "Symbol", "Words"]

Index: TypeAlias = int | str


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
