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


def bounds_of(one: Enclosure, other: Enclosure, monkeypatch: pytest.MonkeyPatch) -> list[Array]:
    """The bounds of a product, looking at a few terms first, and at all."""
    found = []
    for least in (0, 2**60):
        monkeypatch.setattr(grains, "_LARGE", least)
        found.append((one @ other).e)
    return found


@pytest.mark.parametrize("is_turned", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_certificate_is_found_where_the_first_terms_are_zero(
    dtype: str, is_turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = 2.0 * np.round(4.0 * operand("plain", (6, 200))) + 1.0
    last = np.zeros((200, 5))
    last[-1] = np.arange(1.0, 6.0)
    model = Model(format_of(dtype), is_brief=True)
    one, other = (last.T, odd.T) if is_turned else (odd, last)
    few, whole = bounds_of(Enclosure.of(model, one), Enclosure.of(model, other), monkeypatch)
    assert (few == 0.0).all()
    assert (whole == 0.0).all()


@pytest.mark.parametrize("depth", [1, 4, 7, 9])
@pytest.mark.parametrize("kind", ["plain", "whole", "half zero"])
def test_short_sums_are_looked_at_like_long_ones(
    depth: int, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model(format_of("float64"), is_brief=True)
    one, other = operand(kind, (6, depth)), operand("whole", (depth, 5))
    few, whole = bounds_of(Enclosure.of(model, one), Enclosure.of(model, other), monkeypatch)
    assert (few == whole).all()


@pytest.mark.parametrize("is_turned", [False, True])
def test_of_numbers_that_err_no_grain_is_looked_up(
    is_turned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole numbers that the reference has, and that a framework may have rounded."""
    model, whole = Model(format_of("float64"), is_brief=True), operand("whole", (6, 6))
    erring = Enclosure(model, whole, np.zeros_like(whole), np.full_like(whole, 2.0**-40))
    pair = (erring, Enclosure.of(model, whole))
    few, everything = bounds_of(*(pair[::-1] if is_turned else pair), monkeypatch)
    assert (few == everything).all()
    assert (few > 0.0).all()
