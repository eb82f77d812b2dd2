"""Balls hold the results of all numbers in them, exactly computed."""

from __future__ import annotations

import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from crosscheck.numbers.balls import Ball
from crosscheck.program.balls import OnBalls


def drawn(rng: random.Random, shape: tuple[int, ...], low: int, high: int) -> tuple[Ball, Any]:
    """A ball, and numbers in it, many of them on its surface."""
    c, r = np.zeros(shape), np.zeros(shape)
    inside = np.empty(shape, dtype=object)
    for at in np.ndindex(shape):
        digits: float = rng.choice([0.0, 1.0, -1.0, rng.uniform(-1, 1)])
        c[at] = digits * 2.0 ** rng.randint(low, high)
        size = abs(float(c[at]))
        width: float = rng.choice([0.0, 0.0, 2.0**-1074, size * 2.0**-30, size])
        r[at] = width * rng.choice([1.0, rng.random()])
        part = Fraction(rng.choice([-1.0, 1.0, 0.5]))
        inside[at] = Fraction(float(c[at])) + part * Fraction(float(r[at]))
    return Ball(c, r), inside


def holds(found: Ball, numbers: Any) -> None:
    numbers = np.asarray(numbers, dtype=object)
    assert found.shape == numbers.shape
    for at in np.ndindex(found.shape):
        c, r, size = (float(each[at]) for each in (found.c, found.r, found.size))
        assert abs(numbers[at] - Fraction(c)) <= Fraction(r)
        assert abs(numbers[at]) <= Fraction(size)


ONE = Ball(np.ones(()), np.zeros(()))
ON_BALLS = OnBalls(lambda site, function: ONE, lambda site: ONE)
CONSTANTS = (Fraction(1, 3), Fraction(-7, 2))
RULES: dict[str, tuple[Callable[..., Ball], Callable[..., Any]]] = {
    "add": (lambda a, b: a + b, lambda a, b: a + b),
    "mul": (lambda a, b: a * b, lambda a, b: a * b),
    "contract": (lambda a, b: a @ b.map(np.transpose), lambda a, b: a @ b.T),
    "sum": (lambda a, b: a.sum(-1), lambda a, b: a.sum(-1)),
    "times": (
        lambda a, b: ON_BALLS.times(a, CONSTANTS),
        lambda a, b: a * (CONSTANTS[0] * CONSTANTS[1]),
    ),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(("low", "high"), [(-3, 3), (-1074, -1000), (-560, -500), (-1060, 900)])
def test_what_is_computed_of_numbers_in_balls_is_in_the_result(
    name: str, low: int, high: int
) -> None:
    rng, (rule, exact) = random.Random(f"{name} {low}"), RULES[name]
    for _ in range(60):
        shape = (rng.randint(1, 3), rng.randint(1, 6))
        top = min(high, 100) if name != "add" else high
        a, p = drawn(rng, shape, low, top)
        b, q = drawn(rng, shape, low, top)
        with np.errstate(all="ignore"):
            holds(rule(a, b), exact(p, q))


def test_zero_times_anything_is_zero_and_what_overflows_has_no_size() -> None:
    zero, some = Ball(np.zeros((1, 2)), np.zeros((1, 2))), Ball(np.ones((2, 1)), np.ones((2, 1)))
    assert (zero @ some).size == 0.0
    tiny = Ball(np.full((2, 1), 2.0**-1074), np.zeros((2, 1)))
    assert (zero @ tiny).size == 0.0
    with np.errstate(all="ignore"):
        huge = Ball(np.full((1, 2), 1e300), np.zeros((1, 2)))
        assert np.isinf((huge * huge).size).all()
        assert np.isinf((huge * huge + huge * huge.map(np.negative)).size).all()
        assert np.isinf((Ball(huge.c, np.full((1, 2), np.inf)) * zero).size).all()
