"""The constants ½, 2 and 1 / B lose no more than their rules say, wherever they are put.

Each rule alone, against exact rational arithmetic, on operands that a seeded hill climb looks for
at the lower end of the range, where every product may lose something.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from toy import Toy

from crosscheck.network.loss_bounds import (
    divided,
    loss_tangent,
    residual_of,
    with_constants_anywhere,
)
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.model import Model

FOUR_BITS = Format("four bits", precision=4, emin=-6, emax=8)
FORMS = [FOUR_BITS, FORMATS["float16"], FORMATS["float32"], FORMATS["float64"]]
HALF, TWO = Fraction(1, 2), Fraction(2)

Attempt = tuple[Enclosure, Fraction, Fraction]
"""The enclosure of a result, the exact result, and what the framework returned."""

every_format = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name.replace(" ", "-"))
flushing = pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])


def exactly(enclosure: Enclosure) -> Fraction:
    low = getattr(enclosure.c, "low", np.zeros(1))
    return Fraction(float(enclosure.high.item())) + Fraction(float(low.item()))


def ratio(attempt: Attempt) -> float:
    """Error / bound, infinite if there is an error without one; and the reference's own is kept."""
    enclosure, truth, given = attempt
    e, error = float(enclosure.e.item()), abs(given - truth)
    assert abs(exactly(enclosure) - truth) <= Fraction(float(enclosure.r.item()))
    if e == 0:
        return float("inf") if error else 0.0
    return 0.0 if np.isinf(e) else float(error / Fraction(e))


def climb(
    attempt: Callable[[list[int], Toy], Attempt],
    count: int,
    form: Format,
    *,
    flush: bool = False,
    starts: int = 4,
    steps: int = 12,
) -> float:
    """The largest error / bound found over ``count`` whole numbers, from several starts."""
    rng = random.Random(f"{form.name} {flush} {count}")
    best = 0.0
    for _ in range(starts):
        top = rng.choice([8, 64, 1 << form.precision])
        numbers = [rng.randrange(1, top) for _ in range(count)]
        here = 0.0
        for _ in range(steps):
            moved = list(numbers)
            at = rng.randrange(count)
            moved[at] = max(0, rng.choice([moved[at] + 1, moved[at] - 1, rng.randrange(top)]))
            found = max(ratio(attempt(moved, Toy(form, rng, flush=flush))) for _ in range(2))
            if found >= here:
                numbers, here = moved, found
        best = max(best, here)
    return best


def data(model: Model, values: Sequence[Fraction]) -> Enclosure:
    return Enclosure.of(model, np.array([[float(value) for value in values]]))


def half_square_sum(residual: Enclosure, divisor: int) -> Enclosure:
    loss = divided((residual * residual).sum(axis=(-2, -1)), 2)
    loss = divided(loss, divisor) if divisor > 1 else loss
    return with_constants_anywhere(loss, residual, divisor)


def share(toy: Toy, divisor: int, value: Fraction) -> Fraction:
    """value / B, by a division or by a rounded reciprocal."""
    if divisor == 1:
        return value
    if toy.rng.random() < 0.5:
        return toy.rounded(toy.read(value) / divisor)
    return toy.times(toy.rounded(Fraction(1, divisor)), value)


def in_some_order(toy: Toy, divisor: int, value: Fraction, factors: Sequence[Any]) -> Fraction:
    """A value times ½, 2 and 1 / B, or those of them that are given, some of them put together."""
    factors = toy.rng.sample(list(factors), len(factors))
    if toy.rng.random() < 0.3 and HALF in factors and "mean" in factors:
        factors = [each for each in factors if each not in (HALF, "mean")]
        factors.insert(toy.rng.randrange(len(factors) + 1), "both")
    for factor in factors:
        if factor == "mean":
            value = share(toy, divisor, value)
        elif factor == "both":
            value = toy.times(toy.rounded(Fraction(1, 2 * divisor)), value)
        else:
            value = toy.times(factor, value)
    return value


