"""Adjoint bounds: derived by hand, held in simulated arithmetic, and narrow enough to catch."""

from __future__ import annotations

import contextlib
import os
import random
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from climbing import FORMS, Attempt, climbed
from random_programs import (
    OPERATORS,
    random_network,
    random_program,
    results_anew,
    toy_gradients,
)
from test_forward_mode import ToyForwardMode
from test_whole_gradients import random_case
from toy import Overflow, Toy
from toy_programs import OnToy, given

from crosscheck.judge.adjoint.boxes import Box
from crosscheck.judge.adjoint.judge import AdjointJudge, Comparison, sampled
from crosscheck.judge.adjoint.terms import Position, terms
from crosscheck.judge.decisions import Place
from crosscheck.judge.enclosed import Derivation
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.network.composed import Composed, Derivatives, composed
from crosscheck.network.dense import Case, worked_example
from crosscheck.network.exact import rational_of, rationals
from crosscheck.network.steps import step
from crosscheck.network.tree import LEFT_OUT
from crosscheck.numbers import formats
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.model import Model
from crosscheck.operators import hardtanh, relu
from crosscheck.program.derive import cotangents, gradient, shares
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import evaluate, values_of
from crosscheck.program.exact import OnExact
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Graph, Program
from crosscheck.studies.power import gaussian_stack
from crosscheck.tools.errors import UsageError

EFFORT = int(os.environ.get("CLIMB", "1"))
EXACT = OnExact(Fraction)
FLOAT32 = FORMATS["float32"]
UNIT = FLOAT32.unit_roundoff
DERIVATIONS: tuple[Derivation, ...] = ("reverse", "forward")


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for form in FORMS:
        if form.name not in formats.FORMATS:
            monkeypatch.setitem(formats._FORMATS, form.name, form)


def every(case: Composed) -> list[Position]:
    """All entries of the gradient, and the loss."""
    return list(sampled(case, all_up_to=10**6))


def gaussian(widths: tuple[int, ...], rows: int, dtype: str = "float32", seed: int = 0) -> Composed:
    stack = gaussian_stack(widths, rows=rows, count=1, dtype=dtype, seed=seed)
    return composed(stack[0])


def by_floats(case: Composed) -> Derivatives:
    """The gradient in float64, rounded to the dtype at the end."""
    found = evaluate(case.gradient, OnFloats(), dict(case.entries()))
    rounded = {name: FORMATS[case.dtype].round(value) for name, value in found.items()}
    return Derivatives(rounded.pop("J"), rounded)


# -- derivatives use by use --------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_what_the_uses_of_a_value_send_down_adds_up_to_its_derivative(seed: int) -> None:
    rng = random.Random(seed)
    program = random_program(rng)
    arrays = {
        name: np.vectorize(Fraction, otypes=[object])(
            np.reshape(
                [rng.uniform(-1, 1) for _ in range(int(np.prod(program.nodes[at].shape)))],
                program.nodes[at].shape,
            )
        )
        for name, at in program.inputs.items()
    }
    nodes = {str(number): number for number in program.needed if number != program.outputs["J"]}
    whole = evaluate(cotangents(program, "J", nodes), EXACT, arrays)
    derived, uses = shares(program, {"J": "g"}, frozenset(nodes.values()))
    one = np.array(Fraction(1), dtype=object)
    values = values_of(derived, EXACT, {**arrays, "g": one})
    totals: dict[str, Any] = {}
    for (consumer, at), share in uses.items():
        name = str(program.nodes[consumer].inputs[at])
        totals[name] = totals.get(name, 0) + values[share]
    assert totals
    for name, total in whole.items():
        assert (np.asarray(total) == totals.get(name, 0)).all()


# -- bounds by hand ----------------------------------------------------------------------------


def line(w: float, x: float, y: float) -> Composed:
    """J = ½ (w x - y)²."""
    steps = (step("z", "dense", "x", "w"), step("J_", "squared_error", "z", "y"))
    return Composed.of(steps, {"w": [[w]]}, {"x": [[x]], "y": [[y]]}, dtype="float32")


