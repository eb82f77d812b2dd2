"""Each rule of the enclosures holds against exactly simulated arithmetic, and is not too wide."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from toy import Overflow, Toy

from crosscheck.network import loss_bounds
from crosscheck.numbers.bounded import distance
from crosscheck.numbers.double_double import UNIT, DoubleDouble, two_prod, two_sum
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.model import Model

FOUR_BITS = Format("four bits", precision=4, emin=-6, emax=8)
EIGHT_BITS = Format("eight bits", precision=8, emin=-20, emax=20)
FORMS = [FOUR_BITS, EIGHT_BITS, FORMATS["float16"], FORMATS["float32"], FORMATS["float64"]]

Pair = tuple[Enclosure, list[Fraction], list[Fraction]]
"""An enclosure of a vector, the exact values, and what the framework holds."""


def number(toy: Toy) -> Fraction:
    """A number of the format, of any kind that has ever made trouble."""
    form, rng = toy.form, toy.rng
    kind = rng.randrange(8)
    if kind == 0:
        return Fraction(0)
    digits = rng.getrandbits(form.precision - 1) + (1 << (form.precision - 1))
    if kind == 1:
        digits = 1 << (form.precision - 1)  # a power of two
    if kind == 2:
        digits = (1 << form.precision) - 1  # just below one
    exponent = rng.randint(-3, 3)
    if kind == 3:
        exponent = rng.randint(form.emin // 2, form.emax // 3)
    if kind == 4:
        exponent = form.emin - 1 - rng.randrange(2)  # subnormal
        digits >>= form.emin - exponent
        exponent = form.emin
    sign = rng.choice([-1, 1])
    return sign * digits * Fraction(2) ** (exponent - form.precision + 1)


def vector(toy: Toy, model: Model, size: int, *, exact: bool) -> Pair:
    """Numbers that the framework holds exactly, or with an error that the enclosure knows."""
    truth = [number(toy) for _ in range(size)]
    floats = np.array([float(value) for value in truth])
    enclosure = Enclosure.of(model, floats)
    if exact:
        return enclosure, truth, truth
    held, errors = [], []
    for value in truth:
        ulp = Fraction(float(model.format.ulp(float(value))))
        near = value + toy.rng.randint(-3, 3) * ulp
        if abs(near) > Fraction(model.format.largest):
            near = value
        held.append(near)
        errors.append(float(abs(near - value) * toy.rng.choice([1, 1, 2])))
    return Enclosure(model, enclosure.c, enclosure.r, np.array(errors)), truth, held


def value_of(enclosure: Enclosure) -> Fraction:
    """The reference's value, exactly."""
    total = Fraction(float(enclosure.high.item()))
    if isinstance(enclosure.c, DoubleDouble):
        total += Fraction(float(enclosure.c.low.item()))
    return total


Rule = Callable[[Toy, Model], tuple[Enclosure, Fraction, Callable[[], Fraction]]]
"""Draws operands; gives the enclosure of the result, the exact result, and the framework's."""


def a_dot_product(toy: Toy, model: Model) -> tuple[Enclosure, Fraction, Callable[[], Fraction]]:
    size = toy.rng.randint(1, 6)
    one, ones, held = vector(toy, model, size, exact=toy.rng.random() < 0.5)
    other, others, also_held = vector(toy, model, size, exact=toy.rng.random() < 0.5)
    truth = sum((a * b for a, b in zip(ones, others, strict=True)), Fraction(0))
    result: Enclosure = one[None, :] @ other[:, None]
    addends: list[Fraction] = []
    if toy.rng.random() < 0.6:
        extra = number(toy)
        if toy.rng.random() < 0.4:  # nearly cancelling
            extra = -Toy(toy.form, toy.rng).rounded(truth)
        addends = [extra]
        truth += extra
        result = result + Enclosure.of(model, np.array([[float(extra)]]))
    return result[0], truth, lambda: toy.dot(held, also_held, addends)


def a_sum(toy: Toy, model: Model) -> tuple[Enclosure, Fraction, Callable[[], Fraction]]:
    enclosure, truth, held = vector(toy, model, toy.rng.randint(1, 7), exact=toy.rng.random() < 0.5)
    return enclosure.sum(axis=-1), sum(truth, Fraction(0)), lambda: toy.dot([], [], held)


