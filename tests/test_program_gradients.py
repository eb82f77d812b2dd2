"""Derivatives of programs are exact, and whole gradients stay within the bounds of programs."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from climbing import FORMS
from random_programs import OPERATORS, random_network, random_program, toy_gradients
from toy import Overflow, Toy
from toy_programs import OnToy, given

from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.network.composed import Derivatives
from crosscheck.numbers import formats
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import Format
from crosscheck.numbers.model import Model
from crosscheck.program import derive
from crosscheck.program.derive import gradient, jvp, vjp
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import evaluate, values_of
from crosscheck.program.exact import OnExact
from crosscheck.program.graph import Graph, Program
from crosscheck.program.rules import RULES
from crosscheck.tools.errors import UsageError

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


def fractions_in(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Whole numbers as fractions."""
    build = np.vectorize(Fraction, otypes=[object])
    return {name: build(array) for name, array in arrays.items()}


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


@pytest.mark.parametrize(
    ("op", "by_a", "by_b"),
    [
        (lambda a, b: a + b, 1, 1),
        (lambda a, b: a - b, 1, -1),
        (lambda a, b: a * b, 7, 3),
        (lambda a, b: a.expand(-1) @ b.expand(-1), 7, 3),
    ],
    ids=["add", "difference", "mul", "contract"],
)
@pytest.mark.parametrize("name", ["a", "b"])
def test_a_result_moves_with_one_operand_alone(op: Any, by_a: int, by_b: int, name: str) -> None:
    graph = Graph()
    a, b = graph.leaf("a", (1,)), graph.leaf("b", (1,))
    program = jvp(graph.program({"a": a, "b": b}, {"J": op(a, b)}), {name: "t"})
    arrays = {"a": np.array([3]), "b": np.array([7]), "t": np.array([10])}
    found = evaluate(program, EXACT, fractions_in(arrays))["J."]
    assert np.asarray(found).item() == 10 * {"a": by_a, "b": by_b}[name]


def test_what_does_not_move_has_no_tangent() -> None:
    graph = Graph()
    a, b = graph.leaf("a", (1,)), graph.leaf("b", (1,))
    program = jvp(graph.program({"a": a, "b": b}, {"J": a * a, "K": b * b}), {"a": "t"})
    assert set(program.outputs) == {"J", "K", "J."}


@pytest.mark.parametrize("output", ["K", "J"])
def test_only_a_result_of_one_number_has_a_gradient(output: str) -> None:
    graph = Graph()
    a = graph.leaf("a", (2,))
    with pytest.raises(UsageError, match=f"'{output}' is no result of shape"):
        gradient(graph.program({"a": a}, {"J": a * a}), output, ["a"])


def test_constants_send_nothing_down() -> None:
    graph = Graph()
    ones = graph.ones((2,))
    for name in ("ones", "zeros"):
        assert list(RULES[name].vjp(ones, ones, (), {})) == []


def test_what_is_held_is_a_constant_to_derivatives_but_not_to_errors() -> None:
    graph = Graph()
    x = graph.leaf("x", (1,))
    program = graph.program({"x": x}, {"y": (x * x.held()) * x})
    arrays = fractions_in({"x": np.array([3]), "g": np.array([1]), "t": np.array([1])})
    assert evaluate(vjp(program, {"y": "g"}, ["x"]), EXACT, arrays)["x"].tolist() == [18]
    assert evaluate(jvp(program, {"x": "t"}), EXACT, arrays)["y."].tolist() == [18]
    derived, uses = derive.shares(program, {"y": "g"}, [x.number])
    sent = evaluate(derived, EXACT, arrays)
    by_use = [np.asarray(each).item() for each in sent.values()]
    operands = [program.nodes[consumer].inputs[at] for consumer, at in uses]
    felt = [share for share, each in zip(by_use, operands, strict=True) if each == x.number]
    assert sum(felt) == 27
    held = graph.zeros((2,)).held()
    assert held.node.op == "zeros"


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
