"""Hill climbing for the worst evaluation: all dice of an attempt are numbers that a climb moves.

An attempt draws operands and a way of evaluating from a `Genome`, a random number generator that
reads its bits from a list. The climb changes the list and keeps what brings error / bound up.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from toy import Overflow, Toy

from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.model import Model

__all__ = ["FORMS", "Attempt", "Genome", "Operand", "climbed", "number", "operand", "plain"]

FORMS = [
    Format("three bits", precision=3, emin=-4, emax=5),
    Format("four bits", precision=4, emin=-6, emax=8),
    Format("five bits", precision=5, emin=-9, emax=9),
    Format("eight bits", precision=8, emin=-20, emax=20),
    FORMATS["float16"],
    FORMATS["float32"],
    FORMATS["float64"],
]


class Genome(random.Random):
    """A random number generator whose bits come from a list, and then from other dice."""

    def __init__(self, dice: random.Random, genes: list[int]) -> None:
        super().__init__(0)
        self.dice, self.genes, self.at = dice, genes, 0

    def random(self) -> float:
        """A number in [0, 1)."""
        return self.getrandbits(32) * 2.0**-32

    def getrandbits(self, k: int, /) -> int:
        """A whole number below 2^k."""
        if self.at == len(self.genes):
            self.genes.append(self.dice.getrandbits(64))
        self.at += 1
        return self.genes[self.at - 1] % (1 << k)


@dataclass
class Operand:
    """A number as the reference, everyone and the framework have it.

    Attributes:
        enclosure: Of shape (1,).
        truth: The exact number.
        held: The framework's.
    """

    enclosure: Enclosure
    truth: Fraction
    held: Fraction


Attempt = tuple[Enclosure, Fraction, Callable[[], Fraction]]
"""The enclosure of a result, the exact result, and an evaluation by the framework."""


@dataclass
class Dice(Toy):
    """A toy that also says how operands are drawn.

    Attributes:
        held: Whether operands may be held with an error.
    """

    held: bool = True


Rule = Callable[[Toy, Model], Attempt]


def plain(form: Format, value: Fraction) -> Fraction:
    """A rational to nearest in a format; its largest number beyond that."""
    try:
        return Toy(form, random.Random(0)).rounded(value)
    except Overflow:
        return Fraction(form.largest) * (1 if value > 0 else -1)


def number(toy: Toy, form: Format, near: Fraction | None = None) -> Fraction:
    """A number of the format, of any kind that makes trouble, or a neighbour of ``near``."""
    rng = toy.rng
    if near is not None and rng.random() < 0.6:
        ulp = Fraction(float(form.ulp(float(near))))
        return plain(form, near + rng.randint(-3, 3) * ulp)
    kind = rng.randrange(9)
    if kind == 0:
        return Fraction(rng.randint(-4, 4), rng.choice([1, 1, 2]))
    digits = rng.getrandbits(form.precision - 1) + (1 << (form.precision - 1))
    if kind == 1:
        digits = 1 << (form.precision - 1)
    if kind == 2:
        digits = (1 << form.precision) - 1
    exponent = rng.randint(-3, 3)
    if kind == 3:
        exponent = rng.randint(form.emin // 2, form.emax // 2)
    if kind == 4:
        exponent, digits = form.emin, digits >> rng.randrange(1, form.precision)
    if kind == 5:
        exponent = rng.randint(form.emin, form.emin + 3)
    if kind == 6 and rng.random() < 0.3:
        exponent = form.emax - rng.randrange(3)
    exponent = min(max(exponent, form.emin), form.emax)
    return rng.choice([-1, 1]) * digits * Fraction(2) ** (exponent - form.precision + 1)


def above(value: Fraction) -> float:
    """A float64 that is no smaller."""
    found = value.numerator / value.denominator
    return found if Fraction(found) >= value else float(np.nextafter(found, np.inf))


def operand(toy: Toy, model: Model, near: Fraction | None = None) -> Operand:
    """A number that everyone has exactly, or one with errors that its enclosure knows."""
    form, rng = model.format, toy.rng
    value = number(toy, form, near)
    enclosure = Enclosure.of(model, np.array([float(value)]))
    if rng.random() < 0.5 or not getattr(toy, "held", True):
        return Operand(enclosure, value, value)
    ulp = Fraction(float(form.ulp(float(value))))
    truth, c = value, enclosure.c
    if rng.random() < 0.5:
        truth = value + rng.randint(-4, 4) * ulp / 8
    center = value
    if isinstance(c, DoubleDouble) and abs(value) > Fraction(form.smallest_normal) * 2**60:
        low = rng.randint(-8, 8) * float(ulp) / 16
        c, center = DoubleDouble(c.high, np.array([low])), value + Fraction(low)
    held = plain(form, truth + rng.randint(-3, 3) * ulp)
    room = rng.choice([1, 1, 2])
    r, e = above(abs(truth - center)), above(room * abs(held - truth))
    return Operand(Enclosure(model, c, np.array([r]), np.array([e])), truth, held)


def exactly(enclosure: Enclosure) -> Fraction:
    """The reference's value."""
    low = getattr(enclosure.c, "low", np.zeros(1))
    return Fraction(float(enclosure.high.item())) + Fraction(float(low.item()))


def checked(attempt: Attempt) -> float:
    """Error / bound of one attempt, after the bounds have been looked at; 0 without an error."""
    enclosure, truth, framework = attempt
    e, r = float(enclosure.e.item()), float(enclosure.r.item())
    c = enclosure.high.item()
    if np.isfinite(r) and np.isfinite(c):
        assert abs(exactly(enclosure) - truth) <= Fraction(r), ("r", c, r, float(truth))
    try:
        given = framework()
    except Overflow:
        assert np.isinf(e), ("overflow", c, e)
        return 0.0
    error = abs(given - truth)
    if np.isinf(e) or error == 0:
        return 0.0
    assert error <= Fraction(e), ("e", c, float(truth), float(given), e, float(error))
    return float(error / Fraction(e))


def climbed(
    rule: Rule,
    form: Format,
    *,
    flush: bool = False,
    starts: int = 4,
    steps: int = 12,
    seed: Any = 0,
    held: bool = True,
) -> float:
    """The largest error / bound that is found; an error beyond its bound is an `AssertionError`.

    Args:
        rule: What is climbed.
        form: The format of the model.
        flush: Whether subnormal numbers may be flushed.
        starts: How often to begin anew.
        steps: How many moves from each start.
        seed: Of all dice.
        held: Whether operands may be held with an error.
    """
    dice = random.Random(f"{rule.__name__} {form.name} {flush} {seed}")
    model, best = Model(form, flush=flush), 0.0
    for _ in range(starts):
        genes: list[int] = []
        here = 0.0
        for _ in range(steps):
            moved = list(genes)
            for _ in range(dice.choice([1, 1, 2, 4]) if moved else 0):
                at = dice.randrange(len(moved))
                moved[at] = dice.choice([moved[at] + 1, moved[at] - 1, dice.getrandbits(64)])
            genome = Genome(dice, moved)
            finer = dice.random() < 0.15 and form.precision < 20
            p, low, top = form.precision, form.emin, form.emax
            of = Format("finer", p + dice.randrange(1, 9), low - 3, top + 1) if finer else form
            with np.errstate(all="ignore"):
                found = checked(rule(Dice(of, genome, flush=flush, held=held), model))
            if found >= here:
                genes, here = moved, found
        best = max(best, here)
    return best
