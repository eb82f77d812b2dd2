"""Each rule of programs holds against exactly simulated arithmetic, and is not too wide."""

from __future__ import annotations

import math
import os
import random
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from climbing import FORMS, Attempt, Operand, Rule, climbed, number, operand
from toy import Toy
from toy_programs import applied, at, mixed, multiplied, open_jump, selected, summed, valued

from crosscheck.numbers.enclosure import Enclosure, OpenSum
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.piecewise_slopes import slope_of
from crosscheck.numbers.piecewise_values import value_of
from crosscheck.numbers.scaling import nearest, scaled, times_constants
from crosscheck.numbers.sides import Sides, sides_of
from crosscheck.operators import clip, huber, leaky_relu, prelu
from crosscheck.operators.units import UNITS
from crosscheck.program.enclosures import OnEnclosures

EFFORT = int(os.environ.get("CLIMB", "1"))

ZERO, HALF, ONE = Fraction(0), Fraction(1, 2), Fraction(1)

flushing = pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])


# -- differences and slopes --------------------------------------------------------------------


def a_difference(toy: Toy, model: Model) -> Attempt:
    one = operand(toy, model)
    other = operand(toy, model, one.held)
    return (
        one.enclosure - other.enclosure,
        one.truth - other.truth,
        lambda: toy.plus(one.held, -other.held),
    )


def a_factor(toy: Toy, model: Model) -> Attempt:
    q = operand(toy, model)
    factor = toy.rng.choice([ZERO, ONE, -ONE, HALF, -HALF, Fraction(3, 4), Fraction(1, 4)])
    found = np.array([float(factor)]) * q.enclosure

    def framework() -> Fraction:
        # What the sign of a number is changed in is no product.
        return factor * q.held if factor in (0, 1, -1) else toy.times(factor, q.held)

    return found, factor * q.truth, framework


def a_known_slope(toy: Toy, model: Model) -> Attempt:
    q = operand(toy, model)
    slope = toy.rng.choice([ZERO, ONE, -ONE, HALF, -HALF, Fraction(2), Fraction(1, 4), None])
    slope = number(toy, model.format) if slope is None else slope
    found = scaled(q.enclosure, np.array([float(slope)]))
    return found, slope * q.truth, lambda: multiplied(toy, slope, q.held)


SLOPES = [Fraction(0.01), Fraction(1, 3), -Fraction(0.2), Fraction(5, 3), Fraction(22, 7)]


def a_held_slope(toy: Toy, model: Model) -> Attempt:
    q = operand(toy, model)
    slope = toy.rng.choice([*SLOPES, toy.rng.choice(SLOPES) / 2 ** toy.rng.randrange(30)])
    s = slope_of(
        Enclosure.of(model, np.array([1.0])),
        Piecewise("", "", (), ((slope,),)),
        Sides(*np.zeros((3, 1), np.int64)),
        np.zeros(1),
    )
    found = scaled(q.enclosure, s.value, s.r, s.e)
    return found, slope * q.truth, lambda: toy.times(toy.rounded(slope), q.held)


# -- constants ---------------------------------------------------------------------------------

CONSTANTS = [
    *map(Fraction, ("2", "1/2", "-1", "1/4", "8", "1/1024", "64")),
    *map(Fraction, ("3", "1/3", "2/3", "-3", "7", "1/7", "100", "1/100", "5/3", "1/30", "30")),
    Fraction(0.1),
    Fraction(0.7),
]


