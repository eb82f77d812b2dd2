"""The table of elementary functions: derivatives, scales and float64, held to Arb."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import pytest
from flint import arb, arb_series, ctx, fmpq

from crosscheck.numbers.arb import bits, enclosed, split
from crosscheck.numbers.elementary import ELEMENTARY, ORDERS, ROUNDINGS, Elementary
from crosscheck.tools.errors import CrosscheckError

FUNCTIONS = pytest.mark.parametrize("name", ELEMENTARY)

POINTS = (
    *(2.0**e for e in (-40, -12, -3, -1, 0, 1, 2, 3, 4)),
    *(0.3, 0.9, 1.25, 1.3, 2.2, 5.5, 7.1, 9.9, 17.0, 22.5, 40.0, 88.7, 103.0, 640.0),
)
SECOND = 0.7


def points(function: Elementary) -> list[float]:
    both = [*POINTS, *(-point for point in POINTS)]
    return [point for point in both if function.is_within(point)]


def rest(function: Elementary) -> tuple[float, ...]:
    return (SECOND,) * (function.operands - 1)


def ball(function: Elementary, point: float, k: int, precision: int) -> Any:
    return function.ball(point, k, *rest(function))


def series(name: str, x: Any) -> Any:
    """A second definition of each function, of a power series in Arb's own words."""
    one = arb_series([1])
    match name.split("_"):
        case ["power", p]:
            whole = Fraction(p)
            root = x if whole.denominator == 1 else x.sqrt()
            found = one
            for _ in range(abs(whole.numerator)):
                found = found * root
            return found if whole > 0 else one / found
        case ["over", divisor]:
            return x * arb(fmpq(1, int(divisor)))
        case ["gelu", "tanh"]:
            inner = (x + x * x * x * arb(fmpq(44715, 10**6))) * (arb(2) / arb.pi()).sqrt()
            double = (inner * 2).exp()
            return x * (1 + (double - 1) / (double + 1)) * fmpq(1, 2)
    e = x.exp()
    normal = ((x * (1 / arb(2).sqrt())).erf() + 1) * fmpq(1, 2)
    left = x[0] <= 0
    definitions: dict[str, Callable[[], Any]] = {
        "exp": lambda: e,
        "expm1": lambda: e - 1,
        "log": x.log,
        "log1p": lambda: (1 + x).log(),
        "sqrt": x.sqrt,
        "rsqrt": x.rsqrt,
        "reciprocal": x.inv,
        "dividend": lambda: x * (1 / arb(SECOND)),
        "divisor": lambda: x.inv() * arb(SECOND),
        "tanh": lambda: (e * e - 1) / (e * e + 1),
        "sigmoid": lambda: e / (1 + e),
        "softplus": lambda: (1 + e).log(),
        "erf": x.erf,
        "sin": x.sin,
        "cos": x.cos,
        "silu": lambda: x * e / (1 + e),
        "gelu": lambda: x * normal,
        "elu": lambda: e - 1 if left else x,
    }
    return definitions[name]()


def taylor(name: str, point: float, precision: int = 4000) -> list[Any]:
    """f, f', f'' and f''' at a point by Arb's arithmetic of power series."""
    with bits(precision):
        before, ctx.cap = ctx.cap, ORDERS
        try:
            coefficients = series(name, arb_series([arb(point), 1]))
        finally:
            ctx.cap = before
        return [coefficients[k] * math.factorial(k) for k in range(ORDERS)]


@FUNCTIONS
def test_the_derivatives_are_the_taylor_coefficients_of_another_definition(name: str) -> None:
    function = ELEMENTARY[name]
    for point in points(function):
        for k, wanted in enumerate(taylor(name, point)):
            with bits(4000):
                found = function.ball(point, k, *rest(function))
                assert found.overlaps(wanted), (k, point)
                assert (found - wanted).abs_upper() <= arb(2) ** -1000, (k, point)


def contradictions(function: Elementary) -> list[tuple[int, float]]:
    """Orders and points at which the mean value theorem does not hold.

    [f^(k)(x + h) - f^(k)(x)] / h is f^(k+1) somewhere between, so balls around both overlap.
    """
    found = []
    with bits(2000):
        h = arb(2) ** -300
        for point in points(function):
            between = (arb(point)).union(arb(point) + h)
            for k in range(ORDERS - 1):
                ends = [function.ball(x, k, *rest(function)) for x in (arb(point) + h, point)]
                if not ((ends[0] - ends[1]) / h).overlaps(
                    function.ball(between, k + 1, *rest(function))
                ):
                    found.append((k, point))
    return found


