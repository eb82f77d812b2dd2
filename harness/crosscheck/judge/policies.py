"""What IEEE 754 leaves to a ReLU: its value and its slope where a pre-activation may not be finite.

IEEE 754 says what comes of NaN and infinities but for four questions, on which a framework may do
as it likes, though always the same in one gradient (`Policy`):

    value at NaN        max(NaN, 0) is NaN; where(z > 0, z, 0) makes it 0.
    value at -inf       0, or NaN where the unit multiplies or adds: z · (z > 0), (z + |z|) / 2.
    slope at NaN        ReLU has no derivative there: 0, ½ (of |z|, with sign(NaN) = 0), 1 or NaN.
    closed gate         0 · ∞ and 0 · NaN: 0 where the gate selects, NaN where it is a factor.

With a policy every gate is known: 1 for z > 0 and +inf, 0 for z < 0 and -inf, the slope at NaN for
NaN; and any number in [0, 1] where the sign of a finite z is open. If z can be of several kinds,
the gate can be any of their slopes. δ = s ∘ g is then, for finite g, s g; for an infinite g and
s > 0 that infinity; for a NaN and s > 0 NaN; under a closed gate as the policy says; for s = NaN
NaN.

Formulations that double z or its derivative before they halve it, (z + |z|) / 2, overflow from ½Ω
on: beyond that +inf is possible for a value, and an infinity for δ.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.judge.verdict import QUESTIONS
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.extended import Extended
from crosscheck.numbers.kinds import Kinds
from crosscheck.numbers.model import Model

__all__ = ["Policies", "Policy", "Slopes", "gate", "relu"]

_SLOPES = {"0": 0.0, "1": 1.0, "1/2": 0.5, "NaN": math.nan}


@dataclass(frozen=True)
class Policy:
    """One answer to each of `crosscheck.judge.verdict.QUESTIONS`.

    Attributes:
        value_at_nan: What ReLU makes of NaN.
        value_at_minus_inf: What ReLU makes of -inf.
        slope_at_nan: Its derivative at NaN.
        closed_gate: ``"select"``: 0 · ∞ = 0 · NaN = 0; ``"product"``: they are NaN.
    """

    value_at_nan: str
    value_at_minus_inf: str
    slope_at_nan: str
    closed_gate: str

    @property
    def answers(self) -> tuple[str, ...]:
        """In the order of `QUESTIONS`."""
        return self.value_at_nan, self.value_at_minus_inf, self.slope_at_nan, self.closed_gate

    def others(self, question: str) -> Iterator[Policy]:
        """Those that differ in the answer to one of `QUESTIONS`."""
        place = list(QUESTIONS).index(question)
        for answer in QUESTIONS[question]:
            if answer != self.answers[place]:
                answers = *self.answers[:place], answer, *self.answers[place + 1 :]
                yield Policy(*answers)


class Policies:
    """Several policies, along the first axis of all that is computed with them.

    Attributes:
        nan_is_zero: Whether ReLU makes 0 of NaN, of shape (P, 1, 1) like those that follow.
        minus_inf_is_zero: Whether it makes 0 of -inf.
        slope: Its derivative at NaN, float64.
        selects: Whether 0 · ∞ and 0 · NaN are 0 under a closed gate.
        asked: Which of `QUESTIONS` mattered, of shape (4, P).
    """

    def __init__(self, policies: Sequence[Policy]) -> None:
        def each(found: Iterable[Any]) -> Any:
            return np.array(list(found))[:, None, None]

        self.nan_is_zero = each(one.value_at_nan == "0" for one in policies)
        self.minus_inf_is_zero = each(one.value_at_minus_inf == "0" for one in policies)
        self.slope = each(_SLOPES[one.slope_at_nan] for one in policies)
        self.selects = each(one.closed_gate == "select" for one in policies)
        self.asked = np.zeros((len(QUESTIONS), len(policies)), dtype=bool)

    def ask(self, question: str, where: Any) -> None:
        """Note for which policies a question matters: those for which ``where`` is true once."""
        axis = where.ndim - 3
        others = tuple(each for each in range(where.ndim) if each != axis)
        self.asked[list(QUESTIONS).index(question)] |= where.any(axis=others)


@dataclass(eq=False)
class Slopes:
    """Slopes of ReLU at numbers that may be infinite or NaN.

    Attributes:
        low: The least that is possible, float64.
        high: The largest.
        nan: Whether NaN is possible.
        number: Whether anything else is.
        policies: Along the third axis from the last.
    """

    low: Array
    high: Array
    nan: Any
    number: Any
    policies: Policies

    def __mul__(self, other: Extended) -> Extended:
        """δ = s ∘ g; see the module's text."""
        may, finite, selects = other.may, other.finite, self.policies.selects
        shut, opens = self.number & (self.low == 0), self.number & (self.high > 0)
        odd = may.plus | may.minus | may.nan
        self.policies.ask("closed gate", shut & odd)
        doubled = np.maximum(np.abs(other.low), np.abs(other.high)) > 0.5 * _largest(finite.model)
        into_zero = shut & odd & selects
        spill = opens & may.finite & doubled
        kinds = Kinds(
            (may.finite & self.number) | into_zero,
            (opens & may.plus) | (spill & (other.high > 0)),
            (opens & may.minus) | (spill & (other.low < 0)),
            (opens & may.nan) | self.nan | (shut & odd & ~selects),
        )
        if not finite.model.format.has_infinity:
            kinds = kinds._replace(nan=kinds.nan | spill)
        low = np.where(into_zero, 0.0, self.low)
        known = np.where(self.low == self.high, self.low, 0.0)
        product = known * finite
        spread = kinds.finite & (low != self.high)
        if not spread.any():
            return Extended(_only(product, kinds.finite), kinds)
        ends = [low * other.low, low * other.high, self.high * other.low, self.high * other.high]
        return Extended(
            _hull(product, np.minimum.reduce(ends), np.maximum.reduce(ends), spread, kinds.finite),
            kinds,
        )


