"""Arithmetic of any precision, exactly simulated: every operation rounded as a format says.

The numbers are `fractions.Fraction`. Sums are taken in random trees, multiplications fused into
additions at random, subnormals flushed at random where that is allowed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from crosscheck.numbers import formats
from crosscheck.numbers.formats import Format, add_format

__all__ = ["NINE_BITS", "Overflow", "Toy", "one_more_format"]

NINE_BITS = Format("nine_bits", precision=4, emin=-14, emax=15)
"""A format that nobody has: 5 bits of exponent, 4 of significand."""


@contextmanager
def one_more_format(form: Format) -> Iterator[None]:
    """A block in which the table of formats has one more."""
    add_format(form)
    try:
        yield
    finally:
        del formats._FORMATS[form.name]


class Overflow(Exception):
    """A result beyond the format's largest number."""


@dataclass
class Toy:
    """One way of evaluating: a format, and dice for everything that is left open.

    Attributes:
        form: The format that results are rounded to.
        rng: The dice.
        flush: Whether subnormals may be replaced by zero, as results and as operands.
    """

    form: Format
    rng: random.Random
    flush: bool = False

    def rounded(self, exact: Fraction) -> Fraction:
        """The result of an operation whose exact result is ``exact``."""
        if exact == 0:
            return exact
        size = abs(exact)
        exponent = size.numerator.bit_length() - size.denominator.bit_length()
        if size < Fraction(2) ** exponent:
            exponent -= 1
        grid = Fraction(2) ** (max(exponent, self.form.emin) - self.form.precision + 1)
        steps = exact / grid
        result = grid * round(steps)  # round: ties to even
        if abs(result) > Fraction(self.form.largest):
            raise Overflow
        return self.read(result)

    def read(self, value: Fraction) -> Fraction:
        """An operand, or a result on its way out."""
        tiny = 0 < abs(value) < Fraction(self.form.smallest_normal)
        return Fraction(0) if self.flush and tiny and self.rng.random() < 0.5 else value

    def times(self, one: Fraction, other: Fraction) -> Fraction:
        """A product."""
        return self.rounded(self.read(one) * self.read(other))

    def plus(self, one: Fraction, other: Fraction) -> Fraction:
        """A sum of two."""
        return self.rounded(self.read(one) + self.read(other))

    def dot(
        self, ones: Iterable[Any], others: Iterable[Any], addends: Iterable[Any] = ()
    ) -> Fraction:
        """Σ ones·others + Σ addends, in some order, with or without fused multiply-add."""
        waiting: list[tuple[Fraction, Fraction] | Fraction] = [
            *zip(ones, others, strict=True),
            *addends,
        ]
        self.rng.shuffle(waiting)
        while len(waiting) > 1:
            i, j = self.rng.sample(range(len(waiting)), 2)
            one, other = waiting[i], waiting[j]
            waiting = [item for k, item in enumerate(waiting) if k not in (i, j)]
            if isinstance(one, tuple) and self.rng.random() < 0.5:
                if isinstance(other, tuple):
                    other = self.times(*other)
                fused = self.read(one[0]) * self.read(one[1]) + self.read(other)
                waiting.append(self.rounded(fused))
                continue
            left = self.times(*one) if isinstance(one, tuple) else one
            right = self.times(*other) if isinstance(other, tuple) else other
            waiting.append(self.plus(left, right))
        if not waiting:
            return Fraction(0)
        (last,) = waiting
        return self.times(*last) if isinstance(last, tuple) else self.read(last)