def test_the_bound_is_the_sum_that_the_derivation_says() -> None:
    case = line(1.1, 0.7, -0.3)
    w, x, y = (dict(case.entries())[name].item() for name in ("w", "x", "y"))
    residual = w * x - y
    # dJ/dw = (w x - y) x: the product, the difference, and the product at the end are rounded.
    by_hand = UNIT * (abs(w * x) * abs(x) + abs(residual) * abs(x) + abs(residual * x))
    # J = ½ r²: the product is a sum of one term, halved before or after; twice r goes down.
    loss = UNIT * (abs(w * x) * abs(residual) + residual**2 + 0.5 * residual**2)
    found = AdjointJudge(case).bounds([("w", (0, 0)), ("J", ())])
    assert found.enclosure.e[0] == pytest.approx(by_hand, rel=2.0**-20)
    assert found.enclosure.e[1] == pytest.approx(loss, rel=2.0**-20)
    squares = UNIT * np.sqrt((w * x * x) ** 2 + 2 * (residual * x) ** 2)
    assert found.expected[0] == pytest.approx(squares, rel=2.0**-20)


def test_what_is_exact_for_everyone_has_the_bound_0() -> None:
    found = AdjointJudge(worked_example(dtype="float32")).bounds(
        sampled(worked_example(dtype="float32"))
    )
    assert (found.enclosure.bound == 0.0).all()
    assert found.enclosure.high.tolist() == [2.0, 6.0, 6.0, 4.0, 2.0, 12.0]


def test_in_forward_mode_the_last_step_is_one_rounding_more() -> None:
    w, x, y = (FLOAT32.round(np.array([[each]])) for each in (1.1, 0.7, -0.3))
    case = Case.of([w], [None], x, y, dtype="float32", output="identity")
    product, residual = abs(w * x).item(), abs(w * x - y).item()
    by_hand = UNIT * (product + residual + 2 * residual) * x.item()
    found = AdjointJudge(case).bounds([("W1", (0, 0))], derivation="forward")
    assert found.enclosure.e[0] == pytest.approx(by_hand, rel=2.0**-20)
    squares = UNIT * np.sqrt(product**2 + residual**2 + (2 * residual) ** 2) * x.item()
    assert found.expected[0] == pytest.approx(squares, rel=2.0**-20)


def test_in_forward_mode_the_mean_of_two_rows_errs_by_half_of_their_sum() -> None:
    case = gaussian_stack((2, 3, 2), rows=2, count=1, dtype="float32", seed=3)[0]
    positions = [each for each in sampled(case) if each[0] != "J"]
    mean, whole = (
        AdjointJudge(replace(case, network=replace(case.network, reduction=each))).bounds(
            positions, derivation="forward"
        )
        for each in ("mean", "sum")
    )
    # The error of the output, on its way through the residual, is some of it.
    assert mean.enclosure.e == pytest.approx(0.5 * whole.enclosure.e, rel=2.0**-20)
    assert mean.expected == pytest.approx(0.5 * whole.expected, rel=2.0**-20)


def small(shape: tuple[int, ...], low: float, high: float) -> Any:
    return FORMS[1].round(np.random.default_rng(1).uniform(low, high, shape))


def test_derivatives_are_the_largest_over_the_box() -> None:
    graph = Graph()
    u, w = graph.leaf("u", (1, 4)), graph.leaf("w", (4, 1))
    v = (u @ w).squeeze(-1).squeeze(-1)
    program = graph.program({"u": u, "w": w}, {"out": v * v})
    box = Box(program, Model(FORMS[1]), {"u": small((1, 4), 0.5, 1), "w": small((4, 1), 0.5, 1)})
    ball, error = box.balls[v.number], box.rounding[v.number]
    furthest = abs(ball.high) + ball.r
    assert error > 0.1 * furthest
    found = terms(box, [("out", ())]).bound[0]
    by_hand = error * 2 * furthest + box.rounding[program.outputs["out"]]
    assert found == pytest.approx(by_hand.item(), rel=2.0**-30)


