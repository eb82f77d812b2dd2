"""Networks of operators: programs, bounds, kinks, verdicts on right and wrong gradients."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from crosscheck.cases.composed import (
    Plan,
    aimed,
    aims,
    composed_boundary_cases,
    composed_cases,
    plans,
    seeded_composed,
)
from crosscheck.cases.strategies import gaussian_stack
from crosscheck.judge.compare import Judge
from crosscheck.judge.decisions import Effect
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.stacks import ProgramStackJudge
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.network.composed import Composed, Derivatives, composed
from crosscheck.network.dense import Network, worked_example
from crosscheck.network.exact import nearest_float, rational_of, rationals
from crosscheck.network.steps import Step, step
from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.model import Model
from crosscheck.operators.registry import known
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import evaluate
from crosscheck.program.exact import OnExact
from crosscheck.program.floats import OnFloats
from crosscheck.tools.errors import UsageError

DTYPES = ("float64", "float32", "bfloat16", "float16")


def by_floats(case: Composed, decisions: dict[int, Any] | None = None) -> Derivatives:
    """The gradient in float64, in the dtype's own numbers at the end."""
    found = evaluate(case.gradient, OnFloats(decisions or {}), dict(case.entries()))
    form = FORMATS[case.dtype]
    rounded = {name: form.round(value) for name, value in found.items()}
    return Derivatives(rounded.pop("J"), rounded)


def at_slope(case: Composed, slope: float) -> Derivatives:
    """The gradient with one λ at every breakpoint that is met."""
    sites = {
        node.inputs[0]: np.full(node.shape, slope)
        for node in case.gradient.nodes
        if node.op == "select"
    }
    return by_floats(case, sites)


def verdict_on(case: Composed, given: Derivatives) -> Verdict:
    return ProgramJudge(case).verdict(given, framework="ours")


def single(plan: Plan, seed: int, dtype: str = "float64", *, boundary: bool = False) -> Composed:
    return seeded_composed(seed, plan, 1, dtype, boundary=boundary)[0]


EVERY_PLAN = [
    pytest.param(plan, id=f"{plan.steps[1].op} {plan.steps[-1].op} {number}")
    for number, plan in enumerate(plans())
]


def test_the_worked_example_is_a_program_like_any_other() -> None:
    case = composed(worked_example())
    exact = {name: rationals(array) for name, array in case.entries()}
    for found in (
        evaluate(case.gradient, OnFloats(), dict(case.entries())),
        evaluate(case.gradient, OnExact(rational_of), exact),
    ):
        values = {name: float(np.asarray(value).item()) for name, value in found.items()}
        assert values == {"J": 2.0, "W1": 6.0, "b1": 6.0, "W2": 4.0, "b2": 2.0, "x": 12.0}


def test_symbols_run_through_the_same_program() -> None:
    sympy = pytest.importorskip("sympy")
    case = composed(worked_example())
    symbols = {
        name: np.array(sympy.symbols(name)).reshape(array.shape) for name, array in case.entries()
    }
    steps = (case.steps[0], step("loss", "squared_error", "z1", "y"))
    linear = Composed.of(steps, {"W1": [[2.0]], "b1": [0.0]}, {"x": [[1.0]], "y": [[5.0]]})
    given = {name: symbols[name] for name in linear.shapes}
    found = evaluate(linear.gradient, OnExact(lambda value: sympy.Rational(value)), given)
    x, y, w, b = (given[name].item() for name in ("x", "y", "W1", "b1"))
    assert sympy.simplify(found["W1"].item() - (w * x + b - y) * x) == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_bounds_from_the_program_are_those_of_the_dense_rules(dtype: str) -> None:
    ratios: list[float] = []
    for number, (widths, rows) in enumerate(
        [((4, 8, 8, 1), 3), ((16, 32, 32, 4), 5), ((2, 3, 2), 1)]
    ):
        rng = np.random.Generator(np.random.Philox(number))
        network = Network(widths, "identity", "mean")
        case = gaussian_stack(rng, network, rows, 2, dtype)[1]
        model = Model(FORMATS[dtype])
        dense = Judge(case).enclosed(model).certain_gradients
        with np.errstate(all="ignore"):
            arrays = {name: Enclosure.of(model, array) for name, array in case.entries()}
            found = evaluate(composed(case).gradient, OnEnclosures(model), arrays)
        for name, bound in dense.entries():
            some = bound.bound > 0
            ratios += np.ravel(found[name].bound[some] / bound.bound[some]).tolist()
    assert np.median(ratios) <= 1.35
    assert np.percentile(ratios, 99) <= 3.0