def _largest(model: Model) -> float:
    return float(model.format.end)  # type: ignore[attr-defined]


def _only(enclosure: Enclosure, mask: Any) -> Enclosure:
    """``enclosure``, exactly zero where ``mask`` is false."""
    c: Any = enclosure.c
    if isinstance(c, DoubleDouble):
        c = DoubleDouble(np.where(mask, c.high, 0.0), np.where(mask, c.low, 0.0))
    else:
        c = np.where(mask, c, 0.0)
    return Enclosure(
        enclosure.model, c, np.where(mask, enclosure.r, 0.0), np.where(mask, enclosure.e, 0.0)
    )


def _hull(enclosure: Enclosure, low: Array, high: Array, where: Any, finite: Any) -> Enclosure:
    """``enclosure``, but the interval from ``low`` to ``high`` at some places, and 0 at others."""
    rest = _only(enclosure, finite & ~where)
    middle = 0.5 * low + 0.5 * high
    half = np.maximum(high - middle, middle - low)
    half = np.nextafter(half + 4.0 * enclosure.model.least, np.inf)
    c: Any = rest.c
    if isinstance(c, DoubleDouble):
        c = DoubleDouble(np.where(where, middle, c.high), c.low)
    else:
        c = np.where(where, middle, c)
    return Enclosure(enclosure.model, c, rest.r, np.where(where, half, rest.e))


def relu(z: Extended, policies: Policies) -> Extended:
    """max(z, 0), as the policies have it."""
    may = z.may
    into_zero = (may.nan & policies.nan_is_zero) | (may.minus & policies.minus_inf_is_zero)
    nan = (may.nan & ~policies.nan_is_zero) | (may.minus & ~policies.minus_inf_is_zero)
    doubled = may.finite & (z.high > 0.5 * _largest(z.model))
    if not z.model.format.has_infinity:
        nan = nan | doubled
    kinds = Kinds(may.finite | into_zero, may.plus | doubled, np.zeros_like(nan), nan)
    finite, low = z.finite.relu(), np.maximum(z.low, 0.0)
    spread = may.finite & into_zero & (z.high > 0)
    if spread.any():
        finite = _hull(finite, np.where(into_zero, 0.0, low), z.high, spread, may.finite)
    return Extended(finite, kinds)


def gate(z: Extended, policies: Policies) -> Slopes:
    """ReLU'(z), as the policies have it."""
    may, least, slope = z.may, z.model.least, policies.slope
    by_nan = may.nan & ~np.isnan(slope)
    low, high = np.ones(z.shape), np.zeros(z.shape)
    for where, value in (
        (may.finite & (z.low < least), 0.0),  # which may be negative, or read as zero
        (may.finite & (z.high > -least), 1.0),
        (may.plus, 1.0),
        (may.minus, 0.0),
        (by_nan, slope),
    ):
        low = np.where(where, np.minimum(low, value), low)
        high = np.where(where, np.maximum(high, value), high)
    number = may.finite | may.plus | may.minus | by_nan
    return Slopes(
        np.where(number, low, 0.0), np.where(number, high, 0.0), may.nan & ~by_nan, number, policies
    )
