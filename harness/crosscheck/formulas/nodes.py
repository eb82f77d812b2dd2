"""What every node of a formula is: how tightly it binds, and what its parts are and where.

The kinds of nodes are in `crosscheck.formulas.tree`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import ClassVar

__all__ = [
    "ALONE",
    "BRACKETED",
    "OPERAND",
    "STATEMENT",
    "TERM",
    "Binding",
    "Expression",
    "Part",
    "Place",
    "Sign",
]


class Binding(IntEnum):
    """How tightly a formula holds together, the loosest first."""

    STATEMENT = auto()
    SUM = auto()
    PRODUCT = auto()
    ATOM = auto()
    BRACKETS = auto()
    """Tighter than any formula: what is asked for where there are always brackets."""


class Sign(Enum):
    """What stands in front of a part."""

    NONE = auto()
    NEGATIVE = auto()
    """The minus of a negative number, with nothing on its left."""
    PLUS = auto()
    MINUS = auto()
    TIMES = auto()


@dataclass(frozen=True)
class Place:
    """What may stand somewhere without brackets.

    Attributes:
        binding: The loosest binding.
        minus: Whether it may begin with a minus: not behind another sign.
        sigma: Whether a Σ may reach to its end: not if more factors follow, which the Σ would
            take in.
    """

    binding: Binding
    minus: bool = True
    sigma: bool = True


STATEMENT = Place(Binding.STATEMENT)
"""Where a condition is expected."""
ALONE = Place(Binding.SUM)
"""Between brackets, commas or rules, or at the beginning of a sum."""
TERM = Place(Binding.SUM, minus=False)
"""Behind a plus."""
OPERAND = Place(Binding.PRODUCT, minus=False)
"""Behind a minus, a fraction or a Σ."""
BRACKETED = Place(Binding.BRACKETS)
"""Always in brackets."""


class Expression:
    """A node of a formula, with all below it.

    Attributes:
        binding: How tightly formulas of this kind hold together.
    """

    binding: ClassVar[Binding] = Binding.ATOM

    def parts(self) -> tuple[Part, ...]:
        """The formulas that it is made of, in the order in which they are written."""
        return ()

    @property
    def is_negative(self) -> bool:
        """Whether it begins with a minus sign, or with brackets around one that does."""
        if self.binding not in (Binding.SUM, Binding.PRODUCT):
            return False
        first = self.parts()[0]
        return first.sign is Sign.NEGATIVE or (first.place.minus and first.formula.is_negative)

    @property
    def has_open_sigma(self) -> bool:
        """Whether a Σ reaches to its end."""
        if self.binding not in (Binding.SUM, Binding.PRODUCT):
            return False
        last = self.parts()[-1]
        return last.place.sigma and last.formula.has_open_sigma

    @property
    def is_exact(self) -> bool:
        """Whether no number in it is written as a rounded one."""
        return all(part.formula.is_exact for part in self.parts())


@dataclass(frozen=True)
class Part:
    """A formula in a larger one.

    Attributes:
        formula: The formula.
        place: What may stand there without brackets.
        sign: What is written in front of it.
    """

    formula: Expression
    place: Place = ALONE
    sign: Sign = Sign.NONE
