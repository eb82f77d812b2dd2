"""Tied maxima: weights on a simplex, read from whole gradients and from single steps."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from crosscheck.cases.composed import plans, seeded_composed
from crosscheck.explain.operators import explain_composed
from crosscheck.frameworks.gatekeeper import ask
from crosscheck.frameworks.refusals import Refused
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.decisions import Effect, GateClass
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.local.programs import program_of
from crosscheck.judge.local.record import Record
from crosscheck.judge.local.step import StepBounds
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.stacks import ProgramStackJudge
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.steps import step
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.model import Model
from crosscheck.program.evaluate import evaluate
from crosscheck.program.floats import OnFloats
from crosscheck.studies.simulated import simulated


def pool(x: Any, *, bias: float = 0.0, dtype: str = "float64", **settings: Any) -> Composed:
    """x, a bias, a ReLU, max pooling over one axis, and a loss."""
    array = np.asarray(x, dtype=np.float64).reshape(1, -1, 1)
    steps = (
        step("z", "add", "x", "c"),
        step("a", "relu", "z"),
        step("p", "max_pool1d", "a", **settings),
        step("flat", "flatten", "p"),
        step("loss", "squared_error", "flat", "y"),
    )
    out = (array.shape[1] - settings["window"]) // settings["stride"] + 1
    return Composed.of(
        steps,
        {"c": np.full(array.shape, bias)},
        {"x": array, "y": np.full((1, out), -1.0)},
        dtype=dtype,
    )


def with_weights(case: Composed, weights: Any) -> Derivatives:
    """The gradient with these weights at the ties of its pooling."""
    site = next(node.inputs[0] for node in case.gradient.nodes if node.op == "largest")
    shape = case.program.nodes[site].shape
    decided = {site: np.broadcast_to(np.asarray(weights, dtype=np.float64), shape)}
    found = evaluate(case.gradient, OnFloats(decided), dict(case.entries()))
    form = FORMATS[case.dtype]
    return Derivatives.named({name: form.round(value) for name, value in found.items()})


def verdict_on(case: Composed, given: Derivatives) -> Verdict:
    return ProgramJudge(case).verdict(given, framework="ours")


WEIGHTS = [(1, 0, 0), (0, 0, 1), (1 / 3, 1 / 3, 1 / 3), (0, 1, 0), (0.25, 0.5, 0.25), (0.5, 0.5, 0)]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_weights_of_a_tie_are_read_from_a_gradient(weights: Any, dtype: str) -> None:
    case = pool([2.0, 2.0, 2.0], window=3, stride=3, dtype=dtype)
    found = verdict_on(case, with_weights(case, weights))
    assert found.kind is Kind.KINK
    assert [gate.where for gate in found.gates] == [f"p[0,0,0,{k}] at 2" for k in range(3)]
    assert [gate.slope for gate in found.gates] == pytest.approx(list(weights), abs=2.0**-20)
    assert [each.status for each in found.validity] == ["inside", "inside"]


@pytest.mark.parametrize(
    "weights", [(1, 1, 0), (1, 1, 1), (0, 0, 0), (0.5, 0.25, 0), (1.5, -0.5, 0), (0.5, 0.5, 0.01)]
)
def test_what_are_no_weights_explains_nothing(weights: Any) -> None:
    case = pool([2.0, 2.0, 2.0], window=3, stride=3)
    assert verdict_on(case, with_weights(case, weights)).kind is Kind.DISAGREES


def test_a_tie_goes_to_none_that_is_not_the_largest() -> None:
    case = pool([2.0, 1.0, 2.0], window=3, stride=3)
    for weights, kind in (
        ((1, 0, 0), Kind.KINK),
        ((0.5, 0, 0.5), Kind.KINK),
        ((0, 1, 0), Kind.DISAGREES),
        ((0.5, 0.5, 0), Kind.DISAGREES),
    ):
        assert verdict_on(case, with_weights(case, weights)).kind is kind, weights


def test_ties_of_windows_that_overlap_are_read_together() -> None:
    case = pool([2.0, 2.0, 2.0, 1.0], window=2, stride=1)
    weights = np.zeros((1, 3, 1, 2))
    weights[0, :, 0] = [(0.25, 0.75), (1.0, 0.0), (1.0, 0.0)]
    found = verdict_on(case, with_weights(case, weights))
    assert found.kind is Kind.KINK
    slopes = {gate.where: gate.slope for gate in found.gates}
    assert slopes["p[0,0,0,0] at 2"] == pytest.approx(0.25)
    assert slopes["p[0,1,0,0] at 2"] == pytest.approx(1.0)


def test_ties_behind_closed_gates_are_no_kink_and_stay_listed() -> None:
    case = pool([-1.0, -2.0, 3.0, 1.0, -4.0, -1.0], window=2, stride=2)
    found = verdict_on(case, with_weights(case, (0.5, 0.5)))
    assert found.kind is Kind.AGREES
    assert [(gate.gate, gate.effect) for gate in found.gates] == [(GateClass.KINK, Effect.NONE)] * 4
    stack = Composed.of(
        case.steps,
        {name: np.stack([array] * 2) for name, array in case.parameters.items()},
        {name: np.stack([array] * 2) for name, array in case.inputs.items()},
        count=2,
    )
    given = Derivatives.named(
        {name: np.stack([value] * 2) for name, value in with_weights(case, (0.5, 0.5)).entries()}
    )
    assert ProgramStackJudge(stack).agreements(given)[0].all()


def test_a_gate_at_its_kink_beside_closed_ones_is_a_kink_of_both() -> None:
    case = pool([0.0, -1.0], window=2, stride=2)
    found = verdict_on(case, with_weights(case, (1.0, 0.0)))
    effects = {gate.where: gate.effect for gate in found.gates}
    assert effects["a[0,0,0] at 0"] is Effect.READ or found.kind is Kind.AGREES
    assert found.kind in (Kind.AGREES, Kind.KINK)


def test_what_is_nearly_tied_in_a_rounded_sum_is_either() -> None:
    tiny = float(np.spacing(np.float32(1.0)))
    case = pool([1.0, 1.0 - tiny / 2], bias=1.0, window=2, stride=2, dtype="float32")
    for weights in ((1.0, 0.0), (0.0, 1.0)):
        found = verdict_on(case, with_weights(case, weights))
        assert found.kind in (Kind.UNDECIDED, Kind.KINK), found


# -- single steps ------------------------------------------------------------------------------


def bounds_of(
    x: Any, sent: Any, g: Any, op: str = "max_pool1d", dtype: str = "float32", **settings: Any
) -> StepBounds:
    """A step on its own numbers, with what it sent down."""
    form = FORMATS[dtype]
    taken = step("p", op, "x", **settings)
    array = np.asarray(x, dtype=np.float64).reshape(1, -1, 1)
    shapes = (("x", array.shape),)
    program = program_of(taken, shapes)
    comes = form.round(np.asarray(g, dtype=np.float64)).reshape(
        program.nodes[program.outputs["result"]].shape
    )
    result = evaluate(program, OnFloats(), {"x": array, "cotangent": comes})["result"]
    given = form.round(np.asarray(sent, dtype=np.float64).reshape(array.shape))
    record = Record(taken, {"x": array}, result, comes, {"x": given})
    return StepBounds(record, Model(form), False)


def is_inside(bounds: StepBounds) -> bool:
    return all(bool(part.within(1).all()) for part in bounds.parts())


def weights_of(bounds: StepBounds) -> Any:
    (place,) = bounds.decided
    return bounds.slopes[place.site]


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_step_s_weights_are_read(weights: Any) -> None:
    bounds = bounds_of([2, 2, 2], np.array(weights) * 3.7, 3.7, window=3, stride=3)
    assert is_inside(bounds)
    assert weights_of(bounds).ravel() == pytest.approx(weights, abs=2.0**-20)


@pytest.mark.parametrize(
    "sent", [(1, 1, 0), (1, 1, 1), (0, 0, 0), (0.5, 0.25, 0), (1.5, -0.5, 0), (0.5, 0.5, 0.01)]
)
def test_a_step_without_weights_is_outside(sent: Any) -> None:
    assert not is_inside(bounds_of([2, 2, 2], np.array(sent) * 3.7, 3.7, window=3, stride=3))


def test_a_step_that_sends_to_another_entry_is_outside() -> None:
    for sent, inside in (((3, 0, 0), True), ((1.5, 0, 1.5), True), ((0, 3, 0), False)):
        assert is_inside(bounds_of([2, 1, 2], sent, 3, window=3, stride=3)) == inside, sent


def test_weights_of_windows_that_overlap_are_read_one_after_the_other() -> None:
    # The windows (0, 1), (1, 2), (2, 3) with cotangents 1, 10, 100; the last has no tie.
    sent = np.array([0.25, 0.75 + 4.0, 6.0 + 0.0, 100.0])
    bounds = bounds_of([2, 2, 2, 3], sent, [1, 10, 100], window=2, stride=1)
    assert is_inside(bounds)
    assert weights_of(bounds)[0, :, 0].tolist() == [
        pytest.approx([0.25, 0.75]), pytest.approx([0.4, 0.6]), [0.0, 1.0],
    ]  # fmt: skip
    for wrong in ([1.0, 5.0, 6.0, 100.0], [0.25, 4.75, 6.5, 100.0], [0.25, 4.75, 5.0, 101.0]):
        assert not is_inside(bounds_of([2, 2, 2, 3], wrong, [1, 10, 100], window=2, stride=1))


def test_windows_that_go_round_in_a_circle_have_any_weights() -> None:
    # Of the first two windows over four entries no entry is in one only.
    array, comes = np.ones((1, 3, 3, 1)), np.ones((1, 2, 2, 1))
    step_ = step("p", "max_pool2d", "x", window="2 2", stride=1)
    program = program_of(step_, (("x", array.shape),))
    sent = np.zeros((1, 3, 3, 1))
    sent[0, 0, 0], sent[0, 1, 1], sent[0, 2, 2] = 1.0, 2.0, 1.0
    result = evaluate(program, OnFloats(), {"x": array, "cotangent": comes})["result"]
    for scale, inside in ((1.0, True), (3.0, False)):
        record = Record(step_, {"x": array}, result, comes, {"x": scale * sent})
        assert is_inside(StepBounds(record, Model(FORMATS["float32"]), False)) == inside


def test_the_smaller_of_two_is_read_with_its_sign() -> None:
    taken = step("m", "minimum", "a", "b")
    a, b = np.array([[1.0, 2.0]]), np.array([[1.0, 3.0]])
    g = np.array([[4.0, -1.0]])
    for share, inside in ((0.0, True), (0.25, True), (1.0, True), (1.25, False)):
        sent = {"a": np.array([[share * 4.0, -1.0]]), "b": np.array([[4.0 - share * 4.0, 0.0]])}
        record = Record(taken, {"a": a, "b": b}, np.minimum(a, b), g, sent)
        bounds = StepBounds(record, Model(FORMATS["float32"]), False)
        assert is_inside(bounds) == inside, share
        if inside:
            assert weights_of(bounds)[0, 0].tolist() == [share, 1.0 - share]


def test_a_whole_gradient_lists_its_ties_step_by_step() -> None:
    case = pool([-1.0, -2.0, 3.0, 3.0, -4.0, -1.0], window=2, stride=2)
    check = LocalJudge(case).check(simulated(case))
    assert check.wrong() is None
    told = [(each.step, each.index, each.slope) for each in check.readings()]
    idle = [("p", (0, at, 0, k), None) for at in (0, 2) for k in (0, 1)]
    assert sorted(told, key=str) == sorted(
        [*idle, ("p", (0, 1, 0, 0), 1.0), ("p", (0, 1, 0, 1), 0.0)], key=str
    )


# -- frameworks --------------------------------------------------------------------------------

CONVENTIONS: Mapping[tuple[str, str], float] = {
    ("torch", "max_pool1d"): 1.0,
    ("tensorflow", "max_pool1d"): 1.0,
    ("jax", "max_pool1d"): 1.0,
    ("torch", "maximum"): 0.5,
    ("tensorflow", "maximum"): 1.0,
    ("jax", "maximum"): 0.5,
    ("torch", "min"): 0.5,
    ("tensorflow", "min"): 0.5,
    ("jax", "min"): 0.5,
}


@pytest.mark.parametrize(("framework", "name"), CONVENTIONS)
def test_what_a_framework_does_at_a_tie_is_read(framework: str, name: str) -> None:
    pytest.importorskip(framework)
    mode = {"jax": "eager"} if framework == "jax" else {}
    (adapter,), _ = open_frameworks([framework], modes=mode)
    two = name == "maximum"
    steps = [
        step("p", name, *(["x", "c"] if two else ["s"])),
        step("flat", "flatten", "p"),
        step("loss", "squared_error", "flat", "y"),
    ]
    if not two:
        steps.insert(0, step("s", "add", "x", "c"))
    x = np.full((1, 2, 1), 2.0)
    c = x if two else np.zeros((1, 2, 1))
    case = Composed.of(
        steps, {"c": c}, {"x": x, "y": np.zeros((1, 2 if two else 1))}, dtype="float32"
    )
    given = ask(adapter, case)
    assert not isinstance(given, Refused), given
    found = ProgramJudge(case).verdict(given, framework=framework)
    assert found.kind is Kind.KINK
    assert found.gates[0].slope == CONVENTIONS[framework, name]
    with adapter.session():
        check = LocalJudge(case).check(adapter.recorded(case))
    assert check.wrong() is None
    first = check.readings()[0]
    assert first.slope == CONVENTIONS[framework, name]


def test_a_tie_stands_among_the_breakpoints_of_a_derivation() -> None:
    case = pool([2.0, 2.0], window=2, stride=2)
    out = " ".join(explain_composed(case).render("text").split())
    assert "p = max_pool1d(a, windows 2, stride 2)" in out
    assert "p[0,0,0,1] kink 2 0 1" in out
    assert "The largest of each window is taken" in out


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "float16"])
def test_right_gradients_with_any_weights_are_never_wrong(dtype: str) -> None:
    for name in ("max_pool2d", "max", "minimum"):
        for plan in plans([name]):
            for seed in range(2):
                stack = seeded_composed(seed, plan, 2, dtype, boundary=True)
                check = LocalJudge(stack).check(simulated(stack))
                assert [check.wrong(index) for index in range(2)] == [None, None]


def test_shares_are_exact_fractions_of_what_is_left() -> None:
    case = pool([2.0, 2.0, 2.0], window=3, stride=3)
    enclosed = ProgramJudge(case).enclosed(Model(FORMATS["float64"]))
    first, second, third = (each.place for each in enclosed.decisions)
    found = enclosed.weights({first: 0.25, second: 0.5, third: 0.0})
    assert [found[each] for each in (first, second, third)] == [0.25, 0.375, 0.375]
    third_ = Fraction(1 / 3)
    assert enclosed.weights({first: 1 / 3})[third] == float(1 - third_)
    for weights in ((0.25, 0.375, 0.375), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.5, 0.5, 0.0)):
        given = dict(zip((first, second, third), weights, strict=True))
        assert enclosed.weights(enclosed.shares(given)) == given
    assert enclosed.shares({}) == {}
