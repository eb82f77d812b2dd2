"""Bounds in float64: what rounds them up does, and by no more than it has to."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.rounding import (
    NO_GRAIN,
    growth,
    least_sums,
    lowest_bit,
    or_infinity,
    tiny,
    up,
)


@pytest.mark.parametrize("unit", [2.0**-8, 2.0**-24, 2.0**-53])
@pytest.mark.parametrize("factors", [0, 1, 2, 3, 7, 100, 1025])
def test_a_growth_is_no_less_than_that_of_so_many_roundings(unit: float, factors: int) -> None:
    exact = (1 + Fraction(unit)) ** factors - 1
    found = Fraction(float(growth(unit, factors)))
    assert exact <= found <= exact * (1 + Fraction(2) ** -48)


def test_growths_are_found_entry_by_entry() -> None:
    for factors in ([0.0, 1.0, 5.0], [5.0, 1.0, 0.0], []):
        found = growth(2.0**-8, np.array(factors))
        assert found.tolist() == [float(growth(2.0**-8, k)) for k in factors]
    assert (growth(2.0**-8, np.full(3, 5.0)) == growth(2.0**-8, 5.0)).all()


@pytest.mark.parametrize("depth", [0, 1, 12, 1000])
def test_what_roundings_take_is_given_back(depth: int) -> None:
    """And about twice that: roundings by 2^-53 each are made up for by 2^-52."""
    lost = (1 - Fraction(2) ** -53) ** depth
    for bound in (1.0, 0.375, 1e10):
        found = Fraction(up(bound, depth))
        assert found * lost >= bound
        assert found <= Fraction(bound) * (1 + (depth + 5) * Fraction(2) ** -52)


def test_what_is_no_number_is_no_bound() -> None:
    assert or_infinity(np.array([np.nan, 0.5, np.inf])).tolist() == [np.inf, 0.5, np.inf]


def test_so_many_of_the_least_distance() -> None:
    assert tiny(np.array([0.0, 1.0, 3.0])).tolist() == [0.0, TINY, 3 * TINY]


def test_the_lowest_bit_of_a_number() -> None:
    values = np.array([1.0, -12.0, 0.75, 1 + 2.0**-52, TINY, 3 * TINY, -(2.0**1023)])
    assert lowest_bit(values).tolist() == [0, 2, -2, -52, -1074, -1074, 1023]


def test_zero_is_a_multiple_of_everything() -> None:
    assert lowest_bit(np.zeros(1)) == NO_GRAIN > 2 * 1074


@pytest.mark.parametrize(("rows", "depth"), [(2, 3), (3, 2), (1, 1)])
def test_the_least_sums_of_rows_and_columns(rows: int, depth: int) -> None:
    rng = np.random.default_rng(0)
    left, right = rng.integers(-9, 9, (2, rows, depth)), rng.integers(-9, 9, (2, depth, 4))
    wanted = (left[..., :, :, None] + right[..., None, :, :]).min(axis=-2)
    assert (least_sums(left, right) == wanted).all()