def some_constants(toy: Toy, form: Format) -> list[Fraction]:
    found = [toy.rng.choice(CONSTANTS) for _ in range(toy.rng.randint(1, 3))]
    if toy.rng.random() < 0.2:
        scale = toy.rng.choice([form.emin, form.emin // 2, form.emax // 2, -form.emax // 2])
        found[0] *= Fraction(2) ** (scale + toy.rng.randint(-2, 1))
    return found


def constants_of_a_number(toy: Toy, model: Model) -> Attempt:
    q, constants = operand(toy, model), some_constants(toy, model.format)
    truth = q.truth * math.prod(constants)
    found = times_constants(q.enclosure, constants)
    return found, truth, lambda: applied(toy, q.held, constants)


def some_products(toy: Toy, model: Model) -> tuple[OpenSum, Fraction, list[Any]]:
    """An open sum of products and addends: it, the exact sum, and the terms."""
    size, more = toy.rng.randint(0, 3), toy.rng.randint(0, 3)
    pairs = [(operand(toy, model), operand(toy, model)) for _ in range(size)]
    addends = [operand(toy, model) for _ in range(more if size else more + 1)]
    found: Any = None
    if pairs:
        left, right = stacked([a for a, _ in pairs]), stacked([b for _, b in pairs])
        product = left[None, :] @ right[:, None]
        assert isinstance(product, OpenSum)
        found = product.map(lambda array: array[..., 0])
        for each in addends:
            found = found + each.enclosure
    else:
        found = stacked(addends)[None].sum(-1)
    truth = sum((a.truth * b.truth for a, b in pairs), ZERO) + sum((a.truth for a in addends), ZERO)
    terms = [*((a.held, b.held) for a, b in pairs), *(a.held for a in addends)]
    return found, truth, terms


def stacked(operands: Sequence[Operand]) -> Enclosure:
    model = operands[0].enclosure.model

    def joined(arrays: list[Any]) -> Any:
        return np.concatenate(arrays)

    c: Any = [each.enclosure.c for each in operands]
    if model.wide:
        c = type(c[0])(joined([each.high for each in c]), joined([each.low for each in c]))
    else:
        c = joined(c)
    r, e = (joined([getattr(each.enclosure, name) for each in operands]) for name in "re")
    return Enclosure(model, c, r, e)


def constants_of_a_sum(toy: Toy, model: Model) -> Attempt:
    q, truth, terms = some_products(toy, model)
    constants = some_constants(toy, model.format)
    truth *= math.prod(constants)
    return times_constants(q, constants), truth, lambda: summed(toy, terms, constants)


def two_sums_as_one(toy: Toy, model: Model) -> Attempt:
    one, first, terms = some_products(toy, model)
    other, second, more = some_products(toy, model)

    def framework() -> Fraction:
        if toy.rng.random() < 0.3:
            return toy.plus(summed(toy, terms, []), summed(toy, more, []))
        return summed(toy, [*terms, *more], [])

    return one.joined(other), first + second, framework


# -- functions that are polynomials in pieces --------------------------------------------------

FUNCTIONS = {
    **{name: UNITS[name] for name in ("relu", "abs", "relu6", "hardtanh", "hard_sigmoid")},
    "softshrink": UNITS["softshrink"],
    "clip": clip._function(-1.0, 2.0),
    "clip-odd": clip._function("-1/10", "7/10"),
    "leaky": leaky_relu._function(0.01),
    "leaky-quarter": leaky_relu._function(0.25),
    "leaky-negative": leaky_relu._function(-0.5),
    "leaky-steep": leaky_relu._function("7/3"),
    "huber": huber._function(1.0),
    "huber-odd": huber._function(0.3),
    "huber-large": huber._function(5.0),
    "prelu": prelu._NEGATIVE,
}


def value_rule(name: str) -> Rule:
    function = FUNCTIONS[name]

    def rule(toy: Toy, model: Model) -> Attempt:
        point = toy.rng.choice(function.breakpoints)
        z = operand(toy, model, Fraction(float(model.format.round(nearest(point)))))
        truth = at(function, z.truth)
        return value_of(z.enclosure, function), truth, lambda: valued(toy, function, z.held)

    rule.__name__ = name
    return rule


# -- derivatives of them, chosen and at open places -------------------------------------------


def slope_rule(name: str) -> Rule:
    function = FUNCTIONS[name]

    def rule(toy: Toy, model: Model) -> Attempt:
        point = toy.rng.choice(function.breakpoints)
        z = operand(toy, model, Fraction(float(model.format.round(nearest(point)))))
        q = operand(toy, model)
        sides = sides_of(z.enclosure, function)
        weight = toy.rng.choice([ZERO, HALF, ONE, Fraction(1, 4)])
        decided = np.array([float(weight)])
        site = OnEnclosures(model, {0: decided})
        found = site.select(0, z.enclosure, q.enclosure, function)
        k = open_jump(sides, function, (0,))
        if k is None:
            truth = at(function.derivative, z.truth)
            return found, truth * q.truth, lambda: selected(toy, function, z.held, q.held)
        left, right = (function.derivative.pieces[k + side][0] for side in (0, 1))
        truth = (left + weight * (right - left)) * q.truth
        return found, truth, lambda: mixed(toy, left, right, weight, q.held)

    rule.__name__ = f"slope of {name}"
    return rule


def a_share_of_a_tie(toy: Toy, model: Model) -> Attempt:
    q, count = operand(toy, model), toy.rng.choice([2, 3, 5, 7])
    share = toy.rng.choice([Fraction(1, count), ONE, ZERO, Fraction(toy.rng.random())])
    weights = np.full(count, float(share))
    numbers = Enclosure.of(model, np.full(count, float(toy.rng.choice([0, 1, -3]))))
    found = OnEnclosures(model, {0: weights}).largest(0, numbers, q.enclosure)[:1]

    def framework() -> Fraction:
        if share == Fraction(1, count) and toy.rng.random() < 0.5:
            return toy.rounded(q.held / count)
        return multiplied(toy, toy.rounded(share), q.held)

    return found, share * q.truth, framework


def any_share_of_a_tie(toy: Toy, model: Model) -> Attempt:
    q, count = operand(toy, model), toy.rng.choice([2, 3, 5])
    numbers = Enclosure.of(model, np.full(count, 1.0))
    free = {0: np.ones(count, dtype=bool)}
    found = OnEnclosures(model, any_slope=free).largest(0, numbers, q.enclosure)[:1]
    share = toy.rng.choice([ZERO, ONE, HALF, Fraction(1, count), Fraction(toy.rng.random())])
    return found, share * q.truth, lambda: multiplied(toy, toy.rounded(share), q.held)


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        a_difference,
        a_factor,
        a_known_slope,
        a_held_slope,
        constants_of_a_number,
        constants_of_a_sum,
        two_sums_as_one,
        a_share_of_a_tie,
        any_share_of_a_tie,
    )
} | {name: value_rule(name) for name in FUNCTIONS}
RULES |= {f"slope-of-{name}": slope_rule(name) for name in FUNCTIONS}