def a_cotangent(form: Format, divisor: int, flush: bool) -> Any:
    model = Model(form, flush=flush)
    eta = Fraction(form.smallest_subnormal)

    def attempt(numbers: list[int], toy: Toy) -> Attempt:
        d = numbers[0] * eta * (1 if numbers[0] < 1 << form.precision else 0)
        residual = residual_of(data(model, [d]), data(model, [Fraction(0)]))
        if toy.rng.random() < 0.7:
            given = in_some_order(toy, divisor, d, [HALF, TWO, "mean"])
        else:  # (½ d) d, by the product rule
            one = in_some_order(toy, divisor, d, [HALF, "mean"])
            given = toy.plus(one, in_some_order(toy, divisor, d, [HALF, "mean"]))
        return divided(residual, divisor), d / divisor, given

    return attempt


@flushing
@pytest.mark.parametrize("divisor", [2, 3, 8, 64])
@every_format
def test_no_order_of_the_constants_leaves_a_cotangent_s_bound(
    form: Format, divisor: int, flush: bool
) -> None:
    assert climb(a_cotangent(form, divisor, flush), 1, form, flush=flush) <= 1.0


@pytest.mark.parametrize("name", ["float16", "float32", "bfloat16", "float64"])
def test_the_mean_before_the_half_loses_three_halves_of_eta(name: str) -> None:
    form = FORMATS[name]
    toy, eta = Toy(form, random.Random(0)), Fraction(form.smallest_subnormal)
    d, divisor = 94 * eta, 64
    given = toy.times(TWO, toy.times(HALF, toy.times(Fraction(1, divisor), d)))
    error = abs(given - d / divisor)
    zero = data(Model(form), [Fraction(0)])
    enclosure = divided(residual_of(data(Model(form), [d]), zero), divisor)
    assert error == Fraction(47, 32) * eta > eta, "two products of ½η would not be enough"
    assert eta < Fraction(float(enclosure.e.item())) <= (3 if name == "float64" else 1.6) * eta
    assert ratio((enclosure, d / divisor, given)) <= 1.0


def a_loss(form: Format, divisor: int, flush: bool, scale: int, terms: int) -> Any:
    """Residuals that are numbers of a few bits, times 2^scale."""
    model = Model(form, flush=flush)
    unit = Fraction(2) ** scale

    def attempt(numbers: list[int], toy: Toy) -> Attempt:
        d = [number % (1 << min(form.precision, 6)) * unit for number in numbers]
        residual = residual_of(data(model, d), data(model, [Fraction(0)] * terms))
        places = [toy.rng.choice(["d", "term", "sum"]) for _ in range(2)]

        def scaled(value: Fraction, place: str) -> Fraction:
            wanted = [
                factor
                for factor, where in zip((HALF, "mean"), places, strict=True)
                if where == place
            ]
            return in_some_order(toy, divisor, value, wanted)

        each = [scaled(toy.times(scaled(v, "d"), v), "term") for v in d]
        given = scaled(toy.dot([], [], each), "sum")
        truth = sum((v * v for v in d), Fraction(0)) / (2 * divisor)
        return half_square_sum(residual, divisor), truth, given

    return attempt


