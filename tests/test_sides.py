"""Which pieces an enclosed number can be in, and what holding a constant errs."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import piecewise
from crosscheck.numbers.sides import constant_held, sides_of

FORM = format_of("float32")
GRADUAL, FLUSHING = Model(FORM, is_brief=True), Model(FORM, flush=True, is_brief=True)
LEAST = FORM.smallest_normal
RELU = piecewise("relu", "max(0, z)", "0", "0", "0 1")
CLOSE = 1 + Fraction(2) ** -40


@pytest.mark.parametrize("text", ["1/3", "-2/7", "1/10", "123456789/1000"])
def test_a_constant_errs_by_its_distance_from_what_is_held(text: str) -> None:
    value = Fraction(text)
    rounded, own, error = constant_held(value, GRADUAL)
    assert rounded == float(value)
    for held, bound in ((rounded, own), (float(np.float32(rounded)), error)):
        wanted = abs(value - Fraction(held))
        assert 0 < wanted <= Fraction(bound) <= wanted * CLOSE


@pytest.mark.parametrize("model", [GRADUAL, FLUSHING], ids=["gradual", "flushing"])
@pytest.mark.parametrize("text", ["0", "1", "-3/4", "1024"])
def test_a_constant_of_the_format_errs_by_nothing(text: str, model: Model) -> None:
    assert constant_held(Fraction(text), model) == (float(Fraction(text)), 0.0, 0.0)


def test_a_constant_that_may_be_read_as_zero_errs_by_all_of_it() -> None:
    value = Fraction(LEAST) / 2
    assert constant_held(value, GRADUAL)[2] == 0.0
    assert constant_held(value, FLUSHING)[2] == LEAST / 2


def test_a_constant_beyond_the_format_is_not_held() -> None:
    assert constant_held(Fraction(2) ** 200, GRADUAL)[2] == np.inf


@pytest.mark.parametrize(
    ("model", "value", "first", "last"),
    [
        (GRADUAL, 0.0, 0, 1),
        (GRADUAL, LEAST / 2, 1, 1),
        (GRADUAL, -LEAST / 2, 0, 0),
        (FLUSHING, LEAST / 2, 0, 1),
        (FLUSHING, -LEAST / 2, 0, 1),
        (FLUSHING, LEAST, 1, 1),
        (FLUSHING, -LEAST, 0, 0),
    ],
)
def test_what_may_be_read_as_zero_is_on_no_side_of_it(
    model: Model, value: float, first: int, last: int
) -> None:
    found = sides_of(Enclosure.of(model, np.array([value])), RELU)
    assert (found.first.item(), found.last.item()) == (first, last)


@pytest.mark.parametrize(("value", "side"), [(3.75, 0), (4.25, 1)])
def test_what_is_normal_is_on_its_side_of_a_small_breakpoint(value: float, side: int) -> None:
    function = piecewise("it", "it", str(4 * Fraction(LEAST)), "0", "0 1")
    found = sides_of(Enclosure.of(FLUSHING, np.array([value * LEAST])), function)
    assert (found.first.item(), found.last.item()) == (side, side)


@pytest.mark.parametrize(("e", "is_open"), [(0.25, False), (0.75, True)])
def test_a_number_is_on_no_side_that_its_error_passes(e: float, is_open: bool) -> None:
    z = Enclosure(GRADUAL, np.array([0.5]), np.zeros(1), np.array([e]))
    assert sides_of(z, RELU).open.item() == is_open
