"""Whole numbers times a power of two say what rationals say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosscheck.network.exact import nearest_float, rationals
from crosscheck.numbers.dyadic import Dyadics

SPREADS = {"alike": (-2, 2), "more than a word apart": (-40, 40), "any": (-1074, 1000)}


def numbers(spread: str, shape: tuple[int, ...], seed: int) -> Any:
    rng = np.random.default_rng(seed)
    found = rng.standard_normal(shape) * 2.0 ** rng.integers(*SPREADS[spread], shape)
    return np.where(rng.random(shape) < 0.2, 0.0, found)


def exact(dyadics: Dyadics) -> Any:
    """As rationals."""
    return dyadics.numbers * rationals(np.array(2.0))[()] ** dyadics.exponent


@pytest.mark.parametrize("spread", SPREADS)
def test_sums_of_products_are_those_of_rationals(spread: str) -> None:
    for seed in range(10):
        left, right, addend = (
            numbers(spread, shape, 3 * seed + number)
            for number, shape in enumerate([(2, 5), (3, 5), (2, 3)])
        )
        right[0] = np.float32(right[0]) if spread == "alike" else right[0]
        factor, other = Dyadics.of(left, right)
        found = factor @ other.swapaxes(-1, -2) + Dyadics.of(addend)[0]
        wanted = rationals(left) @ rationals(right).T + rationals(addend)
        assert (exact(found) == wanted).all()
        assert (exact(found.relu()) == np.where(wanted > 0, wanted, 0)).all()
        assert exact(found[1, 2]) == wanted[1, 2]


@pytest.mark.parametrize("value", [0.0, -0.0, 5e-324, -5e-324, 1.5, -(2.0**1023), 2.0**-1022 * 1.5])
def test_floats_are_what_they_are(value: float) -> None:
    (alone,), (first, second) = map(exact, Dyadics.of(np.array([value]), np.array([1.0, value])))
    assert nearest_float(alone) == value
    assert (first, second) == (1, alone)


def test_an_array_may_be_empty() -> None:
    left, right, ones = Dyadics.of(np.zeros((1, 0)), np.zeros((0, 2)), np.ones((1, 2)))
    assert (exact(left @ right + ones) == 1).all()
    (left,) = Dyadics.of(np.zeros((1, 0)))
    assert left.numbers.shape == (1, 0)