@flushing
@pytest.mark.parametrize("divisor", [1, 2, 3, 16])
@every_format
def test_no_place_of_the_constants_leaves_the_loss_s_bound(
    form: Format, divisor: int, flush: bool
) -> None:
    low = (form.emin - form.precision + 1) // 2  # of squares of about η
    for scale in (low - 2, low, form.emin // 2, -1):
        found = climb(
            a_loss(form, divisor, flush, scale, 4), 4, form, flush=flush, starts=2, steps=5
        )
        assert found <= 1.0, scale


@every_format
def test_a_half_that_is_put_to_every_term_loses_at_every_term(form: Format) -> None:
    toy, count = Toy(form, random.Random(0)), 4 if form is FOUR_BITS else 40
    least = form.emin - form.precision + 1
    # d² is 9/8 η or 81/64 η, hence rounded to η, and that to 0 when it is halved.
    d = 3 * Fraction(2) ** ((least - 3) // 2) if least % 2 else 9 * Fraction(2) ** (least // 2 - 3)
    residual = residual_of(data(Model(form), [d] * count), data(Model(form), [Fraction(0)] * count))
    each = toy.times(HALF, toy.times(d, d))
    enclosure = half_square_sum(residual, 1)
    truth, given = count * d * d / 2, count * each
    old = (Fraction(count, 2) + 2) * Fraction(form.smallest_subnormal) / 2
    assert abs(given - truth) > old, "½η for each square, and for one half of their sum"
    assert 0.1 < ratio((enclosure, truth, given)) <= 1.0


def test_a_mean_that_is_put_to_every_term_rounds_exact_terms() -> None:
    form, divisor = FORMATS["float32"], 30
    toy, rng = Toy(form, random.Random(0)), random.Random(0)
    d, given, truth = [], Fraction(0), Fraction(0)
    for _ in range(divisor):
        terms = {Fraction(rng.randrange(1, 256)): (Fraction(0), Fraction(0)) for _ in range(20)}
        for value in terms:
            exact = value * value / (2 * divisor)
            terms[value] = toy.plus(given, toy.rounded(exact)), truth + exact
        value = max(terms, key=lambda each: terms[each][0] - terms[each][1])  # most is rounded up
        d.append(value)
        given, truth = terms[value]
    residual = residual_of(data(Model(form), d), data(Model(form), [Fraction(0)] * divisor))
    old = ((1 + Fraction(form.unit_roundoff)) ** 3 - 1) * truth
    assert given - truth > old, "three roundings of the exact sum would not be enough"
    assert 0.1 < ratio((half_square_sum(residual, divisor), truth, given)) <= 1.0


def test_a_loss_of_exact_terms_has_to_be_exact() -> None:
    model = Model(FORMATS["float32"])
    for k in range(3):
        residual = data(model, [Fraction(n) for n in (1, 2, 3)])
        residual = residual_of(residual, data(model, [Fraction(0)] * 3))
        enclosure = half_square_sum(residual, 1 << k)
        assert enclosure.e.item() == enclosure.r.item() == 0.0
        assert exactly(enclosure) == Fraction(7, 1 << k)
    nothing = residual_of(data(model, [Fraction(0)] * 3), data(model, [Fraction(0)] * 3))
    assert half_square_sum(nothing, 3).e.item() == 0.0


@pytest.mark.parametrize("form", FORMS[:3], ids=lambda form: form.name.replace(" ", "-"))
def test_a_loss_is_exact_only_if_no_constant_that_may_be_put_to_it_is_subnormal(
    form: Format,
) -> None:
    # A framework may form 1 / 2B first, and have 0 where that is below the normal numbers.
    model, least = Model(form, flush=True), Fraction(form.smallest_normal)
    for divisor, exact in ((int(1 / (2 * least)), True), (int(1 / least), False)):
        residual = residual_of(data(model, [Fraction(2)]), data(model, [Fraction(0)]))
        enclosure = half_square_sum(residual, divisor)
        assert exactly(enclosure) == Fraction(2, divisor) >= least
        assert (enclosure.e.item() == 0.0) == exact, divisor
        assert exact or Fraction(float(enclosure.e.item())) >= Fraction(2, divisor)


def a_tangent(form: Format, divisor: int, flush: bool, scale: int) -> Any:
    """d · ȧ with d a power of two that takes tangents of a few η up to where they are seen."""
    model = Model(form, flush=flush)
    eta = Fraction(form.smallest_subnormal)
    size = Fraction(2) ** scale

    def attempt(numbers: list[int], toy: Toy) -> Attempt:
        t = numbers[0] % (1 << form.precision) * eta
        d = (1 + numbers[1] % 8) * size
        cotangent = divided(residual_of(data(model, [d]), data(model, [Fraction(0)])), divisor)
        found = loss_tangent(cotangent, data(model, [t]), divisor)
        sides: list[list[Any]] = [[], []]
        for factor in (HALF, TWO, "mean"):
            if factor != "mean" or divisor > 1:
                toy.rng.choice(sides).append(factor)
        if toy.rng.random() < 0.6:
            one = in_some_order(toy, divisor, d, sides[0])
            given = toy.times(one, in_some_order(toy, divisor, t, sides[1]))
        else:  # with the rest of the constants after the product
            one = in_some_order(toy, divisor, toy.times(d, t), sides[0])
            given = in_some_order(toy, divisor, one, sides[1])
        return found, d * t / divisor, given

    return attempt


@flushing
@pytest.mark.parametrize("divisor", [1, 2, 3, 8, 64])
@every_format
def test_no_place_of_the_constants_leaves_the_bound_in_forward_mode(
    form: Format, divisor: int, flush: bool
) -> None:
    for scale in (0, form.emax // 2, form.emax - 8):
        found = climb(
            a_tangent(form, divisor, flush, scale), 2, form, flush=flush, starts=3, steps=6
        )
        assert found <= 1.0, scale


@pytest.mark.parametrize("order", ["1/2B", "1/B, 1/2"])
@every_format
def test_a_tangent_of_a_few_eta_is_lost_before_it_meets_a_large_residual(
    form: Format, order: str
) -> None:
    toy, eta = Toy(form, random.Random(0)), Fraction(form.smallest_subnormal)
    divisor, model = 8, Model(form)
    t = 7 * eta if order == "1/2B" else 11 * eta
    d = Fraction(2) ** (form.emax - 3 if form.emax < 900 else 900)
    cotangent = divided(residual_of(data(model, [d]), data(model, [Fraction(0)])), divisor)
    found = loss_tangent(cotangent, data(model, [t]), divisor)
    small = toy.times(Fraction(1, 2 * divisor), t)
    if order != "1/2B":
        small = toy.times(HALF, toy.times(Fraction(1, divisor), t))
    truth, given = d * t / divisor, toy.times(2 * d, small)
    error = abs(given - truth) / (d / divisor)
    assert error > (2 * eta if order == "1/2B" else divisor * eta), "2Bτ would not be enough"
    assert 0.4 < ratio((found, truth, given)) <= 1.0


@every_format
def test_a_term_that_is_an_odd_number_of_eta_may_lose_all_of_it_when_it_is_halved(
    form: Format,
) -> None:
    # d ḋ = η is exact, since ḋ = 4η and d = ¼ are; half of it is 0 in each of two products.
    toy, model = Toy(form, random.Random(0)), Model(form)
    eta = Fraction(form.smallest_subnormal)
    d, t = Fraction(1, 4), 4 * eta
    found = loss_tangent(
        residual_of(data(model, [d]), data(model, [Fraction(0)])), data(model, [t]), 1
    )
    given = toy.times(TWO, toy.times(HALF, toy.times(d, t)))
    assert d * t == eta
    assert given == 0
    assert (0.4 if form.name == "float64" else 0.9) < ratio((found, d * t, given)) <= 1.0


@every_format
def test_a_term_of_which_a_half_is_flushed_may_lose_nearly_twice_the_smallest_normal_number(
    form: Format,
) -> None:
    model = Model(form, flush=True)
    d, t = Fraction(3, 8), 4 * Fraction(form.smallest_normal)
    found = loss_tangent(
        residual_of(data(model, [d]), data(model, [Fraction(0)])), data(model, [t]), 1
    )
    assert 0 < d * t / 2 < Fraction(form.smallest_normal), "so that ½ (d ḋ) may be replaced by 0"
    assert d * t <= Fraction(float(found.e.item()))


@flushing
@pytest.mark.parametrize("divisor", [1, 4])
@every_format
def test_the_loss_s_tangent_has_a_bound_if_and_only_if_no_sum_of_2_d_t_overflows(
    form: Format, divisor: int, flush: bool
) -> None:
    # With all constants after the sum, Σ 2 d ḋ is formed: 2 B times J̇.
    model, size = Model(form, flush=flush), form.emax // 2
    residual = residual_of(data(model, [Fraction(2) ** size]), data(model, [Fraction(0)]))
    cotangent = divided(residual, divisor)
    for share, fits in ((Fraction(3, 4), True), (Fraction(1), False)):
        t = share * Fraction(2) ** (form.emax - size)
        with np.errstate(all="ignore"):
            found = loss_tangent(cotangent, data(model, [t]), divisor)
            assert np.isfinite(found.e.item()) == fits, share
        assert exactly(found) * divisor == t * Fraction(2) ** size < form.largest


@every_format
def test_a_mean_of_three_loses_subnormal_bits_of_a_tangent_of_any_grain(form: Format) -> None:
    # 8η is a multiple of 2 · 3 η rounded up to a power of two, and a third of it is none of η.
    toy, eta = Toy(form, random.Random(0)), Fraction(form.smallest_subnormal)
    d, t = Fraction(2) ** (form.emax // 2), 8 * eta
    model = Model(form)
    cotangent = divided(residual_of(data(model, [d]), data(model, [Fraction(0)])), 3)
    found = loss_tangent(cotangent, data(model, [t]), 3)
    truth, given = d * t / 3, toy.times(d, toy.rounded(t / 3))
    if form is not FOUR_BITS:
        assert abs(given - truth) > 4 * Fraction(form.unit_roundoff) * truth, "(1 + u)³ and u"
    assert 0.05 < ratio((found, truth, given)) <= 1.0


@pytest.mark.parametrize("flush", [False, True])
def test_the_bounds_in_float64_are_no_less_than_the_formulas_they_stand_for(flush: bool) -> None:
    # In float64 ½η rounds to 0, and so may what a bound is multiplied by.
    form = FORMATS["float64"]
    model, rng = Model(form, flush=flush), random.Random(1)
    eta, u = Fraction(form.smallest_subnormal), Fraction(1, 2**53)
    tau = Fraction(form.smallest_normal) if flush else eta / 2

    def number() -> float:
        return rng.randrange(16) * 2.0 ** rng.choice([-1074, -1073, -1040, -1021, -540, 0])

    for _ in range(100):
        values, errors = [number() for _ in range(3)], [number() for _ in range(3)]
        one = Enclosure(
            model, Enclosure.of(model, np.array(values)).c, np.zeros(3), np.array(errors)
        )
        other = Enclosure.of(model, np.array([number() for _ in range(3)]))
        e, c = [list(map(Fraction, numbers)) for numbers in (errors, values)]
        w = list(map(Fraction, other.high.tolist()))
        n = sum(b > 0 and a + k > 0 for a, k, b in zip(c, e, w, strict=True))
        total = sum((a + k) * b for a, k, b in zip(c, e, w, strict=True))
        carried = sum(k * b for k, b in zip(e, w, strict=True))
        found = Fraction(float((one[None, :] @ other[:, None]).e.item()))
        leaves = u * total + n * tau  # what any order has at least
        if any(errors):
            assert found >= carried + (leaves if n else 0)
        gate = rng.choice([0.25, 0.75, 2.0**-1040, 3 * 2.0**-1074])
        bounds = (np.full(3, gate) * one).e.tolist()
        for k, (a, err, bound) in enumerate(zip(c, e, bounds, strict=True)):
            if a + err > 0 and not (one.exact[k] and bound == 0):
                s = Fraction(gate)
                assert Fraction(bound) >= s * err + u * s * (a + err) + tau
        quotients = divided(one, 2).e.tolist()
        for k, (a, err, bound) in enumerate(zip(c, e, quotients, strict=True)):
            if a + err > 0 and not (one.exact[k] and bound == 0):
                assert Fraction(bound) >= err / 2 + (2 if flush else 3) * tau
        residuals = residual_of(one, other).e.tolist()
        for a, err, b, bound in zip(c, e, w, residuals, strict=True):
            if err > 0:
                rounded = u * (abs(a - b) + err) if b > 0 and a + err > 0 else 0
                assert Fraction(bound) >= err + rounded + (3 if flush else 2) * tau


def test_a_tiny_slope_does_not_make_the_rounding_of_a_large_number_vanish() -> None:
    form = FORMATS["float64"]
    size, slope = 2.0**1000, 3 * 2.0**-1074
    value = size * (1 + 2.0**-52)
    delta = np.array([slope]) * Enclosure.of(Model(form), np.array([value]))
    exact = Fraction(slope) * Fraction(value)
    given = Toy(form, random.Random(0)).rounded(exact)
    assert given != exact, "3 (1 + 2^-52) has too many bits"
    assert abs(given - exact) <= Fraction(float(delta.e.item())) < Fraction(1, 2**120)


def test_every_order_of_every_residual_of_four_bits_is_inside() -> None:
    # All residuals below the normal numbers, all orders: no sample.
    model, eta = Model(FOUR_BITS), Fraction(FOUR_BITS.smallest_subnormal)
    toy, largest = Toy(FOUR_BITS, random.Random(0)), 0.0
    for divisor, number in itertools.product((2, 4, 8, 16, 32), range(1, 16)):
        d = number * eta
        enclosure = divided(residual_of(data(model, [d]), data(model, [Fraction(0)])), divisor)
        for order in itertools.permutations((HALF, TWO, Fraction(1, divisor))):
            given = d
            for factor in order:
                given = toy.times(factor, given)
            largest = max(largest, ratio((enclosure, d / divisor, given)))
    assert 0.8 < largest <= 1.0
