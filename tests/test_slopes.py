"""Slopes of functions in pieces: what is exact, what a mixture errs by, and how tight that is."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise, piecewise
from crosscheck.numbers.piecewise_slopes import Slope, slope_of
from crosscheck.numbers.sides import sides_of

FORM = format_of("float32")
GRADUAL, FLUSHING = Model(FORM, is_brief=True), Model(FORM, flush=True, is_brief=True)
U = 2.0**-24
WIDER = 1.0 + 2.0**-20
RELU = piecewise("relu", "max(0, z)", "0", "0", "0 1")
LEAKY = piecewise("leaky", "max(z/100, z)", "0", "0 1/100", "0 1")
SQUARE = piecewise("square", "z^2 / 2", "", "0 0 1/2")
BENT = piecewise("bent", "z, 2 z + z^2", "0", "0 1", "0 2 1")


def slope(function: Piecewise, z: Enclosure, share: float = 0.0) -> Slope:
    return slope_of(z, function.derivative, sides_of(z, function), np.full(z.shape, share))


def at(value: float, model: Model = GRADUAL, r: float = 0.0, e: float = 0.0) -> Enclosure:
    return Enclosure(model, Enclosure.of(model, np.array([value])).c, np.array([r]), np.array([e]))


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_ends_and_a_half_of_zero_and_one_are_exact(share: float) -> None:
    found: Any = slope(RELU, at(0.0), share)
    assert (found.value, found.r, found.e) == (share, 0.0, 0.0)


@pytest.mark.parametrize("share", [0.3, 2.0**-30, 1.0 - 2.0**-53, 0.9])
def test_a_mixture_is_within_its_bounds_and_errs_by_few_roundings(share: float) -> None:
    found: Any = slope(LEAKY, at(0.0), share)
    exact = (1 - Fraction(share)) / 100 + Fraction(share)
    assert abs(Fraction(float(found.value.item())) - exact) <= Fraction(float(found.r.item()))
    assert found.r <= 2.0**-48
    assert U <= found.e <= 8 * U


def test_a_mixture_errs_by_its_share_of_each_side() -> None:
    """Only the right side depends on z, which the reference has within 1/16: by 1/8."""
    found = slope(BENT, at(0.0, r=1 / 16, e=0.0), 0.25)
    assert 0.25 / 8 <= found.r <= 0.25 / 8 * WIDER


@pytest.mark.parametrize(("model", "twice"), [(GRADUAL, 1.0), (FLUSHING, 2.0)])
def test_a_slope_that_is_no_constant_loses_what_underflows(model: Model, twice: float) -> None:
    """Twice under flush-to-zero: as a result, and as an operand."""
    z = 2.0**-140 if model is GRADUAL else 2.0**-100
    found = slope(SQUARE, at(z, model))
    rounds = SQUARE.derivative.roundings
    theta = (1.0 + U) ** rounds - 1.0
    lost = (1.0 + theta) * float(model.lost(rounds)) * twice * (1.0 + z)
    wanted = theta * z + lost
    assert wanted <= found.e * WIDER
    assert found.e <= wanted * WIDER


def test_a_finer_reference_adds_what_its_leading_part_leaves_out() -> None:
    z = at(0.3, Model(format_of("float64")))
    assert slope(SQUARE, z).r <= 2.0**-50


def test_a_number_that_errs_has_a_slope_that_errs_by_as_much() -> None:
    found = slope(SQUARE, at(1.5, r=2.0**-10, e=2.0**-9))
    assert 2.0**-10 <= found.r <= 2.0**-10 + 2.0**-40
    assert 2.0**-9 <= found.e <= 2.0**-9 + 8 * U