@pytest.mark.parametrize("plan", EVERY_PLAN)
def test_right_gradients_of_every_operator_are_explained_and_wrong_ones_are_not(plan: Plan) -> None:
    for dtype in ("float64", "float32"):
        case = single(plan, 5, dtype)
        right = by_floats(case)
        assert verdict_on(case, right).kind in (Kind.AGREES, Kind.UNDECIDED)
        name = case.wanted[0]
        faults = [
            right.map_derivatives(np.zeros_like),
            right.map_derivatives(lambda array: 2.0 * array),
            right.map_derivatives(lambda array: -array),
            Derivatives(right.loss, {**right.arrays, name: right.arrays[name] * 1.0078125}),
            Derivatives(right.loss * 1.5, right.arrays),
        ]
        for fault in faults:
            assert fails(verdict_on(case, fault))


@pytest.mark.parametrize("plan", EVERY_PLAN)
@pytest.mark.parametrize("slope", [0.0, 1.0, 0.5])
def test_every_convention_at_breakpoints_is_read(plan: Plan, slope: float) -> None:
    case = single(plan, 11, boundary=True)
    for site, indices, points in aims(case):
        case = aimed(case, site, indices[0], points[0])
    found = verdict_on(case, at_slope(case, slope))
    assert found.kind in (Kind.AGREES, Kind.KINK)
    sites = {node.inputs[0] for node in case.gradient.nodes if node.op == "select"}
    for gate in found.gates:
        if gate.effect is Effect.READ and gate.place.node in sites:
            assert gate.slope == slope, gate.where


def test_a_breakpoint_of_any_function_is_located() -> None:
    steps = (
        step("z", "dense", "x", "W", "b"),
        step("c", "clip", "z", low=-1.0, high=2.0),
        step("loss", "squared_error", "c", "y"),
    )
    case = Composed.of(
        steps, {"W": [[1.0], [2.0]], "b": [0.0, 0.0]}, {"x": [[2.0]], "y": [[0.0, 0.0]]}
    )
    (decision,) = ProgramJudge(case).enclosed(Model(FORMATS["float64"])).decisions
    assert decision.breakpoint == 2
    assert decision.place.index == (0, 0)
    for slope in (0.0, 1.0, 0.5, 0.3):
        found = verdict_on(case, at_slope(case, slope))
        (gate,) = found.gates
        assert found.kind is Kind.KINK
        assert gate.where == "c[0,0] at 2"
        assert gate.slopes == (1.0, 0.0)
        assert gate.slope == pytest.approx(slope)
        assert [each.status for each in found.validity] == ["inside", "inside"]
    outside = at_slope(case, 1.5)
    assert verdict_on(case, outside).kind is Kind.DISAGREES


def test_slopes_outside_the_one_sided_ones_are_no_excuse_for_a_zero_gradient() -> None:
    # At z = 0 the slope of a leaky ReLU is between ½ and 1, and so is that of PReLU with α = ½.
    leaky = (
        step("z", "dense", "x", "W", "b"),
        step("a", "leaky_relu", "z", slope=0.5),
        step("loss", "squared_error", "a", "y"),
    )
    prelu = (leaky[0], step("a", "prelu", "z", "alpha"), leaky[2])
    inputs = {"x": [[1.0]], "y": [[1.0]]}
    cases: list[tuple[tuple[Step, ...], dict[str, Any]]] = [
        (leaky, {"W": [[1.0]], "b": [-1.0]}),
        (prelu, {"W": [[1.0]], "b": [-1.0], "alpha": [0.5]}),
    ]
    for steps, parameters in cases:
        case = Composed.of(steps, parameters, inputs)
        right = at_slope(case, 0.0)
        assert verdict_on(case, right).kind is Kind.KINK
        for scale in (0.0, 0.5, 2.5, -1.0):
            wrong = Derivatives(right.loss, {k: scale * v for k, v in right.arrays.items()})
            assert verdict_on(case, wrong).kind is Kind.DISAGREES
        assert verdict_on(case, right.map_derivatives(lambda array: 1.5 * array)).kind is Kind.KINK


def test_decisions_that_change_nothing_are_no_kink() -> None:
    steps = (
        step("z", "dense", "x", "W", "b"),
        step("a", "relu", "z"),
        step("out", "dense", "a", "V"),
        step("loss", "squared_error", "out", "y"),
    )
    case = Composed.of(
        steps,
        {"W": [[1.0], [1.0]], "b": [-1.0, 0.0], "V": [[0.0, 1.0]]},
        {"x": [[1.0]], "y": [[3.0]]},
    )
    found = verdict_on(case, at_slope(case, 0.0))
    assert found.kind is Kind.AGREES
    assert [each.effect for each in found.gates] == [Effect.NONE]  # it stays listed