def test_a_slope_that_is_decided_between_two_pieces_is_free_where_there_are_three() -> None:
    function = hardtanh.OPERATOR.expand(Graph().leaf("z", ())).node.settings["function"]
    graph = Graph()
    u, w = graph.leaf("u", (1, 4)), graph.leaf("w", (4, 1))
    z, g = u @ w, graph.leaf("g", (1, 1))
    program = graph.program({"u": u, "w": w, "g": g}, {"out": z.select(function, g)})
    arrays = {"u": np.ones((1, 4)) * 1.25, "w": small((4, 1), 0.5, 1), "g": np.ones((1, 1))}
    arrays["w"][2:] = -arrays["w"][:2]
    place = Place(z.number, (0, 0))
    box = Box(program, Model(FORMS[0]), arrays, {place: 1.0})
    assert box.balls[z.number].r > 1.0
    slope = box.slope(z.number, function, of_value=False)
    assert (slope.c - slope.r).item() <= 0.0 < 1.0 <= slope.size.item()


def test_a_slope_of_another_program_decides_nothing_and_hides_none() -> None:
    function = relu_function()
    graph = Graph()
    z, g = graph.leaf("z", (1, 2)), graph.leaf("g", (1, 2))
    program = graph.program({"z": z, "g": g}, {"out": z.select(function, g)})
    arrays = {"z": np.zeros((1, 2)), "g": np.ones((1, 2))}
    slopes = {Place(g.number, (0, 0)): 1.0, Place(z.number, (0, 1)): 0.5}
    slope = Box(program, Model(FORMS[0]), arrays, slopes).slope(z.number, function, of_value=False)
    assert slope.c.tolist() == [[0.5, 0.5]]
    assert slope.r[0, 1] == 0.0 < slope.r[0, 0]


def test_a_ball_with_a_float64_centre_holds_what_it_was() -> None:
    model = Model(FORMATS["float64"])
    center = DoubleDouble(np.array([1.0, 1.0]), np.array([2.0**-60, 0.0]))
    ball = Box.narrow(Enclosure(model, center, np.array([0.0, 0.25]), np.zeros(2)))
    assert ball.c.tolist() == [1.0, 1.0]
    assert 2.0**-60 <= ball.r[0] <= 2.0**-60 * (1 + 2.0**-40)
    assert ball.r[1] == 0.25


def relu_function() -> Any:
    return relu.OPERATOR.expand(Graph().leaf("z", ())).node.settings["function"]


def test_where_the_largest_is_not_certain_each_may_be_it() -> None:
    graph = Graph()
    u, w = graph.leaf("u", (1, 4)), graph.leaf("w", (4, 2))
    a = u @ w
    top = a.maximum()
    program = gradient(graph.program({"u": u, "w": w}, {"out": top.sum()}), "out", ["u"])
    same = small((4, 1), 0.5, 1)
    arrays = {"u": small((1, 4), 0.5, 1), "w": np.hstack([same, same[::-1]])}
    box = Box(program, Model(FORMS[1]), arrays)
    weights = box.weights(a.number)
    assert weights.c.tolist() == [[0.5, 0.5]]
    assert weights.r == pytest.approx(0.5, rel=2.0**-40)
    found = terms(box, [("out", ())]).bound[0]
    assert found == pytest.approx(box.rounding[a.number].sum(), rel=2.0**-30)


def cancelling() -> tuple[Program, dict[str, Any]]:
    """z a - z b with a ≈ b, z a sum of many products."""
    graph = Graph()
    u, v = graph.leaf("u", (1, 30)), graph.leaf("v", (30, 1))
    a, b = graph.leaf("a", (1, 1)), graph.leaf("b", (1, 1))
    z = u @ v
    program = graph.program(
        {"u": u, "v": v, "a": a, "b": b}, {"out": (z * a - z * b).squeeze(-1).squeeze(-1)}
    )
    rng = np.random.default_rng(3)
    form = FORMS[3]
    arrays = {"u": rng.uniform(0.5, 1, (1, 30)), "v": rng.uniform(0.5, 1, (30, 1))}
    arrays |= {"a": np.ones((1, 1)), "b": np.ones((1, 1))}
    return program, {name: form.round(array) for name, array in arrays.items()}


