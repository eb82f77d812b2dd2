"""The table of formats: constants, roundings, and what a new entry of it needs."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from toy import Overflow, Toy

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import FORMATS, Format

NARROW = [name for name, form in FORMATS.items() if form.precision <= 11]


def everything(form: Format) -> Array:
    """All finite numbers of a format that are not negative, in order."""
    assert form.dtype is not None
    bits = np.arange(2 ** (8 * form.dtype.itemsize - 1), dtype=f"u{form.dtype.itemsize}")
    with np.errstate(invalid="ignore"):
        values = bits.view(form.dtype).astype(np.float64)
    return np.sort(values[np.isfinite(values)])


@pytest.mark.parametrize("dtype", NARROW)
def test_the_constants_of_a_format_are_those_of_its_numbers(dtype: str) -> None:
    form = FORMATS[dtype]
    numbers = everything(form)
    assert numbers[:2].tolist() == [0.0, form.smallest_subnormal]
    assert numbers[-1] == form.largest
    steps = np.diff(numbers)
    assert numbers[:-1][steps > form.smallest_subnormal][0] == 2 * form.smallest_normal
    assert steps[numbers[:-1] == 1.0].tolist() == [2 * form.unit_roundoff]
    assert (form.ulp(numbers[:-1]) == steps).all()
    assert form.contains(numbers)
    assert not form.contains(numbers[1] / 2)


def midpoints(form: Format) -> Array:
    """The midpoints of neighbours of a format, and the one beyond its largest number."""
    numbers = everything(form)
    return np.append(
        0.5 * (numbers[:-1] + numbers[1:]), form.largest + 0.5 * form.ulp(form.largest)
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("dtype", NARROW)
def test_numbers_are_rounded_once_to_nearest_even(dtype: str, sign: float) -> None:
    form = FORMATS[dtype]
    numbers, ties = everything(form), midpoints(form)
    above = np.append(numbers[1:], form.beyond)
    is_even = np.arange(len(ties)) % 2 == 0
    wanted = {
        "below": (np.nextafter(ties, 0.0), numbers),
        "tie": (ties, np.where(is_even, numbers, above)),
        "above": (np.nextafter(ties, np.inf), above),
        "itself": (numbers, numbers),
    }
    for name, (values, result) in wanted.items():
        found = form.round(sign * values)
        assert np.array_equal(found, sign * result, equal_nan=True), name
        assert (np.signbit(found) == (sign < 0))[~np.isnan(found)].all()


@pytest.mark.parametrize("dtype", [name for name in NARROW if not FORMATS[name].is_native])
def test_the_conversions_of_ml_dtypes_round_twice_from_float64_and_once_from_float32(
    dtype: str,
) -> None:
    # Were the first no longer so, `Format.round` could use them.
    form = FORMATS[dtype]
    ties = midpoints(form)
    ties = ties[ties >= FORMATS["float32"].smallest_normal]
    for start, is_right in ((np.float64, False), (np.float32, True)):
        for towards in (0.0, np.inf):
            beside: Any = np.nextafter(ties.astype(start), start(towards))
            with np.errstate(over="ignore"):
                found = beside.astype(form.dtype).astype(np.float64)
            same = np.array_equal(found, form.round(beside), equal_nan=True)
            assert same is is_right, (start, towards)


@pytest.mark.parametrize("dtype", FORMATS)
def test_what_is_not_finite_stays_or_becomes_nan(dtype: str) -> None:
    form = FORMATS[dtype]
    values = np.array([np.inf, -np.inf, np.nan, 2.0 * form.largest, -1e308])
    wanted = np.array([np.inf, -np.inf, np.nan, np.inf, -np.inf])
    if dtype == "float64":
        wanted[3:] = values[3:] = 1e308
    if not form.has_infinity:
        wanted[:] = np.nan
    with np.errstate(over="ignore"):
        assert np.array_equal(form.round(values), wanted, equal_nan=True)
    assert form.contains(np.nan)
    assert form.contains(np.inf) is form.has_infinity


@pytest.mark.parametrize("dtype", FORMATS)
def test_rounding_is_that_of_exact_arithmetic(dtype: str) -> None:
    form, rng = FORMATS[dtype], random.Random(dtype)
    toy = Toy(form, rng)
    for _ in range(300):
        exponent = rng.randint(form.emin - form.precision - 2, form.emax)
        value = math.ldexp(rng.choice([-1, 1]) * rng.uniform(1, 2), exponent)
        try:
            wanted = float(toy.rounded(Fraction(value)))
        except Overflow:
            wanted = math.copysign(form.beyond, value)
        assert np.array_equal(form.round(value), wanted, equal_nan=True), value


def test_constants_are_those_that_are_published() -> None:
    found = {
        name: (form.precision, form.emin, form.emax, form.largest, form.has_infinity)
        for name, form in FORMATS.items()
    }
    assert found == {
        "float64": (53, -1022, 1023, float(np.finfo(np.float64).max), True),
        "float32": (24, -126, 127, float(np.finfo(np.float32).max), True),
        "bfloat16": (8, -126, 127, 255 * 2.0**120, True),
        "float16": (11, -14, 15, 65504.0, True),
    }