def a_square(toy: Toy, model: Model) -> tuple[Enclosure, Fraction, Callable[[], Fraction]]:
    enclosure, (truth,), (held,) = vector(toy, model, 1, exact=toy.rng.random() < 0.5)
    return enclosure * enclosure, truth * truth, lambda: toy.times(held, held)


def a_residual(toy: Toy, model: Model) -> tuple[Enclosure, Fraction, Callable[[], Fraction]]:
    enclosure, (truth,), (held,) = vector(toy, model, 1, exact=toy.rng.random() < 0.5)
    target = number(toy) if toy.rng.random() < 0.7 else truth + 0
    half, two = Fraction(1, 2), Fraction(2)

    def framework() -> Fraction:
        d = toy.plus(held, -target)
        order = toy.rng.randrange(3)
        if order == 0:
            return toy.times(half, toy.times(two, d))
        if order == 1:
            return toy.times(two, toy.times(half, d))
        return d

    given = Enclosure.of(model, np.array([float(target)]))
    return loss_bounds.residual_of(enclosure, given), truth - target, framework


def a_difference(toy: Toy, model: Model) -> tuple[Enclosure, Fraction, Callable[[], Fraction]]:
    one, (first,), (held,) = vector(toy, model, 1, exact=toy.rng.random() < 0.5)
    other, (second,), (also,) = vector(toy, model, 1, exact=toy.rng.random() < 0.5)
    return one - other, first - second, lambda: toy.plus(held, -also)


def a_gate(toy: Toy, model: Model) -> tuple[Enclosure, Fraction, Callable[[], Fraction]]:
    enclosure, (truth,), (held,) = vector(toy, model, 1, exact=toy.rng.random() < 0.5)
    gate = toy.rng.choice([0.0, 0.5, 1.0, 0.25, 0.75, -1.0, -0.5, -0.75])
    exact = Fraction(gate)

    def framework() -> Fraction:
        return toy.times(exact, held) if gate not in (-1.0, 0.0, 1.0) else exact * held

    return np.array([gate]) * enclosure, exact * truth, framework


def a_division(toy: Toy, model: Model) -> tuple[Enclosure, Fraction, Callable[[], Fraction]]:
    enclosure, (truth,), (held,) = vector(toy, model, 1, exact=toy.rng.random() < 0.5)
    divisor = toy.rng.choice([1, 2, 3, 4, 5, 7, 8, 100, 3000, 30000])

    def framework() -> Fraction:
        way = toy.rng.randrange(3)
        if way == 0:
            return toy.rounded(toy.read(held) / divisor)
        inverse = toy.rounded(Fraction(1, divisor))
        if way == 1 or divisor == 1:
            return toy.times(inverse, held)
        # The ½ of the loss joins the mean, the 2 of the square comes last.
        return toy.times(Fraction(2), toy.times(toy.times(Fraction(1, 2), inverse), held))

    return loss_bounds.divided(enclosure, divisor), truth / divisor, framework


def a_relu(toy: Toy, model: Model) -> tuple[Enclosure, Fraction, Callable[[], Fraction]]:
    enclosure, (truth,), (held,) = vector(toy, model, 1, exact=toy.rng.random() < 0.5)
    return enclosure.relu(), max(truth, Fraction(0)), lambda: max(toy.read(held), Fraction(0))


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        a_dot_product,
        a_sum,
        a_square,
        a_residual,
        a_difference,
        a_gate,
        a_division,
        a_relu,
    )
}


def trials(rule: Rule, form: Format, flush: bool, count: int) -> list[float]:
    """error / bound of each trial, after checking that the bound holds."""
    rng = random.Random(f"{rule.__name__} {form.name} {flush} False")
    toy = Toy(form, rng, flush=flush)
    model = Model(form, flush=flush)
    ratios = []
    for _ in range(count):
        with np.errstate(all="ignore"):
            enclosure, truth, framework = rule(toy, model)
            e, r = float(enclosure.e.item()), float(enclosure.r.item())
        if math.isfinite(r):
            assert abs(value_of(enclosure) - truth) <= Fraction(r)
        try:
            error = abs(framework() - truth)
        except Overflow:
            assert math.isinf(e)
            continue
        if math.isinf(e):
            continue
        assert error <= Fraction(e), (enclosure.high, e, float(truth))
        if e > 0:
            ratios.append(float(error / Fraction(e)))
        else:
            assert error == 0
    return ratios


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.name).replace(" ", "-"))
@pytest.mark.parametrize("rule", RULES)
def test_no_evaluation_leaves_its_bound(rule: str, form: Format, flush: bool) -> None:
    ratios = trials(RULES[rule], form, flush, 250)
    assert len(ratios) > 20


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("form", [FOUR_BITS, EIGHT_BITS], ids=["four-bits", "eight-bits"])
def test_half_of_the_bound_would_not_hold(rule: str, form: Format) -> None:
    # So no factor of two can have been put in, and none taken out unnoticed.
    ratios = trials(RULES[rule], form, False, 1500)
    assert max(ratios) > (0.5 if rule != "a_division" else 0.3)  # three roundings are allowed for