@FUNCTIONS
def test_the_mean_value_theorem_holds_between_neighbouring_orders(name: str) -> None:
    assert contradictions(ELEMENTARY[name]) == []


def test_a_derivative_that_is_wrong_in_its_hundredth_bit_contradicts_the_theorem() -> None:
    right = ELEMENTARY["silu"]

    def wrong(m: Any, x: Any) -> Any:
        return right.forms[2](m, x) * (1 + m.number(Fraction(1, 2**100)))

    forms = (*right.forms[:2], wrong, right.forms[3])
    orders = {k for k, _ in contradictions(dataclasses.replace(right, forms=forms))}
    assert orders == {1, 2}


@FUNCTIONS
@pytest.mark.parametrize("k", range(ORDERS))
def test_no_derivative_is_larger_than_four_times_its_scale(name: str, k: int) -> None:
    function = ELEMENTARY[name]
    x = np.array(points(function))
    operands = [np.full(x.shape, each) for each in rest(function)]
    value = np.abs(function.floats(x, k, *operands))
    assert (value <= 4 * function.scale(x, k, *operands)).all()


@FUNCTIONS
@pytest.mark.parametrize("k", range(ORDERS))
def test_float64_errs_by_no_more_roundings_than_are_said(name: str, k: int) -> None:
    function = ELEMENTARY[name]
    x = np.array(points(function))
    operands = [np.full(x.shape, each) for each in rest(function)]
    found, scale = function.floats(x, k, *operands), function.scale(x, k, *operands)
    for point, value, size in zip(x.tolist(), found.tolist(), scale.tolist(), strict=True):
        if size > 0.0:
            right = enclosed(partial(ball, function, point, k), size / 2**80)
            with bits(200):
                slack = 2.0**-1074 + ROUNDINGS * 2.0**-53 * size
                assert (arb(value) - right).abs_upper() <= slack, point
        else:
            assert value == 0.0, point


@FUNCTIONS
@pytest.mark.parametrize("k", range(ORDERS))
def test_a_wide_ball_holds_what_its_numbers_give(name: str, k: int) -> None:
    function = ELEMENTARY[name]
    low = max(function.low, 0.0 if function.without_zero else -1.0) + 0.25
    wide = function.ball(arb(low + 0.5, 0.5), k, *rest(function))
    for point in np.linspace(low, low + 1.0, 9).tolist():
        assert wide.contains(function.ball(point, k, *rest(function)).mid())


def test_the_second_derivative_of_elu_at_zero_is_the_one_from_the_left() -> None:
    elu = ELEMENTARY["elu"]
    assert elu.floats([-0.0, 0.0, 2.0**-40], 2).tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("log", [5e-324, 1e308], [0.0, -1.0, math.inf, math.nan]),
        ("log1p", [-1 + 2.0**-53, 0.0], [-1.0, -2.0]),
        ("power_-2", [-1.0, 1.0], [0.0, -0.0]),
        ("power_2.5", [1.0], [-1.0, 0.0]),
        ("exp", [-1e308, 0.0], [math.inf, -math.inf]),
    ],
)
def test_a_domain_is_where_all_derivatives_are(
    name: str, inside: list[float], outside: list[float]
) -> None:
    function = ELEMENTARY[name]
    assert function.is_within(inside).tolist() == [True] * len(inside)
    assert function.is_within(outside).tolist() == [False] * len(outside)


def test_nothing_overflows_on_the_way_to_a_number() -> None:
    x = np.array([1e308, -1e308, 1e160, -1e160, 745.0, -745.0, 1e-320, 0.0])
    for name in ("tanh", "sigmoid", "softplus", "erf", "silu", "gelu", "gelu_tanh", "elu"):
        for k in range(ORDERS):
            assert np.isfinite(ELEMENTARY[name].floats(x, k)).all(), (name, k)


def test_a_ball_is_narrowed_until_it_is_narrow_enough() -> None:
    sine = enclosed(lambda _: ELEMENTARY["sin"].ball(2.0**1000), 2.0**-80)
    assert float(sine.rad()) <= 2.0**-80


def test_a_ball_that_stays_wide_is_an_error() -> None:
    with pytest.raises(CrosscheckError, match="wider than 1e-300 at 16384 bits"):
        enclosed(lambda _: arb(1, 0.5), 1e-300)


def test_a_centre_is_split_into_two_numbers_without_loss() -> None:
    with bits(300):
        high, low = split(arb(1) / 3)
        assert abs(arb(high) + arb(low) - arb(1) / 3) < arb(2) ** -108
    assert high == 1 / 3
    assert 0 < abs(low) < 2.0**-54
