"""What a model says of rounding and underflow, held to the numbers of its format one by one."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from crosscheck.numbers.formats import FORMATS, Format, format_of
from crosscheck.numbers.model import Model

TOY = Format("toy", precision=3, emin=-4, emax=5)
FORMS = (TOY, *FORMATS.values())


def least_of(form: Format) -> Fraction:
    return Fraction(2) ** (form.emin - form.precision + 1)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_product_loses_half_of_the_least_number_or_the_least_normal_one(form: Format) -> None:
    gradual, flushing = Model(form), Model(form, flush=True)
    assert Fraction(gradual.least) == least_of(form)
    assert Fraction(flushing.least) == Fraction(2) ** form.emin
    assert flushing.underflow == flushing.least
    half = least_of(form) / 2
    held = form.name != "float64"  # which has no number that small
    assert Fraction(gradual.underflow) == (half if held else 0)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
@pytest.mark.parametrize("products", [0, 1, 2, 3, 7, 100])
def test_products_together_lose_what_each_does(form: Format, products: int) -> None:
    gradual, flushing = Model(form), Model(form, flush=True)
    assert Fraction(float(flushing.lost(products))) == products * Fraction(2) ** form.emin
    lost = Fraction(products, 2)
    wanted = math.ceil(lost) if form.name == "float64" else lost
    assert Fraction(float(gradual.lost(products))) == wanted * least_of(form)
    array = np.full(2, float(products))
    assert (gradual.lost(array) == gradual.lost(products)).all()


def test_a_number_rounded_to_a_finer_format_before_errs_by_both_roundings() -> None:
    form, inside = format_of("bfloat16"), format_of("float32")
    assert Model(form).roundoff == 2.0**-8
    assert (
        Fraction(Model(form, inside=inside).roundoff)
        == (1 + Fraction(1, 2**8)) * (1 + Fraction(1, 2**24)) - 1
    )


@pytest.mark.parametrize(
    ("form", "is_brief", "is_wide"),
    [
        ("float64", False, True),
        ("float64", True, False),
        ("float32", False, False),
        ("bfloat16", False, False),
    ],
)
def test_only_float64_needs_a_finer_reference(form: str, is_brief: bool, is_wide: bool) -> None:
    assert Model(format_of(form), is_brief=is_brief).wide == is_wide


def test_products_of_two_numbers_of_26_bits_are_numbers_of_float64() -> None:
    forms = [Format("toy", precision=bits, emin=-100, emax=100) for bits in (26, 27)]
    assert [Model(form).wide for form in forms] == [False, True]