def test_one_number_for_all_its_uses_cancels_and_numbers_of_their_own_do_not() -> None:
    program, arrays = cancelling()
    form = FORMS[3]
    found = terms(Box(program, Model(form), arrays), [("out", ())])
    bound, per_use = float(found.bound[0]), float(found.per_use[0])
    assert bound < 0.2 * per_use
    toy = Toy(form, random.Random(1))
    held = {name: given(toy, array) for name, array in arrays.items()}
    errors = {False: 0.0, True: 0.0}
    for _ in range(60):
        once = evaluate(program, OnToy(toy, {}, {}), held)["out"].closed.item()
        anew = results_anew(program, OnToy(toy, {}, {}), held)["out"].item()
        errors[False] = max(errors[False], abs(float(once)))
        errors[True] = max(errors[True], abs(float(anew)))
    assert errors[False] <= bound < errors[True] <= per_use


# -- simulated arithmetic ----------------------------------------------------------------------


def center_of(bound: Enclosure, index: Any) -> Fraction:
    low = bound.c.low[index] if isinstance(bound.c, DoubleDouble) else 0.0
    return Fraction(float(bound.high[index])) + Fraction(float(low))


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.name).replace(" ", "-"))
def test_no_gradient_of_a_network_leaves_its_adjoint_bounds(
    form: Format, flush: bool, toys: None
) -> None:
    rng = random.Random(f"adjoint {form.name} {flush}")
    toy, ratios, opened = Toy(form, rng, flush=flush), [0.0], 0
    for _ in range(EFFORT * 5):
        case = random_network(rng, form.name)
        judge, positions = AdjointJudge(case, flush=flush), every(case)
        enclosed = EnclosedProgram(case, judge.model)
        slopes = {each.place: rng.choice([0.0, 1.0, 0.5, 0.25]) for each in enclosed.decisions}
        opened += len(slopes)
        given_ = (slopes, dict([*slopes.items()][::2]), None)
        bounds = {
            anew: [judge.bounds(positions, per_use=anew, slopes=each).enclosure for each in given_]
            for anew in (False, True)
        }
        for anew in (False, True, True):
            try:
                answer = toy_gradients(case, toy, enclosed, slopes, anew=anew)
            except Overflow:
                assert np.isinf(bounds[anew][0].e).any()
                continue
            for bound in bounds[anew]:
                for k, (name, index) in enumerate(positions):
                    if not np.isfinite(bound.bound[k]):
                        continue
                    error = abs(answer[name][index] - center_of(bound, k))
                    room = Fraction(float(bound.r[k])) + Fraction(float(bound.e[k]))
                    assert error <= room, (name, index, case.steps, anew)
                    ratios.append(float(error / room) if error else 0.0)
    assert max(ratios) > 0.05
    assert len(ratios) > 20
    assert opened or form.precision > 11


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("form", FORMS[2:], ids=lambda form: str(form.name).replace(" ", "-"))
def test_no_program_leaves_its_adjoint_bounds(form: Format, flush: bool) -> None:
    rng, ratios = random.Random(f"adjoint {form.name} {flush}"), [0.0]
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
            data = {name: Enclosure.of(model, array) for name, array in arrays.items()}
            values = values_of(derived, OnEnclosures(model), data)
        positions = [
            (name, index)
            for name, number in derived.outputs.items()
            for index in np.ndindex(derived.nodes[number].shape)
        ]
        box = Box(derived, model, arrays)
        both = terms(box, positions)
        assert (both.per_use >= both.bound).all()
        held = {name: given(toy, array) for name, array in arrays.items()}
        arithmetic = OnToy(toy, {}, values)
        with contextlib.suppress(Overflow):
            for number, value in values_of(derived, arithmetic, held).items():
                ball = box.balls[number]
                for at in np.ndindex(ball.shape):
                    if np.isfinite(ball.r[at]):
                        gap = abs(value.closed[at] - center_of(ball, at))
                        assert gap <= Fraction(float(ball.r[at])), derived.nodes[number]
        for anew, bounds in ((False, both.bound), (True, both.per_use)):
            try:
                if anew:
                    answer = results_anew(derived, arithmetic, held)
                else:
                    found = evaluate(derived, arithmetic, held)
                    answer = {name: each.closed for name, each in found.items()}
            except Overflow:
                assert np.isinf(bounds).any()
                continue
            for k, (name, index) in enumerate(positions):
                value = values[derived.outputs[name]]
                room = float(value.r[index]) + float(bounds[k])
                if np.isfinite(room):
                    error = abs(answer[name][index] - center_of(value, index))
                    assert error <= Fraction(float(value.r[index])) + Fraction(float(bounds[k]))
                    ratios.append(float(error / Fraction(room)) if error else 0.0)
    assert max(ratios) > 0.05


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_no_gradient_in_forward_mode_leaves_its_adjoint_bounds(dtype: str, flush: bool) -> None:
    dice = np.random.default_rng([flush, len(dtype), 7])
    toy, ratios = Toy(FORMATS[dtype], random.Random(dtype), flush=flush), [0.0]
    for number in range(EFFORT * 6):
        case = random_case(dice, dtype, kinks=number % 3 == 0)
        judge = AdjointJudge(case, flush=flush)
        positions = every(judge.case)
        try:
            answer = ToyForwardMode(case, toy, Fraction(number % 2, 2)).gradients()
        except Overflow:
            continue
        for per_use in (False, True):
            found = judge.check(answer, positions, derivation="forward", per_use=per_use)
            assert found.failing == (), (case, found.worst)
            assert found.worst is not None
            ratios.append(found.worst.bounds)
    assert max(ratios) > 0.05


