"""The walk over a formula that writes it down: brackets by one rule, words from a dialect's table.

A part gets brackets where it would otherwise be read as something else: it binds more loosely
than its place allows, it begins with a minus behind another sign, or a Σ at its end would take
in the factors that follow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from crosscheck.formulas.atoms import Number
from crosscheck.formulas.chains import Chain
from crosscheck.formulas.nodes import Expression, Part, Place, Sign
from crosscheck.formulas.numerals import numeral

__all__ = ["Dialect", "Spelling", "needs_brackets"]

Spelling: TypeAlias = Callable[[Any, Sequence[str]], str]
"""A node and its parts as they are written, signs and brackets included, to the node as written."""


def needs_brackets(formula: Expression, place: Place) -> bool:
    """Whether ``formula`` would be read as something else without brackets at ``place``."""
    return (
        formula.binding < place.binding
        or (formula.is_negative and not place.minus)
        or (formula.has_open_sigma and not place.sigma)
    )


@dataclass(frozen=True)
class Dialect:
    """A way of writing formulas.

    Attributes:
        spellings: How each kind of node is spelt, by its class.
        numerals: How each kind of numeral is spelt (`crosscheck.formulas.numerals.Numeral`),
            from its parts.
        signs: How each sign is spelt, with the space behind it.
        brackets: The round brackets.
    """

    spellings: Mapping[type[Expression], Spelling]
    numerals: Mapping[str, Callable[..., str]]
    signs: Mapping[Sign, str]
    brackets: tuple[str, str]

    def write(self, formula: Expression) -> str:
        """A formula as it stands alone.

        Raises:
            KeyError: The dialect has no spelling for a kind of node in it.
        """
        return self.spellings[type(formula)](formula, [*map(self.part, formula.parts())])

    def part(self, part: Part) -> str:
        """A part with its sign, in brackets if it needs them."""
        written = self.write(part.formula)
        if needs_brackets(part.formula, part.place):
            opening, closing = self.brackets
            written = f"{opening}{written}{closing}"
        return self.signs[part.sign] + written

    def groups(self, chain: Chain) -> list[list[str]]:
        """The terms or factors of a chain, each as its parts; a line may be broken between them."""
        return [[*map(self.part, group.parts)] for group in chain.groups()]

    def digits(self, number: Number) -> str:
        """A number without its sign."""
        written = numeral(number.value)
        return self.numerals[written.kind](*written.parts)
