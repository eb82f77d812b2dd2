"""What follows from (c, r, e) alone: sizes, margins, what flushing takes, and distances."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model

WIDE = Model(format_of("float64"))
NARROW, FLUSHING = Model(format_of("float32")), Model(format_of("float32"), flush=True)
LEAST = format_of("float32").smallest_normal
CLOSE = 1 + Fraction(2) ** -48


def bounded(model: Model, c: float, low: float = 0.0, r: float = 0.0, e: float = 0.0) -> Enclosure:
    center = DoubleDouble(np.array([c]), np.array([low])) if model.wide else np.array([c])
    return Enclosure(model, center, np.array([r]), np.array([e]))


@pytest.mark.parametrize("model", [NARROW, WIDE], ids=["narrow", "wide"])
def test_what_is_exact_is_as_large_as_it_is(model: Model) -> None:
    found: Any = bounded(model, -1.1, e=0.0)
    assert (found.size, found.reach, found.margin, found.bound) == (1.1, 1.1, 0.0, 0.0)
    assert bounded(model, -1.1, e=0.25).size == 1.1
    assert bounded(model, -1.1, r=0.25).reach == bounded(model, -1.1, r=0.25).size


def test_sizes_and_margins_are_no_less_than_what_they_bound() -> None:
    rng = random.Random(0)
    for _ in range(200):
        c, r, e = (rng.choice([-1, 1]) * rng.random(), *(rng.random() * 2.0**-30 for _ in "re"))
        low = rng.uniform(-1, 1) * abs(c) * 2.0**-54
        r, e = (rng.choice([0.0, each]) for each in (r, e))
        found = bounded(WIDE, c, low, r, e)
        exact = {
            "size": abs(Fraction(c)) + abs(Fraction(low)) + Fraction(r),
            "margin": abs(Fraction(low)) + Fraction(r) + Fraction(e),
            "bound": Fraction(r) + Fraction(e),
        }
        exact["reach"] = exact["size"] + Fraction(e)
        for name, wanted in exact.items():
            given = Fraction(float(getattr(found, name).item()))
            assert wanted <= given <= wanted * CLOSE, name


def test_what_may_overflow_reaches_everything() -> None:
    found = bounded(NARROW, 1.0, e=np.inf)
    assert found.reach == found.margin == found.bound == np.inf


@pytest.mark.parametrize(
    ("c", "e", "lost"),
    [
        (LEAST / 2, 0.0, LEAST / 2),
        (-LEAST / 2, 0.0, LEAST / 2),
        (LEAST, 0.0, 0.0),
        (2 * LEAST, 0.5 * LEAST, 0.0),
        (2 * LEAST, 1.5 * LEAST, LEAST),
        (0.0, 0.0, 0.0),
        (1.0, 0.25, 0.0),
    ],
)
def test_reading_as_zero_takes_what_may_be_subnormal(c: float, e: float, lost: float) -> None:
    assert bounded(FLUSHING, c, e=e).lost_by_reading == lost
    assert bounded(NARROW, c, e=e).lost_by_reading == 0.0


@pytest.mark.parametrize(("r", "e"), [(0.0, 0.0), (TINY, 0.0), (0.0, TINY)])
def test_what_errs_has_no_lowest_bit(r: float, e: float) -> None:
    found = bounded(NARROW, 0.75, r=r, e=e)
    assert found.exact == (r == e == 0.0)
    assert (found.grain == -2) == (r == e == 0.0)


def test_a_distance_is_that_from_both_parts() -> None:
    found = bounded(WIDE, 1.0, low=2.0**-60)
    assert found.distance(np.array([1.0])) == 2.0**-60
    assert found.distance(np.array([0.5])) == 0.5
    assert found.high == 1.0
