"""The verbs of programs on enclosures: how tight their bounds are where several may be right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise, piecewise
from crosscheck.program.enclosures import OnEnclosures

NARROW, WIDE = Model(format_of("float32"), is_brief=True), Model(format_of("float64"))
U = 2.0**-24
RELU = piecewise("relu", "max(0, z)", "0", "0", "0 1")
LEAKY = piecewise("leaky", "max(z/100, z)", "0", "0 1/100", "0 1")
ABS = piecewise("abs", "|z|", "0", "0 -1", "0 1")


@pytest.mark.parametrize(
    ("function", "low", "high"), [(RELU, 0.0, 1.0), (LEAKY, 0.01, 1.0), (ABS, -1.0, 1.0)]
)
def test_every_slope_at_once_is_enclosed_and_little_more(
    function: Piecewise, low: float, high: float
) -> None:
    z, factor = (Enclosure.of(NARROW, np.array([value])) for value in (0.0, 3.0))
    arithmetic = OnEnclosures(NARROW, any_slope={7: np.ones(1, dtype=bool)})
    found = arithmetic.select(7, z, factor, function)
    assert found.high == pytest.approx(1.5 * (low + high), rel=2.0**-50)
    half = 1.5 * (high - low)
    assert half * (1 - 2.0**-50) <= found.r <= half * (1 + 2.0**-40)
    assert found.e <= 4 * 3.0 * U


def test_a_slope_that_is_not_free_is_one_of_the_sides() -> None:
    z, factor = (Enclosure.of(NARROW, np.array([value])) for value in (0.0, 3.0))
    arithmetic = OnEnclosures(NARROW, any_slope={7: np.zeros(1, dtype=bool)})
    found: Any = arithmetic.select(7, z, factor, RELU)
    assert (found.high, found.r, found.e) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("model", [NARROW, WIDE], ids=["narrow", "wide"])
@pytest.mark.parametrize(("r", "e"), [(0.0, 0.0), (0.0, 2.0**-10), (2.0**-20, 0.0)])
def test_the_largest_of_several_that_may_be_errs_as_they_do(
    model: Model, r: float, e: float
) -> None:
    c = Enclosure.of(model, np.array([0.75, -2.0, 0.75])).c
    found = OnEnclosures(model).maximum(Enclosure(model, c, np.full(3, r), np.full(3, e)))
    assert found.high == 0.75
    assert found.e == e
    assert 2 * r <= found.r <= 2 * r * (1 + 2.0**-40)


def test_the_largest_that_is_certain_errs_as_it_does() -> None:
    a = Enclosure(NARROW, np.array([0.75, -2.0]), np.array([0.0, 0.25]), np.array([0.125, 0.5]))
    found: Any = OnEnclosures(NARROW).maximum(a)
    assert (found.high, found.r, found.e) == (0.75, 0.0, 0.125)