def test_forward_mode_is_held_to_bounds_of_its_own() -> None:
    dense = gaussian_stack((4, 8, 8, 1), rows=3, count=1, dtype="float32", seed=2)[0]
    judge, right = AdjointJudge(dense), by_floats(composed(dense))
    positions = sampled(dense, of_each=4)
    one, other = (judge.bounds(positions, derivation=each) for each in DERIVATIONS)
    assert (one.enclosure.high == other.enclosure.high).all()
    assert (one.enclosure.e != other.enclosure.e).any()
    assert one.enclosure.e[0] == pytest.approx(other.enclosure.e[0], rel=2.0**-40)  # the loss
    some = (one.enclosure.e > 0) & (other.enclosure.e > 0)
    ratio = one.enclosure.e[some] / other.enclosure.e[some]
    assert ((ratio > 0.2) & (ratio < 5.0)).all()
    assert judge.check(right, positions, derivation="forward").failing == ()
    wrong = right.map_derivatives(lambda array: FLOAT32.round(array * (1 + 2.0**-12)))
    assert judge.check(wrong, positions, derivation="forward").failing
    # A program's J̇ has its constants anywhere; a dense network's is one sum with a rule of its own.
    program = AdjointJudge(composed(dense)).bounds(positions, derivation="forward").enclosure
    assert program.e == pytest.approx(other.enclosure.e, rel=0.5)
    assert program.high == pytest.approx(other.enclosure.high, rel=2.0**-50)