@flushing
@pytest.mark.parametrize("rule", RULES)
def test_no_evaluation_leaves_its_bound(rule: str, flush: bool) -> None:
    # CLIMB=20 looks twenty times as long, in every format.
    every = len(RULES) if EFFORT > 1 else list(RULES).index(rule) % 2
    for form in FORMS if EFFORT > 1 else FORMS[every::2]:
        climbed(RULES[rule], form, flush=flush, starts=EFFORT, steps=8)


SHARES = {
    "a_difference": 0.7,
    "a_factor": 0.5,
    "a_known_slope": 0.7,
    "a_held_slope": 0.7,
    "constants_of_a_number": 0.5,
    "constants_of_a_sum": 0.2,
    "two_sums_as_one": 0.4,
    "leaky": 0.7,
    "leaky-steep": 0.7,
    "slope-of-leaky": 0.7,
    "slope-of-hard_sigmoid": 0.7,
    "slope-of-huber-odd": 0.7,
    # Few of the roundings that a term may pass in some way are met in any one of the ways.
    "hard_sigmoid": 0.2,
    "huber-odd": 0.2,
    "clip-odd": 0.1,
}
"""Shares of the bounds that errors of exact operands reach, so that all of it is the rule's own."""


@pytest.mark.parametrize("rule", SHARES)
def test_a_bound_is_not_wider_than_the_worst_evaluation_makes_it(rule: str) -> None:
    found = climbed(RULES[rule], FORMATS["float32"], starts=6, steps=20, held=False)
    assert found > SHARES[rule]


# -- one by one ----------------------------------------------------------------------------------


def one_number(model: Model, value: float) -> Enclosure:
    return Enclosure.of(model, np.array([value]))


def test_what_products_lose_is_enlarged_by_constants_after_them() -> None:
    # 3/2 put to terms a little above ½ η: rounded to η, and 3/2 of that to 2 η.
    form, terms, constant = FORMATS["float16"], 5, Fraction(3, 2)
    model, toy, eta = Model(form), Toy(form, random.Random(0)), Fraction(form.smallest_subnormal)
    v = HALF + Fraction(form.unit_roundoff)
    one, two = (Enclosure.of(model, np.full((1, terms), float(each))) for each in (v, eta))
    found = times_constants(one @ two.swapaxes(-1, -2), [constant])
    given = terms * toy.times(constant, toy.times(v, eta))
    error = abs(given - constant * terms * v * eta)
    assert given == 2 * terms * eta
    assert error <= Fraction(float(found.e.item())) <= 2 * error


def test_a_constant_beyond_the_largest_number_has_no_bound() -> None:
    for constant, is_bounded in ((2**15, True), (2**16, False)):
        number = one_number(Model(FORMATS["float16"]), 2.0**-10)
        found = times_constants(number, [Fraction(constant)])
        assert np.isfinite(found.e.item()) == is_bounded