@pytest.mark.parametrize("form", FORMS[:4], ids=lambda form: str(form.name).replace(" ", "-"))
def test_a_certificate_of_exactness_is_given_and_kept(form: Format) -> None:
    rng = random.Random(form.name)
    toy, model, certified = Toy(form, rng), Model(form), 0
    for _ in range(400):
        size = rng.randint(1, 5)
        ones, others = (
            [Fraction(rng.randint(-3, 3), rng.choice([1, 2])) for _ in range(size)]
            for _ in range(2)
        )
        one, other = (
            Enclosure.of(model, np.array([float(v) for v in vs])) for vs in (ones, others)
        )
        result = one[None, :] @ other[:, None]
        if result.e.item() == 0:
            certified += 1
            assert result.r.item() == 0
            truth = sum((a * b for a, b in zip(ones, others, strict=True)), Fraction(0))
            for _ in range(3):
                assert toy.dot(ones, others) == truth == value_of(result)
    assert certified > (40 if form is FOUR_BITS else 300)


def test_the_reference_errs_by_one_rounding_where_it_multiplies_by_a_factor() -> None:
    form = FORMATS["float32"]
    found = np.array([0.3]) * Enclosure.of(Model(form), np.array([3.0]))
    assert found.r <= 2 * 0.9 * 2.0**-53


def test_the_bound_of_a_factor_holds_where_it_is_no_multiple_of_the_least_number() -> None:
    """Three parts of about half of it each, of which one is rounded up, and two to 0."""
    form, factor = FORMATS["float64"], 0.12
    c, e = 2.0**55 * TINY, 4 * TINY
    enclosure = Enclosure(Model(form, is_brief=True), np.array([c]), np.zeros(1), np.array([e]))
    found = np.array([factor]) * enclosure
    f, u = Fraction(factor), Fraction(form.unit_roundoff)
    wanted = f * Fraction(e) + f * u * (Fraction(c) + Fraction(e)) + Fraction(TINY) / 2
    assert Fraction(float(found.e.item())) >= wanted > Fraction(TINY)


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.name).replace(" ", "-"))
def test_a_sum_of_one_number_has_that_number_s_bounds(form: Format, flush: bool) -> None:
    # Nothing is added, so nothing is rounded: no operation, no error of it.
    model = Model(form, flush=flush)
    held = Enclosure(model, Enclosure.of(model, np.array([[1.5]])).c, *np.full((2, 1, 1), 0.125))
    for axis in (-1, -2, (-2, -1)):
        one = held.sum(axis)
        assert one.e.item() == 0.125
        assert one.r.item() == 0.125
    zero = Enclosure.of(model, np.array([[0.0]]))
    assert (held.sum(-1) + zero.sum(-1)).e.item() == 0.125
    assert (held.sum(-1) + held.sum(-1)).e.item() > 0.25


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.name).replace(" ", "-"))
def test_an_exact_quotient_by_a_power_of_two_has_no_error_and_others_have(
    form: Format, flush: bool
) -> None:
    model = Model(form, flush=flush)
    least = model.least
    number = Enclosure.of(model, np.array([6.0, 0.0, 8.0 * least, 4.0 * least, 0.5]))
    quotient = loss_bounds.divided(number, 4)
    # q / 2k is free of underflow for 8 k η / k and not for less.
    assert quotient.e.tolist()[:3] == [0.0, 0.0, 0.0]
    assert quotient.r.tolist()[:3] == [0.0, 0.0, 0.0]
    assert quotient.e[3] > 0.0
    assert quotient.e[4] == 0.0
    third = loss_bounds.divided(number, 3)
    assert (third.e > 0.0).tolist() == [True, False, True, True, True]
    assert third.e[0] >= 3 * form.unit_roundoff * 2