def test_a_value_may_cross_a_breakpoint_whatever_slope_was_decided(toys: None) -> None:
    # z is zero to within rounding; ∂J/∂V = g a with a = max(z, 0), for slopes that are all 0.
    form = FORMS[3]
    steps = (
        step("z", "dense", "x", "W"),
        step("a", "relu", "z"),
        step("out", "dense", "a", "V"),
        step("loss", "squared_error", "out", "y"),
    )
    half = form.round(np.random.default_rng(5).uniform(0.5, 1, (1, 6)))
    x, W = np.hstack([half, half[:, ::-1]]), np.hstack([half[:, ::-1] * 1.5, -half * 1.5])
    parameters = {"W": W, "V": np.ones((1, 1))}
    case = Composed.of(steps, parameters, {"x": x, "y": [[1.5]]}, dtype=form.name)
    judge = AdjointJudge(case)
    enclosed = EnclosedProgram(case, judge.model)
    slopes = {each.place: 0.0 for each in enclosed.decisions}
    assert slopes
    bound = judge.bounds([("V", (0, 0))], slopes=slopes).enclosure
    toy, largest = Toy(form, random.Random(0)), Fraction(0)
    for _ in range(40):
        found = toy_gradients(case, toy, enclosed, slopes)["V"].item()
        largest = max(largest, abs(found - center_of(bound, 0)))
    assert 0 < largest <= Fraction(float(bound.bound[0]))


def one_entry(toy: Toy, model: Model) -> Attempt:
    """An entry of the gradient of two layers, as hill climbing wants it."""
    rng = toy.rng
    dice = np.random.default_rng(rng.getrandbits(16))
    draw = dice.standard_normal
    middle = rng.choice(["", "", "relu", "abs", "leaky_relu"])
    steps = [step("z", "dense", "x", "W", "b"), step("out", "dense", "a" if middle else "z", "V")]
    steps.append(step("loss", "squared_error", "out", "y"))
    if middle:
        steps.insert(1, step("a", middle, "z"))
    parameters = {"W": draw((2, 2)), "b": draw(2), "V": draw((1, 2))}
    inputs = {"x": draw((2, 2)), "y": draw((2, 1))}
    case = Composed.of(steps, parameters, inputs, dtype=model.format.name)
    judge = AdjointJudge(case, flush=model.flush)
    anew = rng.random() < 0.5
    name, index = rng.choice(every(case))
    bound = judge.bounds([(name, index)], per_use=anew).enclosure
    nothing = Enclosure(model, np.zeros(1), np.zeros(1), np.zeros(1)), Fraction(0)
    enclosed = EnclosedProgram(case, model)
    if enclosed.has_open or not np.isfinite(bound.bound).all():
        return *nothing, lambda: Fraction(0)
    exact = {each: rationals(array) for each, array in case.entries()}
    truth = np.asarray(evaluate(case.gradient, OnExact(rational_of), exact)[name])[index]
    return (
        bound,
        Fraction(int(truth.numerator), int(truth.denominator)),
        lambda: toy_gradients(case, toy, enclosed, {}, anew=anew)[name][index],
    )


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("form", FORMS[1:6:2], ids=lambda form: str(form.name).replace(" ", "-"))
def test_climbing_finds_no_error_beyond_the_bound(form: Format, flush: bool, toys: None) -> None:
    worst = climbed(one_entry, form, flush=flush, starts=2 * EFFORT, steps=12)
    assert 0.0 < worst <= 1.0


# -- right and wrong gradients -----------------------------------------------------------------


@pytest.mark.parametrize("per_use", [False, True], ids=["one", "each"])
@pytest.mark.parametrize(
    ("widths", "rows"), [((4, 8, 8, 8, 1), 3), ((16, 32, 32, 4), 4), ((64, 64, 64, 10), 8)]
)
def test_faults_are_caught_and_right_gradients_are_not(
    widths: tuple[int, ...], rows: int, per_use: bool
) -> None:
    case = gaussian(widths, rows)
    judge, positions = AdjointJudge(case), sampled(case, of_each=3)
    right = by_floats(case)
    assert judge.check(right, positions, per_use=per_use).failing == ()
    for name in ("W1", "b2", "x"):
        for fault in (
            lambda array: FLOAT32.round(array * (1 + 2.0**-12)),
            lambda array: -array,
            np.zeros_like,
        ):
            wrong = Derivatives(right.loss, {**right.arrays, name: fault(right.arrays[name])})
            found = judge.check(wrong, positions, per_use=per_use)
            assert found.failing, (name, fault)
            assert {each.name.partition("[")[0] for each in found.failing} == {name}


