"""Large sums are held to a part of their bounds first, and say what the bounds say."""

from __future__ import annotations

import numpy as np
import pytest

from crosscheck.judge.entries import ratio_of
from crosscheck.numbers.arrays import Array, blocks
from crosscheck.numbers.enclosure import Enclosure, OpenSum
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.numbers.rounding import NO_GRAIN, lowest_bit, lowest_powers


@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 5), (1, 40, 30), (2, 3, 50, 40), (3000,)])
def test_blocks_meet_each_number_once(shape: tuple[int, ...]) -> None:
    found = np.zeros(shape)
    for block in blocks(shape, 64):
        assert found[block].size <= 64
        found[block] += 1.0
    assert (found == 1.0).all()


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_lowest_powers_are_those_of_the_lowest_bits(dtype: str) -> None:
    form, rng = format_of(dtype), np.random.default_rng(0)
    values = form.round(rng.standard_normal(4000) * 2.0 ** rng.integers(-14, 14, 4000))
    values = np.concatenate([values, np.round(values), [0.0, -0.0, 1.0, -3.0, 2.0**-1022]])
    grain, powers = lowest_bit(values), lowest_powers(values)
    is_zero = grain == NO_GRAIN
    assert (powers == np.where(is_zero, 0.0, np.ldexp(1.0, np.where(is_zero, 0, grain)))).all()
    # Of what has no leading bit in float64 nothing is said.
    assert np.isinf(lowest_powers(np.array([3 * 2.0**-1074, -(2.0**-1040)]))).all()


def sums(kind: str, dtype: str) -> tuple[OpenSum, Array]:
    """Sums of products and an addend, and what an evaluation in order gives for them."""
    form, rng = format_of(dtype), np.random.default_rng(5)
    left, right = rng.standard_normal((64, 80)), rng.standard_normal((80, 50))
    if kind in ("gates", "whole"):
        left, right = np.maximum(left, 0.0), np.where(rng.random(right.shape) < 0.5, right, 0.0)
    if kind == "whole":
        left, right = np.round(4 * left), np.round(4 * right)
    if kind == "few":
        left = np.where(rng.random(left.shape) < 0.03, left, 0.0)
    bias = rng.standard_normal(50)
    bias = np.round(bias) if kind == "whole" else bias
    left, right, bias = (form.round(each) for each in (left, right, bias))
    model = Model(form, is_brief=True)
    total = Enclosure.of(model, left) @ Enclosure.of(model, right) + Enclosure.of(model, bias)
    assert isinstance(total, OpenSum)
    given = np.broadcast_to(bias, total.shape)
    for k in range(left.shape[1]):
        given = form.round(given + form.round(left[:, k, None] * right[k]))
    return total, given


KINDS = ["plain", "gates", "whole", "few"]


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_shares_are_no_smaller_than_error_over_bound(kind: str, dtype: str) -> None:
    total, given = sums(kind, dtype)
    shares = total.shares(given)
    assert shares is not None
    assert (ratio_of(total.distance(given), total.bound) <= shares).all()
    assert (shares <= 1.0).all()


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beyond", [1.25, 1e9])
def test_shares_are_refused_where_one_entry_is_beyond_its_bound(
    kind: str, dtype: str, beyond: float
) -> None:
    total, given = sums(kind, dtype)
    for at in ((0, 0), (17, 31), (63, 49)):
        wrong = np.array(given)
        error = beyond * total.bound[at]
        wrong[at] = total.high[at] + error if error else np.nextafter(given[at], np.inf)
        assert total.distance(wrong)[at] > total.bound[at]
        assert total.shares(wrong) is None


def test_an_exact_sum_has_no_room_for_the_smallest_error() -> None:
    total, given = sums("whole", "float32")
    exact = total.bound == 0.0
    assert exact.any()
    wrong = np.where(exact, np.nextafter(given, np.inf), given)
    assert total.shares(wrong) is None


def test_nothing_is_said_where_a_sum_may_overflow() -> None:
    model = Model(format_of("float32"), is_brief=True)
    large = np.full((3, 4), 2.0**63)
    total = Enclosure.of(model, large).matrix_product(Enclosure.of(model, large.T))
    assert np.isinf(total.bound).all()
    assert total.shares(np.full((3, 3), 2.0**127)) is None