@pytest.mark.parametrize("dropped", ["underflow", "second-factor", "rounding-of-products"])
def test_a_bound_with_a_part_left_out_is_found_out(
    dropped: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from crosscheck.numbers import terms

    if dropped == "underflow":
        monkeypatch.setattr(Model, "least", property(lambda self: 0.0))
    elif dropped == "second-factor":
        monkeypatch.setattr(terms, "growth", lambda unit, factors: 0.0 * np.asarray(factors))
        monkeypatch.setattr(
            Model, "roundoff", property(lambda self: 0.5 * 2.0**-self.format.precision)
        )
    else:
        monkeypatch.setattr(
            Model, "roundoff", property(lambda self: 0.6 * 2.0**-self.format.precision)
        )

    def every_rule() -> None:
        for rule in RULES.values():
            trials(rule, FOUR_BITS, False, 1500)

    with pytest.raises(AssertionError):
        every_rule()


def exact(number: Any) -> Fraction:
    return Fraction(float(number.high.item())) + Fraction(float(number.low.item()))


def wide_numbers(rng: random.Random, count: int) -> list[DoubleDouble]:
    numbers = []
    for _ in range(count):
        high = math.ldexp(rng.uniform(-1, 1), rng.choice([0, 0, 3, -40, 400, -400]))
        low = high * math.ldexp(rng.uniform(-1, 1), -54)
        numbers.append(DoubleDouble(np.array([high]), np.array([low])))
    return numbers


@pytest.mark.parametrize("operation", ["+", "-", "*", "/"])
def test_double_double_keeps_its_relative_error_even_when_terms_cancel(operation: str) -> None:
    rng = random.Random(operation)
    for a, b in zip(wide_numbers(rng, 600), wide_numbers(rng, 600), strict=True):
        if rng.random() < 0.3:  # nearly cancelling
            b = DoubleDouble(-a.high * (1 + rng.choice([0, 2.0**-52])), b.low * 0 + a.low / 3)
        if operation == "+":
            result, truth = a + b, exact(a) + exact(b)
        elif operation == "-":
            result, truth = a - b, exact(a) - exact(b)
        elif operation == "*":
            result, truth = a * b, exact(a) * exact(b)
        else:
            divisor = rng.randint(1, 9)
            result, truth = a / divisor, exact(a) / divisor
        if abs(truth) > Fraction(2) ** -900 and np.isfinite(result.high).all():
            assert abs(exact(result) - truth) <= Fraction(UNIT) * abs(truth)
            assert result.high.item() == result.high.item() + result.low.item()


def test_the_distance_is_that_from_both_parts_of_a_double_double() -> None:
    center = DoubleDouble(np.array([1.0, 1.0, -1.0]), np.array([2.0**-54, -(2.0**-54), 2.0**-54]))
    values = np.array([1.0 + 2.0**-52, 1.0, -1.0 - 2.0**-52])
    expected = [3 * 2.0**-54, 2.0**-54, 5 * 2.0**-54]
    assert distance(values, center).tolist() == expected
    assert distance(np.array([1.0]), np.array([1.5])).tolist() == [0.5]


def test_the_reference_s_own_error_of_a_sum_is_bounded_for_any_number_of_terms() -> None:
    # Each of 2^-107 is half a unit in the last place of 2^-54, and is lost: ties go to even.
    count = 1000
    numbers = np.array([[1.0, 2.0**-54, *[2.0**-107] * count]])
    held = Enclosure.of(Model(FORMATS["float64"]), numbers)
    ones = Enclosure.of(Model(FORMATS["float64"]), np.ones_like(numbers))
    for found in (held.sum(axis=-1), (held @ ones.swapaxes(0, 1))[0]):
        error = abs(value_of(found) - (1 + Fraction(1, 2**54) + Fraction(count, 2**107)))
        assert error > 20 * Fraction(UNIT), "a few units would not be enough"
        assert error <= Fraction(float(found.r.item()))


def test_two_sum_and_two_prod_lose_nothing() -> None:
    rng = random.Random(0)
    for _ in range(500):
        a = math.ldexp(rng.uniform(-1, 1), rng.randint(-300, 300))
        b = math.ldexp(rng.uniform(-1, 1), rng.randint(-300, 300))
        for pair, truth in (
            (two_sum(np.float64(a), np.float64(b)), Fraction(a) + Fraction(b)),  # type: ignore[arg-type]
            (two_prod(np.float64(a), np.float64(b)), Fraction(a) * Fraction(b)),  # type: ignore[arg-type]
        ):
            assert Fraction(float(pair[0])) + Fraction(float(pair[1])) == truth