def test_an_error_that_a_priori_bounds_pass_is_caught() -> None:
    case = gaussian((32, 64, 64, 64, 64, 4), 8)
    right, positions = by_floats(case), [("W1", (3, at)) for at in range(8)]
    judge = AdjointJudge(case)
    enclosed = EnclosedProgram(case, judge.model)
    slopes = {each.place: float(each.sign > 0) for each in enclosed.decisions}
    assert judge.check(right, positions, slopes=slopes).failing == ()
    bounds = judge.bounds(positions, slopes=slopes).enclosure
    before = dict(enclosed.gradients(slopes).entries())["W1"]
    wrong = np.array(right.arrays["W1"])
    for k, (_, index) in enumerate(positions):
        wrong[index] = FLOAT32.round(bounds.high[k] + 1.5 * bounds.bound[k])
        assert before.distance(wrong)[index] < 0.25 * before.bound[index]
    found = judge.check(
        replace(right, arrays={**right.arrays, "W1": wrong}), positions, slopes=slopes
    )
    assert len(found.failing) == len(positions)


def test_open_gates_are_enclosed_or_decided() -> None:
    steps = (
        step("z", "dense", "x", "W", "b"),
        step("a", "relu", "z"),
        step("out", "dense", "a", "V"),
        step("loss", "squared_error", "out", "y"),
    )
    parameters: dict[str, Any] = {
        "W": [[0.1], [0.7]],
        "b": [0.1, -0.3],
        "V": [[0.3, 0.9]],
    }
    inputs = {"x": [[-1.0]], "y": [[2.1]]}
    case = Composed.of(steps, parameters, inputs, dtype="float32")
    judge = AdjointJudge(case)
    (decision,) = EnclosedProgram(case, judge.model).decisions
    places = {node.inputs[0] for node in case.gradient.nodes if node.op == "select"}
    positions = every(case)
    for slope in (0.0, 0.5, 1.0):
        decided = {site: np.full((1, 2), slope) for site in places}
        found = evaluate(case.gradient, OnFloats(decided), dict(case.entries()))
        values = {name: FLOAT32.round(value) for name, value in found.items()}
        answer = Derivatives(values.pop("J"), values)
        assert judge.check(answer, positions).failing == ()
        slopes = {decision.place: slope}
        assert judge.check(answer, positions, slopes=slopes).failing == ()
        other = {decision.place: 1.0 - slope if slope != 0.5 else 0.0}
        assert judge.check(answer, positions, slopes=other).failing
    outside = replace(answer, arrays={**answer.arrays, "W": 1.5 * answer.arrays["W"]})
    assert judge.check(outside, positions).failing


def test_what_may_overflow_has_no_bound_and_is_counted() -> None:
    steps = (step("z", "dense", "x", "W"), step("loss", "squared_error", "z", "y"))
    case = Composed.of(
        steps, {"W": [[200.0, 3.0]]}, {"x": [[200.0, 1.0]], "y": [[30000.0]]}, dtype="float16"
    )
    zero = Derivatives(np.array(0.0), {"W": np.zeros((1, 2)), "x": np.zeros((1, 2))})
    found = AdjointJudge(case).check(zero)
    assert found.unbounded == found.sampled == 5
    odd = case.replaced("x", np.array([[np.nan, 1.0]]))
    assert AdjointJudge(odd).check(zero).unbounded == 5


def test_which_entries_are_looked_at_is_told_and_stays() -> None:
    case = gaussian((16, 32, 32, 4), 4)
    chosen = sampled(case)
    assert chosen == sampled(case)
    assert chosen[0] == ("J", ())
    assert len(chosen) == 1 + 2 * len(case.wanted)
    assert len(sampled(gaussian((2, 3, 1), 2))) == 1 + 6 + 3 + 3 + 1 + 4
    found = AdjointJudge(case).check(by_floats(case))
    assert (found.sampled, found.entries) == (15, 1 + 512 + 32 + 1024 + 32 + 128 + 4 + 64)
    assert len(sampled(gaussian((4, 12), 1))) == 1 + 64
    assert len(sampled(gaussian((5, 10), 1))) == 1 + 2 * 3
    left_out = by_floats(case)
    left_out = replace(left_out, arrays={**left_out.arrays, "W1": LEFT_OUT})
    assert AdjointJudge(case).check(left_out).sampled == 13


