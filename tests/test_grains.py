"""Where a few terms show that a sum has no exactness certificate, the others are not looked at."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck.numbers import grains
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model


def operand(kind: str, shape: tuple[int, ...]) -> Array:
    rng = np.random.default_rng(len(kind))
    found = rng.standard_normal(shape)
    if kind == "half zero":
        found = np.maximum(found, 0.0)
    if kind == "mostly zero":
        found = np.where(rng.random(shape) < 0.02, found, 0.0)
    if kind == "whole":
        found = np.round(4.0 * found)
    if kind == "mostly whole":
        found = np.where(rng.random(shape) < 0.01, found, np.round(found))
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("left", ["plain", "half zero", "mostly zero", "whole", "mostly whole"])
@pytest.mark.parametrize("right", ["plain", "half zero", "whole"])
def test_the_bounds_are_those_of_all_terms(
    dtype: str, left: str, right: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = format_of(dtype)
    one, other = form.round(operand(left, (3, 12, 200))), form.round(operand(right, (200, 10)))
    model = Model(form, is_brief=True)

    def bound(least: int) -> Array:
        monkeypatch.setattr(grains, "_LARGE", least)
        product = Enclosure.of(model, one) @ Enclosure.of(model, other)
        found: Array = (product + Enclosure.of(model, np.ones(10))).e
        return found

    assert (bound(0) == bound(2**60)).all()


def test_a_certificate_that_holds_is_found_among_many_that_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(grains, "_LARGE", 0)
    left, right = operand("plain", (64, 200)), operand("whole", (200, 64))
    left[5] = np.round(left[5])
    model = Model(format_of("float64"), is_brief=True)
    product = Enclosure.of(model, left) @ Enclosure.of(model, right)
    assert (product.e == 0).all(axis=1).nonzero()[0].tolist() == [5]