def test_a_stack_has_the_verdicts_of_its_cases() -> None:
    for dtype in DTYPES:
        for plan in plans()[::4]:
            stack = seeded_composed(3, plan, 6, dtype)
            found = [by_floats(stack[index]) for index in range(6)]
            given = Derivatives(
                np.array([float(each.loss) for each in found]),
                {name: np.stack([each.arrays[name] for each in found]) for name in stack.wanted},
            )
            agrees, _ = ProgramStackJudge(stack).agreements(given)
            for index in range(6):
                alone = verdict_on(stack[index], given[index])
                assert (alone.kind is Kind.AGREES) >= bool(agrees[index])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(composed_boundary_cases(dtype="float64"))
def test_any_convention_is_explained_wherever_breakpoints_are_met(case: Composed) -> None:
    for slope in (0.0, 0.5, 1.0):
        assert verdict_on(case, at_slope(case, slope)).kind in (
            Kind.AGREES,
            Kind.KINK,
            Kind.UNDECIDED,
        )


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(composed_cases(dtype="float32"))
def test_the_exact_gradient_rounded_is_within_the_bounds(case: Composed) -> None:
    exact = {name: rationals(array) for name, array in case.entries()}
    found = evaluate(case.gradient, OnExact(rational_of), exact)
    form = FORMATS[case.dtype]
    rounded = {
        name: form.round(np.vectorize(nearest_float, otypes=[float])(np.asarray(value, object)))
        for name, value in found.items()
    }
    given = Derivatives(rounded.pop("J"), rounded)
    assert verdict_on(case, given).kind in (Kind.AGREES, Kind.KINK, Kind.UNDECIDED)


ASKED_FOR = {
    *("pow", "division", "softmax", "log_softmax", "rms_norm", "layer_norm", "batch_norm"),
    *("attention", "cross_entropy", "class_cross_entropy", "binary_cross_entropy"),
    *("reshape", "multiply", "sort"),
}
"""Drawn where they are named: each makes frameworks compile two networks more."""


def test_every_operator_is_drawn_or_says_why_not() -> None:
    drawn = {each.op for plan in plans() for each in plan.steps}
    assert {name for name, each in known().items() if each.is_drawn} == drawn
    others = {name for name, each in known().items() if not each.is_drawn}
    assert others - set(ELEMENTARY) == {"hard_sigmoid", *ASKED_FOR}


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((("z", "dense", "x", "W"),), "step 'z': dense, wanted a loss at the end"),
        ((("z", "dens", "x", "W"),), "did you mean 'dense'"),
        ((("z", "dense", "x"),), "dense without W"),
        ((("z", "dense", "x", "W"), ("l", "squared_error", "z", "t")), "y is 't', wanted an array"),
        (
            (("z", "dense", "x", "W"), ("z", "relu", "z"), ("l", "squared_error", "z", "y")),
            "used once",
        ),
        ((("z", "add", "x", "W"), ("l", "squared_error", "z", "y")), "wanted one shape"),
    ],
)
def test_steps_that_do_not_fit_are_refused_in_a_line(
    steps: tuple[tuple[str, ...], ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Composed.of(
            [step(*each) for each in steps],
            {"W": [[1.0, 2.0], [0.0, 1.0], [1.0, 1.0]]},
            {"x": [[1.0, 2.0]], "y": [[1.0, 0.0, 0.0]]},
        )
    assert "\n" not in str(caught.value)


def test_keys_hash_a_stated_form_and_stay() -> None:
    case = composed(worked_example())
    assert case.key == "6f888b70245d63ea"
    assert worked_example().key == "59f3f79a9956f15b"
    assert worked_example(dtype="bfloat16").key == "6d99e1a83ee24363"
    assert composed(worked_example(x=-0.0)).key != composed(worked_example(x=0.0)).key


def test_losses_have_any_constant_and_the_means_of_libraries() -> None:
    given = {"x": [[1.0], [2.0], [4.0]], "y": [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]]}
    weights = {"W": [[1.0], [2.0]]}
    residual = np.array(given["x"]) @ np.array([[1.0, 2.0]]) - np.array(given["y"])
    for attributes, factor in (
        ({}, Fraction(1, 2)),
        ({"factor": 1.0, "reduction": "mean"}, Fraction(1, 6)),
        ({"factor": "1/3", "reduction": "rows"}, Fraction(1, 9)),
    ):
        steps = (step("z", "dense", "x", "W"), step("l", "squared_error", "z", "y", **attributes))
        case = Composed.of(steps, weights, given)
        found = evaluate(case.gradient, OnFloats(), dict(case.entries()))
        assert found["J"] == pytest.approx(float(factor) * (residual**2).sum(), rel=2.0**-50)