def test_of_what_is_left_out_altogether_nothing_is_compared() -> None:
    case = gaussian((2, 3, 1), 2)
    found = by_floats(case).map_derivatives(lambda array: LEFT_OUT)
    found = replace(found, loss=LEFT_OUT)
    assert AdjointJudge(case).check(found) == Comparison(None, (), 0, 0, 0, 0)


def test_a_value_is_one_number_for_all_its_uses_unless_that_is_asked() -> None:
    """z + |z| of a z below zero, on which nothing depends, unless z is two numbers."""
    steps = (
        step("z", "dense", "x", "W"),
        step("a", "abs", "z"),
        step("b", "leaky_relu", "z", slope=1.0),
        step("sum", "add", "a", "b"),
        step("loss", "squared_error", "sum", "y"),
    )
    rng = np.random.default_rng(3)
    parameters = {"W": FLOAT32.round(-rng.uniform(0.5, 1.0, (1, 6)))}
    inputs = {"x": FLOAT32.round(rng.uniform(0.5, 1.0, (1, 6))), "y": np.array([[1.5]])}
    judge = AdjointJudge(Composed.of(steps, parameters, inputs, dtype="float32"))
    right, loss = by_floats(judge.case), [("J", ())]
    one, each = (judge.bounds(loss, per_use=anew).enclosure.bound for anew in (False, True))
    assert one < 0.5 * each
    by_default = judge.check(right, loss).worst
    assert by_default is not None
    assert by_default.bound == one


def test_a_slope_that_is_decided_narrows_the_bounds_of_forward_mode() -> None:
    case = Case.of(
        [[[0.1], [0.7]], [[0.3, 0.9]]], [[0.1, -0.3], None], [[-1.0]], [[2.1]], dtype="float32",
        output="identity",
    )  # fmt: skip
    judge = AdjointJudge(case)
    (decision,) = EnclosedProgram(judge.case, judge.model).decisions
    free, opened, closed = (
        judge.bounds([("W1", (0, 0))], derivation="forward", slopes=slopes).enclosure
        for slopes in (None, {decision.place: 1.0}, {decision.place: 0.0})
    )
    assert opened.bound < 2.0**-10 * free.bound
    assert closed.e < 2.0**-10 * free.e


def test_dense_and_composed_cases_have_the_same_bounds() -> None:
    dense = gaussian_stack((4, 8, 1), rows=2, count=1, dtype="float64", seed=1)[0]
    one, other = AdjointJudge(dense), AdjointJudge(composed(dense))
    positions = sampled(dense)
    assert (one.bounds(positions).enclosure.e == other.bounds(positions).enclosure.e).all()


@pytest.mark.parametrize(
    ("position", "message"),
    [
        (("W3", (0, 0)), "no array of the gradient"),
        (("W1", (0, 9)), "no entry of an array"),
        (("W1", (0, -1)), "no entry of an array"),
        (("W1", (0,)), "no entry of an array"),
    ],
)
def test_an_entry_that_is_not_there_is_refused_in_a_line(position: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        AdjointJudge(worked_example()).bounds([position])
    assert "\n" not in str(caught.value)


def test_an_array_of_another_shape_is_refused() -> None:
    case = gaussian((2, 2, 1), 1)
    given_ = by_floats(case).map_derivatives(np.transpose)
    with pytest.raises(UsageError, match=r"W2: shape \(2, 1\), wanted \(1, 2\)"):
        AdjointJudge(case).check(given_)


def test_a_stack_is_refused() -> None:
    with pytest.raises(UsageError, match="wanted a single case"):
        AdjointJudge(gaussian_stack((2, 2, 1), rows=1, count=3, dtype="float64", seed=0))
