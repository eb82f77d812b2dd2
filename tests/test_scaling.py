"""Enclosures times numbers: what is exact, and how tight the bounds are where nothing is."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.numbers.scaling import scaled, times_constants

FORM = format_of("float32")
GRADUAL, FLUSHING = Model(FORM, is_brief=True), Model(FORM, flush=True, is_brief=True)
U = 2.0**-24
MODELS = pytest.mark.parametrize("model", [GRADUAL, FLUSHING], ids=["gradual", "flushing"])
THIRD = Fraction(1, 3)
WIDER = 1.0 + 2.0**-20
"""A bound may be that many times what is derived: it is rounded up, and θ is not mu."""


def number(value: float, model: Model = GRADUAL) -> Enclosure:
    return Enclosure.of(model, np.array([value]))


def inexact(value: float, r: float, e: float, model: Model = GRADUAL) -> Enclosure:
    return Enclosure(model, np.array([value]), np.array([r]), np.array([e]))


def by(q: Enclosure, slope: float, **errors: float) -> Any:
    with np.errstate(all="ignore"):
        return scaled(q, np.array([slope]), **errors)


@MODELS
@pytest.mark.parametrize("slope", [1.0, -1.0])
def test_one_and_its_negative_add_no_error(model: Model, slope: float) -> None:
    found = by(inexact(3.0, 2.0**-60, 2.0**-20, model), slope)
    assert (found.high, found.r, found.e) == (3.0 * slope, 2.0**-60, pytest.approx(2.0**-20))


@MODELS
def test_zero_gives_zero_whatever_is_known_of_the_number(model: Model) -> None:
    found = by(inexact(3.0, 2.0**-60, 2.0**-20, model), 0.0)
    assert (found.high, found.r, found.e) == (0.0, 0.0, 0.0)


@MODELS
def test_zero_times_what_may_overflow_is_unknown(model: Model) -> None:
    assert by(inexact(3.0, 0.0, np.inf, model), 0.0).e == np.inf


def test_half_of_a_number_is_exact_unless_it_is_an_odd_multiple_of_the_least() -> None:
    assert by(number(3.0), 0.5).bound == 0.0
    assert by(number(2.0 * FORM.smallest_subnormal), 0.5).e == 0.0
    assert by(number(FORM.smallest_subnormal), 0.5).e >= FORM.smallest_subnormal / 2
    assert by(number(2.0 * FORM.smallest_normal, FLUSHING), 0.5).e == 0.0
    assert by(number(FORM.smallest_normal, FLUSHING), 0.5).e >= FORM.smallest_normal / 2


@pytest.mark.parametrize("errors", [{"r": 2.0**-30}, {"e": 2.0**-30}, {"lost": 1.0}], ids=str)
@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_a_slope_that_not_everyone_has_is_not_exact(errors: dict[str, float], slope: float) -> None:
    found = by(number(3.0), slope, **errors)
    assert found.e > 0.0
    assert found.e >= 3.0 * errors.get("e", 0.0)
    assert found.r >= 3.0 * errors.get("r", 0.0)


def test_another_slope_adds_one_rounding_and_no_more() -> None:
    found = by(number(3.0), 0.375)
    assert 1.125 * U <= found.e <= 1.125 * U * WIDER
    assert found.r <= 1.125 * 2.0**-52


def test_the_reference_errs_by_its_own_rounding_and_no_more() -> None:
    """Of a slope and of a constant, by whatever float64 cuts off."""
    rng = np.random.default_rng(0)
    for value, slope in rng.random((50, 2)):
        q = number(float(np.float32(value)))
        found: Any = by(q, slope)
        exact = Fraction(float(q.high.item())) * Fraction(slope)
        assert abs(Fraction(float(found.high.item())) - exact) <= Fraction(float(found.r.item()))
        share = Fraction(round(slope * 1000), 997)
        found = times_constants(q, [share])
        exact = Fraction(float(q.high.item())) * share
        assert abs(Fraction(float(found.high.item())) - exact) <= Fraction(float(found.r.item()))
        assert found.r <= 2.0**-50 * abs(found.high)


def test_what_the_reference_errs_by_is_multiplied_by_constants_and_nothing_else_is() -> None:
    found = times_constants(inexact(3.0, 2.0**-20, 0.0), [Fraction(3)])
    assert 3 * 2.0**-20 <= found.r <= 3 * 2.0**-20 * WIDER
    assert times_constants(inexact(3.0, 0.0, 2.0**-20), [Fraction(3)]).r <= 9 * 2.0**-50


def test_a_finer_reference_may_lose_what_underflows() -> None:
    wide = Model(format_of("float64"))
    for found in (
        by(number(2.0**-1000, wide), 0.3),
        times_constants(number(2.0**-1000, wide), [Fraction(3, 10)]),
    ):
        assert 0.0 < found.r < 2.0**-900


def test_what_a_number_and_a_slope_err_by_is_multiplied() -> None:
    found = by(inexact(3.0, 0.0, 2.0**-10), 0.375, e=2.0**-12)
    wanted = 0.375 * 2.0**-10 + 2.0**-12 * (3.0 + 2.0**-10)
    wanted += (0.375 + 2.0**-12) * (3.0 + 2.0**-10) * U
    assert wanted <= found.e <= wanted * WIDER


@pytest.mark.parametrize(("value", "is_known"), [(2.0**127, True), (2.0**127 * 1.5, False)])
def test_what_may_overflow_has_no_bound(value: float, is_known: bool) -> None:
    assert np.isfinite(by(number(value), 1.5).e) == is_known


def test_what_overflows_by_a_slope_of_one_has_overflown_before() -> None:
    largest = FORM.largest
    assert by(number(largest), 1.0).e == 0.0


def test_flushing_may_take_what_is_subnormal() -> None:
    small = FORM.smallest_normal / 2
    assert by(number(small, FLUSHING), 1.0).e >= small
    assert by(number(small), 1.0).e == 0.0
    assert by(number(1.0, FLUSHING), FORM.smallest_normal / 2).e >= FORM.smallest_normal / 2


def test_a_slope_that_may_be_read_as_zero_may_take_all() -> None:
    """Though the product is no subnormal number."""
    assert by(number(4.0, FLUSHING), FORM.smallest_normal / 2).e >= 2.0 * FORM.smallest_normal
    assert by(number(4.0), FORM.smallest_normal / 2).e < FORM.smallest_normal


def test_a_slope_enlarges_what_reading_as_zero_takes() -> None:
    assert by(number(FORM.smallest_normal / 2, FLUSHING), 5.0).e >= 2.5 * FORM.smallest_normal


def test_a_constant_enlarges_what_reading_as_zero_takes() -> None:
    """And where the product is taken for zero too, that is A λ₀ more."""
    found = times_constants(number(FORM.smallest_normal / 2, FLUSHING), [Fraction(4)])
    assert (found.e >= (2.0 + 4.0) * FORM.smallest_normal).all()


def test_the_reference_errs_no_more_by_a_constant_that_it_holds() -> None:
    assert (times_constants(number(3.0), [Fraction(3)]).r <= 9.0 * 2.0**-52).all()


def test_powers_of_two_add_no_error() -> None:
    found: Any = times_constants(number(3.0), [Fraction(1, 2), Fraction(4), Fraction(1, 16)])
    assert (found.high, found.r, found.e) == (0.375, 0.0, 0.0)
    assert times_constants(number(3.0), []).high == 3.0


def test_a_power_of_two_that_leaves_the_format_adds_its_loss() -> None:
    least = FORM.smallest_subnormal
    assert times_constants(number(least), [Fraction(1, 2)]).e >= least / 2
    assert times_constants(number(2.0 * least), [Fraction(1, 2)]).e == 0.0


LEAST = FORM.smallest_subnormal


@pytest.mark.parametrize(
    ("terms", "constant"),
    [
        ((2.0**23 - 1, -(2.0**22), 1 - 2.0**22), Fraction(3)),
        ((LEAST, 2 * LEAST, -3 * LEAST), Fraction(1, 2)),
    ],
    ids=["rounded", "underflowing"],
)
def test_a_sum_that_is_zero_need_not_be_so_with_a_constant_put_to_its_terms(
    terms: tuple[float, ...], constant: Fraction
) -> None:
    total: Any = Enclosure.of(GRADUAL, np.array(terms)).sum(-1)
    assert (total.high, total.bound) == (0.0, 0.0)
    each = [np.float32(term) * np.float32(constant) for term in terms]
    given = float(sum(each, np.float32(0.0)))
    assert given != 0.0 == sum(terms) * constant
    assert abs(given) <= times_constants(total, [constant]).e


@pytest.mark.parametrize("constant", [Fraction(3), Fraction(1, 2)])
def test_a_sum_of_zeros_times_a_constant_is_zero(constant: Fraction) -> None:
    found: Any = times_constants(Enclosure.of(GRADUAL, np.zeros(3)).sum(-1), [constant])
    assert (found.high, found.r, found.e) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("count", [1, 2])
def test_another_constant_adds_three_roundings_and_no_more(count: int) -> None:
    found = times_constants(number(3.0), [THIRD] * count)
    wanted = 3.0 ** (1 - count) * ((1.0 + U) ** (3 * count) - 1.0)
    assert wanted <= found.e * (1 + 2.0**-20)
    assert found.e <= wanted * (1.0 + 2.0**-18)


def test_a_constant_just_above_the_least_normal_number_is_formed_as_any_other() -> None:
    """And just below it has the error of underflow, which is as large as it is small."""
    least = Fraction(FORM.smallest_normal)
    above, below = (
        times_constants(number(1.0), [4 * factor * least, Fraction(2) ** 124]).e[0] / float(factor)
        for factor in (THIRD * Fraction(9, 8), THIRD * Fraction(1, 64))
    )
    # 3 u of the constant, and twice 2^-150 times 2^124: u / 2 of 3/8.
    assert above < 4.5 * U
    # And three times the 48 u of an underflow in a constant of 2^-126 / 48; u / 2 of 1/192.
    assert 240.0 * U < below < 248.0 * U


def test_a_constant_just_below_the_least_normal_number_errs_by_both() -> None:
    """3 u of its three roundings, and three times what an underflow may take of 15/16 λ₀."""
    factor = THIRD * Fraction(45, 16)
    constants = [factor * Fraction(FORM.smallest_normal), Fraction(2) ** 124]
    lost = (1.0 + U / float(factor)) ** 3
    wanted = (1.0 + U) ** 3 * lost - 1.0
    found = times_constants(number(1.0), constants).e[0] / (float(factor) * 2.0**-2)
    # Two products are formed, and lose ½η each, which 2^124 makes u / 4.
    wanted += 2 * (U / 4.0) / (float(factor) * 2.0**-2)
    assert wanted <= found * WIDER
    assert found <= wanted * WIDER


def test_constants_that_may_overflow_on_the_way_leave_no_bound() -> None:
    assert times_constants(number(4.0), [Fraction(2) ** 126, Fraction(1, 2) ** 126]).e == np.inf
    assert times_constants(number(1.0), [Fraction(2) ** 126, Fraction(1, 2) ** 126]).e == 0.0
