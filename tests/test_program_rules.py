"""Each rule of programs holds against exactly simulated arithmetic, and is not too wide."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from climbing import FORMS, Attempt, Operand, Rule, climbed, number, operand
from toy import Toy

from crosscheck.numbers.enclosure import Enclosure, Model, OpenSum
from crosscheck.numbers.formats import Format
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.piecewise_bounds import Sides, sides_of, slope_of, value_of
from crosscheck.numbers.scaling import nearest, scaled, times_constants
from crosscheck.operators import clip, hard_sigmoid, huber, leaky_relu, prelu
from crosscheck.operators.operator import exact
from crosscheck.operators.units import UNITS
from crosscheck.program.arithmetic import OnEnclosures

EFFORT = int(os.environ.get("CLIMB", "1"))

ZERO, HALF, ONE = Fraction(0), Fraction(1, 2), Fraction(1)

every_format = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name.replace(" ", "-"))
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
    factor = Fraction(toy.rng.choice([0, 1, -1, HALF, -HALF, Fraction(3, 4), Fraction(1, 4)]))
    found = np.array([float(factor)]) * q.enclosure

    def framework() -> Fraction:
        # What the sign of a number is changed in is no product.
        return factor * q.held if factor in (0, 1, -1) else toy.times(factor, q.held)

    return found, factor * q.truth, framework


def multiplied(toy: Toy, factor: Fraction, value: Fraction) -> Fraction:
    """A product with a factor that may be left out or selected."""
    if factor in (0, 1, -1) and toy.rng.random() < 0.5:
        return factor * value
    return toy.times(factor, value)


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
        model.enclose(np.array([1.0])),
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


def applied(toy: Toy, value: Fraction, constants: Sequence[Fraction]) -> Fraction:
    """A value times constants, in some order, some of them put together first."""
    waiting: list[tuple[bool, Fraction]] = []
    for c in toy.rng.sample(list(constants), len(constants)):
        whole = abs(c) < 1 and (1 / c).denominator == 1 and 1 / abs(c) <= toy.form.largest
        way = toy.rng.randrange(3) if whole else 0
        if way == 0:
            waiting.append((True, toy.rounded(c)))
        elif way == 1:
            waiting.append((True, toy.rounded(1 / toy.rounded(1 / c))))
        else:
            waiting.append((False, toy.rounded(1 / c)))
    while len(waiting) > 1 and toy.rng.random() < 0.4:
        (by, one), (also, other) = waiting.pop(), waiting.pop()
        if not by and not also and abs(one * other) > toy.form.largest / 2:
            waiting += [(by, one), (also, other)]
            break
        if by == also:
            waiting.append((by, toy.times(one, other)))
        else:
            top, bottom = (one, other) if by else (other, one)
            waiting.append((True, toy.rounded(toy.read(top) / bottom)))
    for by, c in waiting:
        value = toy.times(c, value) if by else toy.rounded(toy.read(value) / c)
    return value


def constants_of_a_number(toy: Toy, model: Model) -> Attempt:
    q, constants = operand(toy, model), some_constants(toy, model.format)
    truth = q.truth * np.prod(constants)
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


def summed(toy: Toy, terms: Sequence[Any], constants: Sequence[Fraction]) -> Fraction:
    """Σ terms times constants, each put to terms, to partial sums or to the whole."""
    if len(terms) == 1:
        (term,) = terms
        value = toy.times(*term) if isinstance(term, tuple) else toy.read(term)
        return applied(toy, value, constants)
    here = [c for c in constants if toy.rng.random() < 0.5]
    rest = list(constants)
    for c in here:
        rest.remove(c)
    terms = toy.rng.sample(list(terms), len(terms))
    cut = toy.rng.randrange(1, len(terms))
    left, right = terms[:cut], terms[cut:]
    if len(left) == 1 and isinstance(left[0], tuple) and not rest and toy.rng.random() < 0.5:
        a, b = left[0]
        value = toy.rounded(toy.read(a) * toy.read(b) + toy.read(summed(toy, right, [])))
    else:
        value = toy.plus(summed(toy, left, rest), summed(toy, right, rest))
    return applied(toy, value, here)


def constants_of_a_sum(toy: Toy, model: Model) -> Attempt:
    q, truth, terms = some_products(toy, model)
    constants = some_constants(toy, model.format)
    truth *= np.prod(constants)
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


def maximum(one: Fraction, other: Fraction) -> Fraction:
    return max(one, other)


def clipped(toy: Toy, z: Fraction, low: Fraction, high: Fraction) -> Fraction:
    ends = toy.rounded(low), toy.rounded(high)
    if toy.rng.random() < 0.5:
        return toy.read(max(min(z, ends[1]), ends[0]))
    return toy.read(min(max(toy.read(z), ends[0]), ends[1]))


def a_leak(toy: Toy, z: Fraction, slope: Fraction) -> Fraction:
    if toy.rng.random() < 0.5:
        return toy.read(z) if z > 0 else toy.times(toy.rounded(slope), z)
    return toy.plus(max(z, ZERO), toy.times(toy.rounded(slope), min(z, ZERO)))


def a_hard_sigmoid(toy: Toy, z: Fraction) -> Fraction:
    six = toy.rounded(Fraction(6))
    if toy.rng.random() < 0.5:
        t = min(max(toy.plus(z, Fraction(3)), ZERO), six)
        if toy.rng.random() < 0.5:
            return toy.rounded(toy.read(t) / 6)
        return toy.times(toy.rounded(Fraction(1, 6)), t)
    if toy.rng.random() < 0.5:
        t = toy.rounded(toy.read(z) / 6)
    else:
        t = toy.times(toy.rounded(Fraction(1, 6)), z)
    return min(max(toy.plus(t, HALF), ZERO), ONE)


def a_huber(toy: Toy, d: Fraction, delta: Fraction) -> Fraction:
    delta = toy.rounded(delta)
    way = toy.rng.randrange(4)
    if way == 0:
        q = min(max(d, -delta), delta)
        return toy.times(q, toy.plus(d, -toy.times(HALF, q)))
    if way == 1:
        q = min(abs(d), delta)
        square = toy.times(HALF, toy.times(q, q))
        return toy.plus(square, toy.times(delta, toy.plus(abs(d), -q)))
    if abs(d) <= delta:
        if way == 2:
            return toy.times(HALF, toy.times(d, d))
        return toy.times(toy.times(HALF, d), d)
    return toy.times(delta, toy.plus(abs(d), -toy.times(HALF, delta)))


def a_softshrink(toy: Toy, z: Fraction) -> Fraction:
    if toy.rng.random() < 0.5:
        return toy.plus(z, -HALF) if z > HALF else toy.plus(z, HALF) if z < -HALF else ZERO
    return max(toy.plus(abs(z), -HALF), ZERO) * (1 if z > 0 else -1)


def a_hardswish(toy: Toy, z: Fraction) -> Fraction:
    if toy.rng.random() < 0.5:
        return toy.times(z, a_hard_sigmoid(toy, z))
    t = min(max(toy.plus(z, Fraction(3)), ZERO), Fraction(6))
    return toy.rounded(toy.times(z, t) / 6)


def of_clip(low: str, high: str) -> tuple[Piecewise, Any]:
    ends = exact(low), exact(high)
    return clip._function(low, high), lambda toy, z: clipped(toy, z, *ends)


def of_leaky(slope: Any) -> tuple[Piecewise, Any]:
    return leaky_relu._function(slope), lambda toy, z: a_leak(toy, z, exact(slope))


def of_huber(delta: Any) -> tuple[Piecewise, Any]:
    return huber._function(delta), lambda toy, z: a_huber(toy, z, exact(delta))


FUNCTIONS: dict[str, tuple[Piecewise, Any]] = {
    "relu": (UNITS["relu"], lambda toy, z: max(toy.read(z), ZERO)),
    "abs": (UNITS["abs"], lambda toy, z: abs(toy.read(z))),
    "relu6": (UNITS["relu6"], lambda toy, z: clipped(toy, z, ZERO, Fraction(6))),
    "hardtanh": (UNITS["hardtanh"], lambda toy, z: clipped(toy, z, -ONE, ONE)),
    "clip": of_clip("-1", "2"),
    "clip-odd": of_clip("-1/10", "7/10"),
    "leaky": of_leaky(0.01),
    "leaky-quarter": of_leaky(0.25),
    "leaky-negative": of_leaky(-0.5),
    "leaky-steep": of_leaky("7/3"),
    "hard_sigmoid": (UNITS["hard_sigmoid"], a_hard_sigmoid),
    "softshrink": (UNITS["softshrink"], a_softshrink),
    "huber": of_huber(1.0),
    "huber-odd": of_huber(0.3),
    "huber-large": of_huber(5.0),
    "hinge": (prelu._POSITIVE, lambda toy, z: max(toy.read(z), ZERO)),
}


def value_rule(name: str) -> Rule:
    function, evaluate = FUNCTIONS[name]

    def rule(toy: Toy, model: Model) -> Attempt:
        point = toy.rng.choice(function.breakpoints)
        z = operand(toy, model, Fraction(float(model.format.round(nearest(point)))))
        truth = at(function, z.truth)
        return value_of(z.enclosure, function), truth, lambda: evaluate(toy, z.held)

    rule.__name__ = name
    return rule


def at(function: Piecewise, z: Fraction) -> Fraction:
    number = sum(z > point for point in function.breakpoints)
    return sum((c * z**k for k, c in enumerate(function.pieces[number])), ZERO)


# -- derivatives of them, chosen and at open places -------------------------------------------


def selected(toy: Toy, name: str, z: Fraction, g: Fraction) -> Fraction:
    """f'(z) g in some way, with the framework's own comparisons."""
    function, _ = FUNCTIONS[name]
    if name.startswith("huber"):
        delta = toy.rounded(function.breakpoints[1])
        if toy.rng.random() < 0.5:
            return toy.times(min(max(z, -delta), delta), g)
        if abs(z) > delta:
            return toy.times(delta, g) * (1 if z > 0 else -1)
        left = toy.times(toy.times(HALF, z), g)
        return toy.times(Fraction(2), left) if toy.rng.random() < 0.5 else toy.plus(left, left)
    points = [toy.rounded(point) for point in function.breakpoints]
    piece = sum(z > point for point in points)
    if name == "hard_sigmoid":
        t = toy.plus(z, Fraction(3))
        if toy.rng.random() < 0.5:
            t = toy.times(Fraction(6), toy.plus(toy.rounded(toy.read(z) / 6), HALF))
        piece = (t > 0) + (t >= 6)
        if piece == 1 and toy.rng.random() < 0.5:
            return toy.rounded(toy.read(g) / 6)
    slope = function.pieces[piece][1] if len(function.pieces[piece]) > 1 else ZERO
    return multiplied(toy, toy.rounded(slope), g)


def slope_rule(name: str) -> Rule:
    function, _ = FUNCTIONS[name]
    jumps = [k for k, each in enumerate(function.derivative.jumps) if each]

    def rule(toy: Toy, model: Model) -> Attempt:
        point = toy.rng.choice(function.breakpoints)
        z = operand(toy, model, Fraction(float(model.format.round(nearest(point)))))
        q = operand(toy, model)
        sides = sides_of(z.enclosure, function)
        weight = toy.rng.choice([ZERO, HALF, ONE, Fraction(1, 4)])
        open_ = [k for k in jumps if sides.first[0] <= k < sides.last[0]]
        decided = np.array([float(weight)])
        site = OnEnclosures(model, {0: decided})
        found = site.select(0, z.enclosure, q.enclosure, function)
        if not open_:
            truth = at(function.derivative, z.truth)
            return found, truth * q.truth, lambda: selected(toy, name, z.held, q.held)
        left, right = (function.derivative.pieces[open_[0] + k][0] for k in (0, 1))
        mixed = left + weight * (right - left)

        def framework() -> Fraction:
            if weight in (0, 1):
                return multiplied(toy, toy.rounded(mixed), q.held)
            one, other = toy.rounded(left), toy.rounded(right)
            way = toy.rng.randrange(2)
            if way == 0 or weight != HALF:
                step = toy.times(weight, toy.plus(other, -one))
                return toy.times(toy.plus(one, step), q.held)
            return toy.times(toy.times(HALF, toy.plus(one, other)), q.held)

        return found, mixed * q.truth, framework

    rule.__name__ = f"slope of {name}"
    return rule


SLOPED = [name for name in FUNCTIONS if name != "hinge"]

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
    )
} | {name: value_rule(name) for name in FUNCTIONS}
RULES |= {f"slope-of-{name}": slope_rule(name) for name in SLOPED}


@flushing
@every_format
@pytest.mark.parametrize("rule", RULES)
def test_no_evaluation_leaves_its_bound(rule: str, form: Format, flush: bool) -> None:
    climbed(RULES[rule], form, flush=flush, starts=2 * EFFORT, steps=12)