def test_a_factor_that_is_formed_below_the_normal_numbers_may_be_lost() -> None:
    # 1/16 is λ₀ of a format in which a third of it is none of the normal numbers.
    form = FORMS[0]
    for flush, least in ((False, 1 / 3), (True, 1.0)):
        number = one_number(Model(form, flush=flush), 4.0)
        found = times_constants(number, [Fraction(1, 16), Fraction(1, 3)])
        assert found.e.item() >= least * form.unit_roundoff * 4.0 / 48
    assert found.e.item() >= 4.0 / 48


def test_the_slope_at_huber_s_ends_is_continuous() -> None:
    # There z may be on either side of -δ and of δ, and the slope is z or the end.
    model, function = Model(FORMATS["float32"]), huber._function(1.0)
    for end in (-1.0, 1.0):
        z = Enclosure(model, np.array([end * (1 - 2.0**-12)]), np.zeros(1), np.array([2.0**-10]))
        sides = sides_of(z, function)
        assert sides.open.item()
        slope = slope_of(z, function.derivative, sides, np.zeros(1))
        assert slope.value.item() == end * (1 - 2.0**-12)
        assert slope.r.item() < 2.0**-50
        assert 2.0**-10 <= slope.e.item() < 1.01 * 2.0**-10
        for held in (end, end * (1 - 2.0**-12 - 2.0**-10)):  # what ẑ may be cut off to
            assert abs(held - slope.value.item()) <= slope.e.item()


def test_a_slope_that_is_not_formed_by_itself_loses_more_than_one_product() -> None:
    # 2 (½ z g) for z = 1 and g = 3 η: half of it is rounded to 2 η.
    form = FORMATS["float16"]
    model, toy, eta = Model(form), Toy(form, random.Random(0)), Fraction(form.smallest_subnormal)
    z, g = one_number(model, 1.0), one_number(model, float(3 * eta))
    found = OnEnclosures(model).select(0, z, g, huber._function(5.0))
    given = toy.times(Fraction(2), toy.times(HALF, 3 * eta))
    assert abs(given - 3 * eta) == eta <= Fraction(float(found.e.item()))


@pytest.mark.parametrize("name", ["float16", "float32", "float64"])
def test_a_hard_sigmoid_s_piece_is_open_where_a_rounded_sum_is_at_its_end(name: str) -> None:
    form, function = FORMATS[name], UNITS["hard_sigmoid"]
    model, ulp = Model(form), float(form.ulp(2.9))
    toy = Toy(form, random.Random(0))
    below = 3.0 - ulp
    assert toy.plus(Fraction(below), Fraction(3)) == 6
    assert sides_of(one_number(model, below), function).open.item()
    assert not sides_of(one_number(model, 3.0 - 100 * ulp), function).open.item()
    assert not sides_of(one_number(model, below), UNITS["relu6"]).open.item()


@pytest.mark.parametrize("name", ["hardtanh", "softshrink", "clip-odd", "relu", "abs"])
def test_a_subnormal_number_may_be_flushed_on_the_way(name: str) -> None:
    for flush in (False, True):
        z = one_number(Model(FORMATS["float32"], flush=flush), 2.0**-130)
        found = value_of(z, FUNCTIONS[name])
        is_lost = flush and name != "softshrink"
        assert found.e.item() >= (2.0**-130 if is_lost else 0.0)
        assert is_lost or found.e.item() == 0.0


def test_a_square_that_overflows_before_it_is_halved_has_no_bound() -> None:
    function = huber._function(1024.0)
    for d, is_bounded in ((255.0, True), (257.0, False), (2000.0, False)):
        found = value_of(one_number(Model(FORMATS["float16"]), d), function)
        assert np.isfinite(found.e.item()) == (d * d < FORMATS["float16"].largest) == is_bounded


def test_certificates_of_exactness_are_given_to_small_numbers() -> None:
    model = Model(FORMATS["float32"])
    z = Enclosure.of(model, np.arange(-40.0, 41.0) / 8)
    away = np.abs(z.high) != 0
    for name in ("relu", "abs", "relu6", "hardtanh", "clip", "leaky-quarter", "softshrink"):
        found = value_of(z, FUNCTIONS[name])
        certain = away & ~sides_of(z, FUNCTIONS[name]).open
        assert certain.sum() > 70
        assert not found.e[certain].any(), name
        assert not found.r[certain].any(), name
    assert not value_of(z, FUNCTIONS["huber-large"]).e[np.abs(z.high) != 5].any()
    assert not times_constants(z, [Fraction(1, 4), Fraction(2)]).e.any()
    assert not (z - z[::-1]).e.any()
    assert times_constants(z, [Fraction(3)]).e[away].all()
