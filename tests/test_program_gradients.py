"""Derivatives of programs are exact, and whole gradients stay within the bounds of programs."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from climbing import FORMS
from toy import Overflow, Toy
from toy_programs import OnToy, given

from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.network.composed import Composed, Derivatives, Step, step
from crosscheck.numbers import formats
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import Format
from crosscheck.numbers.model import Model
from crosscheck.numbers.piecewise import Piecewise, piecewise
from crosscheck.operators import huber, leaky_relu
from crosscheck.program.derive import gradient, jvp, vjp
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import evaluate, values_of
from crosscheck.program.exact import OnExact
from crosscheck.program.graph import Graph, Program, Var

EFFORT = int(os.environ.get("CLIMB", "1"))

# -- derivatives against power series ----------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Series:
    """a + b ε + c ε², exactly; of the order of its constant."""

    a: Fraction
    b: Fraction = Fraction(0)
    c: Fraction = Fraction(0)

    def __add__(self, other: Any) -> Series:
        o = _series(other)
        return Series(self.a + o.a, self.b + o.b, self.c + o.c)

    def __sub__(self, other: Any) -> Series:
        o = _series(other)
        return Series(self.a - o.a, self.b - o.b, self.c - o.c)

    def __mul__(self, other: Any) -> Series:
        o = _series(other)
        c = self.a * o.c + self.b * o.b + self.c * o.a
        return Series(self.a * o.a, self.a * o.b + self.b * o.a, c)

    __radd__, __rmul__ = __add__, __mul__

    def __gt__(self, other: Any) -> bool:
        return self.a > _series(other).a

    def __ge__(self, other: Any) -> bool:
        return self.a >= _series(other).a

    def __lt__(self, other: Any) -> bool:
        return self.a < _series(other).a

    def __le__(self, other: Any) -> bool:
        return self.a <= _series(other).a

    def __eq__(self, other: object) -> bool:
        return self.a == _series(other).a

    __hash__ = None  # type: ignore[assignment]


def _series(value: Any) -> Series:
    return value if isinstance(value, Series) else Series(Fraction(value))


FUNCTIONS = [
    piecewise("relu", "", "0", "0", "0 1"),
    piecewise("abs", "", "0", "0 -1", "0 1"),
    piecewise("hardtanh", "", "-1 1", "-1", "0 1", "1"),
    piecewise("cubic", "", "-1 1/3", "0 1/3 1 -1", "1 2 1/2", "0 5 0 -2/7 1"),
    huber._function("7/5"),
    leaky_relu._function(0.01),
]

OPERATORS = [each for each in FUNCTIONS if each.name != "cubic"]


def random_program(rng: random.Random, functions: Sequence[Piecewise] = FUNCTIONS) -> Program:
    """A scalar of three arrays, through every primitive in turn."""
    graph = Graph()
    inputs = {
        "A": graph.leaf("A", (2, 3)),
        "B": graph.leaf("B", (3, 2)),
        "r": graph.leaf("r", (1, 3)),
        "s": graph.leaf("s", (1, 1)),
        "v": graph.leaf("v", (3,)),
    }
    pool = [*inputs.values()]
    pool.append(inputs["v"].expand(-2))
    matrices = [each for each in pool if len(each.shape) == 2]

    def pick() -> Var:
        return rng.choice(matrices[-6:] if rng.random() < 0.7 else matrices)

    for _ in range(rng.randint(5, 11)):
        one, other = pick(), pick()
        kind = rng.randrange(13)
        fits = all(
            1 in pair or pair[0] == pair[1] for pair in zip(one.shape, other.shape, strict=True)
        )
        if kind < 3 and fits:
            found = [one + other, one - other, one * other][kind]
        elif kind == 3:
            found = one.times(Fraction(rng.randint(1, 5), rng.randint(1, 3)), -1)
        elif kind < 6:
            found = one @ (other if one.shape[-1] == other.shape[-2] else one.transposed)
        elif kind == 6:
            found = one.sum(*rng.choice([(-1,), (-2,), (-2, -1)]), keep=True)
        elif kind == 7:
            flat = one.sum(*rng.choice([(-1,), (-2,)]))
            found = flat.expand(rng.choice([-1, -2]))
        elif kind == 8:
            size = one.shape[0] * one.shape[1]
            found = one.take([rng.randrange(-1, size) for _ in range(4)], (2, 2))
        elif kind == 9:
            size = one.shape[0] * one.shape[1]
            found = one.scatter([rng.randrange(-1, 6) for _ in range(size)], (2, 3))
        elif kind == 10:
            found = one.maximum().expand(-1)
        elif kind == 11 and 1 in one.shape:
            rows, columns = one.shape
            found = one.broadcast((rows if rows > 1 else 2, columns if columns > 1 else 3))
        else:
            found = one.piecewise(rng.choice(functions))
        matrices.append(found)
    total = pick().sum()
    for each in matrices[-3:]:
        total = total + (each * each.times(Fraction(1, 2))).sum()
    scalar = total * matrices[-1].sum()  # a scalar that is multiplied, so that sums are no ends
    return graph.program(inputs, {"J": scalar, "M": matrices[-1]})


def drawn(rng: random.Random, program: Program) -> dict[str, Any]:
    """Rationals with large denominators, so that nothing is at a breakpoint or tied."""
    return {
        name: fractions_of(rng, program.nodes[number].shape)
        for name, number in program.inputs.items()
    }


def fractions_of(rng: random.Random, shape: tuple[int, ...]) -> Any:
    found = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        found[index] = Fraction(rng.randint(-(10**6), 10**6), 10**6 + rng.randint(1, 99))
    return found


def along(point: Mapping[str, Any], direction: Mapping[str, Any]) -> dict[str, Any]:
    """x + ε v."""
    build = np.vectorize(Series, otypes=[object])
    return {name: build(array, direction[name]) for name, array in point.items()}


def dot(one: Mapping[str, Any], other: Mapping[str, Any]) -> Fraction:
    return sum((np.sum(array * other[name]) for name, array in one.items()), Fraction(0))


def part(values: Any, name: str) -> Any:
    return np.vectorize(lambda each: getattr(_series(each), name), otypes=[object])(values)


EXACT, SERIES = OnExact(Fraction), OnExact(Series)


@pytest.mark.parametrize("seed", range(20))
def test_derivatives_are_those_of_exact_power_series(seed: int) -> None:
    rng = random.Random(seed)
    program = random_program(rng)
    names = tuple(program.inputs)
    x, v, w = (drawn(rng, program) for _ in range(3))
    moved = evaluate(program, SERIES, along(x, v))
    first, second = part(moved["J"], "b").item(), part(moved["J"], "c").item()
    # The gradient.
    derived = gradient(program, "J", names)
    found = evaluate(derived, EXACT, x)
    assert np.asarray(found.pop("J")).item() == part(moved["J"], "a").item()
    assert {name: np.shape(array) for name, array in found.items()} == {
        name: array.shape for name, array in x.items()
    }
    assert dot(found, v) == first
    # Tangents, of both results.
    tangents = {name: f"d{name}" for name in names}
    given_ = x | {tangents[name]: v[name] for name in names}
    forward = evaluate(jvp(program, tangents), EXACT, given_)
    assert np.asarray(forward.get("J.", Fraction(0))).item() == first
    moving = np.broadcast_to(forward.get("M.", Fraction(0)), np.shape(moved["M"]))
    assert (moving == part(moved["M"], "b")).all()
    # Cotangents are tangents transposed.
    seeds = {"J": "gJ", "M": "gM"}
    u = {"gJ": fractions_of(rng, ()), "gM": fractions_of(rng, np.shape(moved["M"]))}
    back = evaluate(vjp(program, seeds, names), EXACT, x | u)
    sent = {name: back[name] for name in names}
    assert dot(sent, v) == u["gJ"].item() * first + np.sum(u["gM"] * moving)
    # Second derivatives: along v, and of v with w by polarisation.
    hessian = jvp(derived, tangents)
    product = evaluate(hessian, EXACT, given_)
    times_v = {name: product.get(f"{name}.", x[name] * 0) for name in names}
    assert dot(times_v, v) == 2 * second
    along_w = part(evaluate(program, SERIES, along(x, w))["J"], "c").item()
    both = {name: v[name] + w[name] for name in names}
    along_both = part(evaluate(program, SERIES, along(x, both))["J"], "c").item()
    assert dot(times_v, w) == along_both - second - along_w


def test_two_results_that_are_one_node_have_both_cotangents() -> None:
    graph = Graph()
    x = graph.leaf("x", (2,))
    square = x * x
    program = graph.program({"x": x}, {"one": square, "other": square})
    derived = vjp(program, {"one": "g", "other": "h"}, ["x"])
    arrays = {"x": np.array([2, 3]), "g": np.array([1, 10]), "h": np.array([100, 1000])}
    rationals = {name: np.vectorize(Fraction, otypes=[object])(v) for name, v in arrays.items()}
    assert evaluate(derived, EXACT, rationals)["x"].tolist() == [404, 6060]


# -- whole gradients in simulated arithmetic ---------------------------------------------------


ACTIVATIONS: list[tuple[str, dict[str, Any]]] = [
    ("relu", {}),
    ("abs", {}),
    ("relu6", {}),
    ("hardtanh", {}),
    ("clip", {"low": -0.3, "high": 0.7}),
    ("leaky_relu", {"slope": 0.01}),
    ("leaky_relu", {"slope": -0.5}),
    ("hard_sigmoid", {}),
    ("prelu", {}),
]
LOSSES: list[tuple[str, dict[str, Any]]] = [
    ("squared_error", {}),
    ("squared_error", {"factor": 3.0, "reduction": "mean"}),
    ("absolute_error", {"factor": "1/3"}),
    ("huber", {"delta": 0.3, "reduction": "mean"}),
    ("huber", {"delta": 1.0, "factor": 2.0}),
    ("hinge", {"reduction": "rows"}),
]


def random_network(rng: random.Random, dtype: str, count: int | None = None) -> Composed:
    """Dense layers, activations and residual sums, with weights that may be shared; a loss."""
    rows, width = rng.randint(1, 2), rng.randint(1, 3)
    kinks, scale = rng.random() < 0.7, 2.0 ** rng.choice([0, 0, 1, -1, -3])
    lead = () if count is None else (count,)
    dice = np.random.default_rng(rng.getrandbits(32))

    def draw(*shape: int) -> Any:
        whole = (*lead, *shape)
        return dice.integers(-1, 2, whole) * 1.0 if kinks else scale * dice.standard_normal(whole)

    steps: list[Step] = []
    parameters: dict[str, Any] = {}
    below, results = "x", ["x"]
    for at in range(rng.randint(2, 5)):
        op, settings = rng.choice(ACTIVATIONS)
        kind = rng.randrange(4)
        if kind < 2:
            weight = rng.choice([f"W{at}", *(name for name in parameters if name[0] == "W")])
            parameters.setdefault(weight, draw(width, width))
            bias = f"b{at}" if rng.random() < 0.5 else None
            if bias:
                parameters[bias] = draw(width)
            steps.append(step(f"s{at}", "dense", below, weight, bias))
        elif kind == 2 or len(results) < 2:
            more = [f"alpha{at}"] if op == "prelu" else []
            parameters |= {name: draw(width) for name in more}
            steps.append(step(f"s{at}", op, below, *more, **settings))
        else:
            steps.append(step(f"s{at}", "add", below, rng.choice(results)))
        below = f"s{at}"
        results.append(below)
    used = {name for each in steps for name in each.operands.values()}
    for at, name in enumerate(results[:-1]):
        if name not in used:
            steps.append(step(f"j{at}", "add", below, name))
            below = f"j{at}"
    loss, settings = rng.choice(LOSSES)
    steps.append(step("loss", loss, below, "y", **settings))
    inputs = {"x": draw(rows, width), "y": draw(rows, width)}
    return Composed.of(steps, parameters, inputs, dtype=dtype, count=count)


def toy_gradients(case: Composed, toy: Toy, enclosed: EnclosedProgram, slopes: Any) -> Any:
    decisions: dict[int, Any] = {}
    for (site, index), value in slopes.items():
        whole = decisions.setdefault(site, np.zeros(enclosed._forward[site].shape))
        whole[index] = value
    arithmetic = OnToy(toy, decisions, enclosed._forward)
    arrays = {name: given(toy, array) for name, array in case.arrays()}
    found = values_of(case.gradient, arithmetic, arrays)
    return {name: found[number].closed for name, number in case.gradient.outputs.items()}


def shares(array: Any, bound: Enclosure, what: str) -> list[float]:
    """Error / bound of each entry that has a bound."""
    found = []
    for index in np.ndindex(array.shape):
        r, e = float(bound.r[index]), float(bound.e[index])
        if np.isfinite(r + e):
            low = bound.c.low[index] if isinstance(bound.c, DoubleDouble) else 0.0
            center = Fraction(float(bound.high[index])) + Fraction(float(low))
            error, room = abs(array[index] - center), Fraction(r) + Fraction(e)
            assert error <= room, (what, index)
            found.append(float(error / room) if error else 0.0)
    return found


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for form in FORMS:
        if form.name not in formats.FORMATS:
            monkeypatch.setitem(formats._FORMATS, form.name, form)


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.name).replace(" ", "-"))
def test_no_gradient_of_a_network_leaves_its_bounds(form: Format, flush: bool, toys: None) -> None:
    rng = random.Random(f"{form.name} {flush}")
    toy, ratios, opened = Toy(form, rng, flush=flush), [0.0], 0
    for _ in range(EFFORT * 8):
        case = random_network(rng, form.name)
        enclosed = EnclosedProgram(case, Model(form, flush=flush))
        slopes = {each.place: rng.choice([0.0, 1.0, 0.5, 0.25]) for each in enclosed.decisions}
        opened += len(slopes)
        bounds = dict(enclosed.gradients(slopes).entries())
        hulls = dict(enclosed.any_gradients.entries())
        for _ in range(2):
            try:
                answer = toy_gradients(case, toy, enclosed, slopes)
            except Overflow:
                assert any(np.isinf(each.e).any() for each in bounds.values())
                continue
            for name, array in answer.items():
                ratios += shares(array, bounds[name], f"{name} of {case.steps}")
                shares(array, hulls[name], f"{name} of {case.steps}, any slope")
    assert max(ratios) > 0.05
    assert len(ratios) > 20
    assert opened


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("form", FORMS[2:], ids=lambda form: str(form.name).replace(" ", "-"))
def test_no_program_leaves_its_bounds(form: Format, flush: bool) -> None:
    # Every primitive, on enclosures and in simulated arithmetic, and a gradient through them.
    rng, ratios = random.Random(f"{form.name} {flush}"), [0.0]
    model, toy = Model(form, flush=flush), Toy(form, rng, flush=flush)
    for _ in range(EFFORT * 2):
        program = random_program(rng, OPERATORS)
        derived = gradient(program, "J", tuple(program.inputs))
        arrays = {}
        for name, number in program.inputs.items():
            shape = program.nodes[number].shape
            exact = np.array([rng.uniform(-1, 1) for _ in range(int(np.prod(shape)))])
            arrays[name] = form.round(exact.reshape(shape) * 2.0 ** rng.choice([0, 0, -2]))
        with np.errstate(all="ignore"):
            enclosures = {name: Enclosure.of(model, array) for name, array in arrays.items()}
            bounds = values_of(derived, OnEnclosures(model), enclosures)
        try:
            held = {name: given(toy, array) for name, array in arrays.items()}
            answer = values_of(derived, OnToy(toy, {}, bounds), held)
        except Overflow:
            assert any(np.isinf(each.e).any() for each in bounds.values())
            continue
        for number in derived.needed:
            ratios += shares(answer[number].closed, bounds[number], str(derived.nodes[number]))
    assert max(ratios) > 0.1


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_a_stack_has_the_bounds_of_its_cases(dtype: str) -> None:
    rng = random.Random(dtype)
    for _ in range(EFFORT * 3):
        stack = random_network(rng, dtype, count=3)
        model = Model(formats.format_of(dtype), flush=rng.random() < 0.5)
        whole = EnclosedProgram(stack, model)
        for found, of in (("gradients", lambda each: each.gradients()), ("any", any_gradients)):
            together: Derivatives = of(whole)
            for k in range(3):
                alone = dict(of(EnclosedProgram(stack[k], model)).entries())
                for name, bound in together.entries():
                    for part_ in ("high", "r", "e"):
                        one, other = getattr(bound, part_)[k], getattr(alone[name], part_)
                        assert one.shape == other.shape
                        np.testing.assert_array_equal(one, other, f"{found} {name} {part_}")
        assert whole.has_open.shape == (3,)


def any_gradients(enclosed: EnclosedProgram) -> Derivatives:
    found: Derivatives = enclosed.any_gradients
    return found


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_programs_of_a_stack_have_the_values_of_its_cases(dtype: str) -> None:
    rng, model = random.Random(dtype), Model(formats.format_of(dtype))
    arithmetic = OnEnclosures(model)
    for _ in range(EFFORT * 3):
        program = random_program(rng)
        derived = gradient(program, "J", tuple(program.inputs))
        stack = {}
        for name, number in program.inputs.items():
            shape = (2, *program.nodes[number].shape)
            drawn_ = [rng.uniform(-1, 1) for _ in range(int(np.prod(shape)))]
            stack[name] = model.format.round(np.array(drawn_).reshape(shape))
        with np.errstate(all="ignore"):
            whole = evaluate(
                derived, arithmetic, {k: Enclosure.of(model, v) for k, v in stack.items()}
            )
            for at in range(2):
                arrays = {name: Enclosure.of(model, array[at]) for name, array in stack.items()}
                for name, alone in evaluate(derived, arithmetic, arrays).items():
                    one = arithmetic.broadcast(whole[name], (2, *alone.shape))
                    for part_ in ("high", "r", "e"):
                        found, wanted = getattr(one, part_)[at], getattr(alone, part_)
                        np.testing.assert_allclose(found, wanted, rtol=2.0**-50, err_msg=part_)
