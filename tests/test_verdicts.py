"""Each verdict is given when it is true, and a wrong gradient gets none of the excuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import faulty
import numpy as np
import pytest

from crosscheck.judge.compare import Judge
from crosscheck.judge.decisions import GateClass
from crosscheck.judge.stacks import StackJudge
from crosscheck.judge.verdict import FAILING, MEANING, Kind, Verdict, fails, how_to_allow
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.network.reference import backward, forward, gradients
from crosscheck.numbers.formats import FORMATS, format_of


def gaussian(
    seed: int, *, dtype: str = "float64", rows: int = 2, count: int | None = None, **options: Any
) -> Case:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Any:
        return rng.standard_normal(shape if count is None else (count, *shape))

    return Case.of(
        [draw(8, 4), draw(3, 8)],
        [draw(8), draw(3)],
        draw(rows, 4),
        draw(rows, 3) + 4.0,  # targets out of reach, so that outputs matter
        dtype=dtype,
        **options,
    )


def judge(case: Case, given: Gradients) -> Verdict:
    return Judge(case).verdict(given, framework="given")


def with_entry(given: Gradients, value: float) -> Gradients:
    """``given`` with the largest entry of dJ/dW1 replaced."""
    weight = given.weights[0].copy()
    weight.flat[np.argmax(np.abs(weight))] = value
    return replace(given, weights=(weight, *given.weights[1:]))


def alive(dtype: str) -> Case:
    """A Gaussian case whose gradient is not zero anywhere it matters."""
    return next(
        case
        for case in (gaussian(seed, dtype=dtype) for seed in range(20))
        if np.abs(gradients(case).weights[0]).max() > 1.0
    )


def test_every_verdict_has_its_paragraph() -> None:
    assert set(MEANING) == set(Kind)
    wrong = {Kind.INCONSISTENT, Kind.DISAGREES, Kind.CRASHED, Kind.TIMED_OUT}
    assert {Kind.REDUCED, Kind.LIBRARY, *wrong} == FAILING


@pytest.mark.parametrize("kind", Kind)
def test_a_verdict_fails_a_run_unless_its_arithmetic_is_allowed(kind: Kind) -> None:
    arithmetics = ("tf32", "bfloat16-multiplicands") if kind is Kind.REDUCED else ()
    verdict = Verdict("torch", "relu", "eager", kind, arithmetics=arithmetics)
    assert fails(verdict) is (kind in FAILING)
    assert fails(verdict, ("truncated",)) is (kind in FAILING)
    # What is allowed is what lies within the bounds of an allowed arithmetic, nearest or not.
    for allowed in ("tf32", "bfloat16-multiplicands"):
        assert fails(verdict, (allowed,)) is (kind in FAILING and kind is not Kind.REDUCED)
    assert ("--allow tf32" in how_to_allow(verdict)) is (kind is Kind.REDUCED)
    assert ('allow=("tf32",)' in how_to_allow(verdict)) is (kind is Kind.REDUCED)


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_correct_gradient_agrees(dtype: str) -> None:
    for seed in range(10):
        case = gaussian(seed, dtype=dtype)
        verdict = judge(case, faulty.Faulty(faulty.correct).gradients(case))
        assert verdict.kind is (Kind.UNDECIDED if verdict.gates else Kind.AGREES)
        assert verdict.worst is not None
        assert verdict.worst.bounds <= 1.0


@pytest.mark.parametrize("name", faulty.FAULTS)
def test_a_planted_fault_is_caught(name: str) -> None:
    fault = faulty.Faulty(faulty.FAULTS[name])
    caught = 0
    for seed in range(20):
        case = gaussian(seed)
        verdict = judge(case, fault.gradients(case))
        right = judge(case, gradients(case))
        # Where all outputs are dead every gradient is zero and the fault changes nothing.
        changed = any(
            not np.array_equal(one, other)
            for (_, one), (_, other) in zip(
                fault.gradients(case).entries(), gradients(case).entries(), strict=True
            )
        )
        assert right.kind is Kind.AGREES
        assert verdict.kind is (Kind.DISAGREES if changed else Kind.AGREES), verdict
        caught += verdict.kind is Kind.DISAGREES
        if verdict.kind is Kind.DISAGREES:
            assert verdict.worst is not None
            assert verdict.worst.bounds > 1.0
    assert caught >= 15


@pytest.mark.parametrize(("change", "layer"), [({"x": 0.0}, 1), ({"w2": -1.0, "b2": 2.0}, 2)])
def test_greater_or_equal_is_a_boundary_difference_and_no_fault(change: Any, layer: int) -> None:
    case = worked_example(**change)
    verdict = judge(case, faulty.Faulty(faulty.not_strict).gradients(case))
    assert verdict.kind is Kind.KINK
    assert [(gate.layer, gate.slope) for gate in verdict.gates] == [(layer, 1.0)]
    smooth = gaussian(0)
    same = judge(smooth, faulty.Faulty(faulty.not_strict).gradients(smooth))
    assert same.kind is Kind.AGREES


def test_weights_and_biases_that_use_different_slopes_are_no_kink() -> None:
    # z1 = 1·2 - 2 = 0 with a nonzero input, so that both dJ/dw1 and dJ/db1 show the slope.
    case = Case.of([[[1.0]], [[1.0]]], [[-2.0], [1.0]], [[2.0]], [[5.0]])
    assert judge(case, gradients(case)).kind is Kind.KINK
    assert judge(case, faulty.unrelated_kinks(case)).kind is Kind.DISAGREES


@pytest.mark.parametrize("slope", [-0.25, 1.25, 2.0])
def test_a_slope_outside_the_unit_interval_is_no_explanation(slope: float) -> None:
    case = worked_example(w2=-1.0, b2=2.0)
    assert judge(case, gradients(case, kink_slope=slope)).kind is Kind.DISAGREES


@pytest.mark.parametrize("slope", [-0.25, 0.0, 0.25, 0.3, 0.5, 1.0, 1.25])
def test_one_slope_in_several_rows_is_an_explanation_in_the_unit_interval_only(
    slope: float,
) -> None:
    # One unit is on its kink in three equal rows, so that only Σ λ g can be seen.
    x = [[2.0, 0.0]] * 3
    case = Case.of([[[1.0, 1.0]], [[1.0]]], [[-2.0], [1.0]], x, [[4.0], [5.0], [7.0]])
    verdict = judge(case, gradients(case, kink_slope=slope))
    assert verdict.kind is (Kind.KINK if 0.0 <= slope <= 1.0 else Kind.DISAGREES)
    if verdict.kind is Kind.KINK:
        assert [gate.slope for gate in verdict.gates] == pytest.approx([slope] * 3, rel=1e-12)


@pytest.mark.parametrize("slope", [0.0, 0.25, 0.3, 0.5, 1.0])
def test_any_slope_in_the_unit_interval_is_read_off(slope: float) -> None:
    case = Case.of([[[1.0]], [[3.0]]], [[-2.0], [1.0]], [[2.0]], [[7.0]])
    (gate,) = judge(case, gradients(case, kink_slope=slope)).gates
    assert gate.slope == pytest.approx(slope, rel=1e-15)


def test_different_slopes_in_one_layer_are_reported_gate_by_gate() -> None:
    case = Case.of(
        [[[1.0], [2.0]], [[3.0, 1.0]]], [[-2.0, -4.0], [1.0]], [[2.0]], [[7.0]]
    )  # both hidden units are at zero; g1 = (1 - 7)·(3, 1)
    given = Gradients(
        np.array(18.0),
        (np.array([[-36.0], [-6.0]]), np.array([[0.0, 0.0]])),
        (np.array([-18.0, -3.0]), np.array([-6.0])),
        np.array([[-24.0]]),
    )
    verdict = judge(case, given)
    assert verdict.kind is Kind.KINK
    assert [gate.slope for gate in verdict.gates] == [1.0, 0.5]
    assert verdict.detail == "layer 1 uses several slopes: 0.5, 1"


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_a_layer_in_which_all_kinks_have_one_slope_is_not_said_to_use_several(slope: float) -> None:
    case = Case.of([[[1.0], [2.0]], [[3.0, 1.0]]], [[-2.0, -4.0], [1.0]], [[2.0]], [[7.0]])
    verdict = judge(case, gradients(case, kink_slope=slope))
    assert verdict.kind is Kind.KINK
    assert [gate.slope for gate in verdict.gates] == [slope, slope]
    assert verdict.detail == ""


@pytest.mark.parametrize(
    ("dtype", "power"), [("float32", 12), ("float64", 27)], ids=["float32", "float64"]
)
@pytest.mark.parametrize("fused", [True, False], ids=["fused", "unfused"])
def test_both_answers_of_the_fused_multiply_add_example_are_right(
    dtype: str, power: int, fused: bool
) -> None:
    # z1 = (1 + h)² - (1 + 2h) = h² > 0 exactly. Rounding the product first gives 1 + 2h, and
    # then 0; a fused multiply-add gives h². The gradients are O(1) apart.
    h = 2.0**-power
    case = Case.of(
        [[[1.0 + h]], [[1.0]]], [[-(1.0 + 2 * h)], [1.0]], [[1.0 + h]], [[0.0]], dtype=dtype
    )
    form = format_of(dtype)
    a1 = h * h if fused else 0.0
    a2 = float(form.round(a1 + 1.0))
    gate = 1.0 if fused else 0.0
    loss = float(form.round(0.5 * a2 * a2))
    given = Gradients(
        np.array(loss),
        (form.round([[gate * a2 * (1.0 + h)]]), form.round([[a2 * a1]])),
        (np.array([gate * a2]), np.array([a2])),
        form.round([[gate * a2 * (1.0 + h)]]),
    )
    verdict = judge(case, given)
    assert verdict.kind is Kind.UNDECIDED
    (reading,) = verdict.gates
    assert (reading.layer, reading.unit, reading.row) == (1, 0, 0)
    assert reading.gate is GateClass.UNDECIDED
    assert reading.value == h * h
    assert reading.slope == gate
    assert reading.flipped is (not fused)


def test_a_flushed_subnormal_is_named_and_not_blamed() -> None:
    # W1 x is subnormal: a framework that flushes sees z1 = 0 and shuts the gate.
    case = worked_example(x=2.0**-1070, dtype="float64")
    given = gradients(worked_example(x=0.0))
    verdict = judge(case, given)
    assert verdict.kind is Kind.SUBNORMAL
    assert [gate.flipped for gate in verdict.gates] == [True]
    assert judge(case, gradients(case)).kind is Kind.AGREES


@pytest.mark.parametrize("power", [2, 4, 6, 8, 10, 12])
def test_one_wrong_entry_is_not_excused_as_coarse_arithmetic(power: int) -> None:
    case = alive("float32")
    right = faulty.Faulty(faulty.correct).gradients(case)
    value = np.abs(right.weights[0]).max()
    wrong = with_entry(right, float(format_of("float32").round(value * (1 + 2.0**-power))))
    assert judge(case, wrong).kind is Kind.DISAGREES


def test_overflow_is_not_finite_and_not_wrong() -> None:
    case = worked_example(w1=2.0**1000, w2=2.0**1000)
    verdict = judge(case, gradients(case))
    assert verdict.kind is Kind.NONFINITE
    assert verdict.detail == "J: 1 +inf; W2: 1 +inf; b2: 1 +inf; W1: 1 +inf; b1: 1 +inf; x: 1 +inf"


def test_zero_times_an_overflow_is_not_finite_and_not_wrong() -> None:
    # g_1 = d W_2 = ±2^1201 overflows. Unit 1 is inactive, and whether a framework multiplies by
    # its gate or selects is its own affair: NaN or 0.
    case = Case.of(
        [[[1.0], [-1.0]], [[2.0**600, 2.0**600]]], [[0.0, 0.0], [0.0]], [[1.0]], [[-(2.0**600)]]
    )
    multiplied = gradients(case)
    assert np.isnan(multiplied.biases[0][1])
    weight, bias = multiplied.weights[0].copy(), multiplied.biases[0].copy()
    weight[1], bias[1] = 0.0, 0.0
    selected = Gradients(
        multiplied.loss,
        (weight, multiplied.weights[1]),
        (bias, multiplied.biases[1]),
        np.full_like(multiplied.x, np.inf),
    )
    assert judge(case, multiplied).kind is Kind.NONFINITE
    assert judge(case, selected).kind is Kind.NONFINITE


def test_one_entry_that_may_overflow_is_not_hidden_by_another_that_may_not() -> None:
    # dJ/dW has the entries d max/2, with d next to 2, and 0.7 d. The second one is rounded, and so
    # further from its reference, counted in bounds, than the first one, whose bound is infinite.
    form, count = format_of("float32"), 17
    steps = np.arange(count)[:, None, None] - count // 2

    def repeated(numbers: Any) -> Any:
        return np.broadcast_to(form.round(np.array(numbers)), (count, *np.shape(numbers)))

    stack = Case.of(
        [repeated([[0.0, 0.3]])],
        [repeated([0.0])],
        repeated([[form.largest / 2.0, 0.7]]),
        form.round(repeated([[-1.79]]) + steps * 2.0**-22),
        dtype="float32",
        output="identity",
    )
    right = gradients(stack)
    given = Gradients(
        form.round(right.loss),
        tuple(map(form.round, right.weights)),
        tuple(map(form.round, right.biases)),
        form.round(right.x),
    )
    kinds = [judge(stack[k], given[k]).kind for k in range(count)]
    assert set(kinds) == {Kind.AGREES, Kind.NONFINITE}
    agrees, _ = StackJudge(stack).agreements(given)
    assert agrees.tolist() == [kind is Kind.AGREES for kind in kinds]
    assert np.isfinite(given.weights[0][agrees]).all()


def test_a_case_with_nan_is_not_finite() -> None:
    case = worked_example(x=float("nan"))
    assert judge(case, gradients(case)).kind is Kind.NONFINITE


def test_nan_where_a_number_is_wanted_disagrees() -> None:
    case = gaussian(0)
    verdict = judge(case, with_entry(gradients(case), float("nan")))
    assert verdict.kind is Kind.DISAGREES


def test_an_overflowing_loss_does_not_hide_the_gradient() -> None:
    # d = 2^600: d² overflows, while every entry of the gradient is finite.
    case = Case.of([[[1.0]]], [[0.0]], [[1.0]], [[-(2.0**600)]])
    right = replace(gradients(case), loss=np.array(np.inf))
    assert judge(case, right).kind is Kind.AGREES
    assert judge(case, replace(right, x=right.x * 2)).kind is Kind.DISAGREES


def test_a_gradient_of_the_wrong_shape_disagrees_and_says_so() -> None:
    case = gaussian(0)
    right = gradients(case)
    verdict = judge(case, replace(right, x=right.x[:1]))
    assert verdict.kind is Kind.DISAGREES
    assert verdict.detail == "x: shape (1, 4) returned, wanted (2, 4)"


@pytest.mark.parametrize(
    ("array", "layer"), [("weights", 2), ("weights", 1), ("biases", 2), ("biases", 1), ("x", 0)]
)
def test_the_first_layer_to_leave_its_bound_is_named(array: str, layer: int) -> None:
    case = alive("float64")
    right = gradients(case)
    if array == "x":
        wrong = replace(right, x=right.x + 1.0)
    else:
        arrays = list(getattr(right, array))
        arrays[layer - 1] = arrays[layer - 1] + 1.0
        wrong = replace(right, **{array: tuple(arrays)})
    assert judge(case, wrong).first_layer == layer


def test_the_first_layer_is_that_beside_a_gradient_with_each_open_gate_on_its_exact_side() -> None:
    # z1 = (h², 1 + h, 0) and z2 = (0, 1 + h + h², h², -h²).
    h = 2.0**-27
    case = Case.of(
        [
            [[1.0 + h], [1.0], [1.0]],
            [[0.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0 + h, 0.0], [0.0, -(1.0 + h), 0.0]],
            [[1.0, 1.0, 1.0, 1.0]],
        ],
        [
            [-(1.0 + 2 * h), 0.0, -(1.0 + h)],
            [-(1.0 + h), 0.0, -(1.0 + 2 * h), 1.0 + 2 * h],
            [0.0],
        ],
        [[1.0 + h]],
        [[0.0]],
        output="identity",
    )
    trace = forward(case.network, case.weights, case.biases, case.x, lambda z: np.maximum(z, 0.0))
    gates = [np.array([[1.0, 1.0, 0.0]]), np.array([[0.0, 1.0, 1.0, 0.0]]), None]
    right = backward(case.network, case.weights, case.biases, trace, case.y, gates)
    fine = judge(case, right)
    assert fine.kind is Kind.KINK
    assert [(gate.layer, gate.unit, gate.gate, gate.slope) for gate in fine.gates] == [
        (1, 0, GateClass.UNDECIDED, 1.0),
        (1, 2, GateClass.KINK, 0.0),
        (2, 0, GateClass.KINK, 0.0),
        (2, 2, GateClass.UNDECIDED, 1.0),
        (2, 3, GateClass.UNDECIDED, 0.0),
    ]
    verdict = judge(case, replace(right, x=right.x + 1.0))
    assert verdict.kind is Kind.DISAGREES
    assert verdict.first_layer == 0
    assert verdict.worst is not None
    assert verdict.worst.name.startswith("x[")


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_a_stack_gets_the_verdicts_of_its_cases(dtype: str) -> None:
    stack = gaussian(5, dtype=dtype, count=60)
    assert stack.count == 60
    given = faulty.Faulty(faulty.correct).gradients(stack)
    given.weights[0][7] *= 2.0
    agrees, bounds = StackJudge(stack).agreements(given)
    for index in range(60):
        verdict = judge(stack[index], given[index])
        assert agrees[index] == verdict.is_plain
        if agrees[index]:
            assert verdict.worst is not None
            assert bounds[index] == verdict.worst.bounds
    assert not agrees[7]
    assert agrees.any()


def test_a_sum_that_just_does_not_fit_is_not_taken_for_exact() -> None:
    # z = -2·2^-52 - 4 needs 54 bits. Its terms are exact, and the rounded sum of their
    # magnitudes is 4, which does fit; a framework's z is -4, and that is right.
    v = 2.0**-52
    case = Case.of([[[-2.0]]], [[-4.0]], [[v]], [[-2.0]], output="identity")
    given = Gradients(
        np.array(2.0), (np.array([[-2.0 * v]]),), (np.array([-2.0]),), np.array([[4.0]])
    )
    assert judge(case, given).kind is Kind.AGREES


def test_a_verdict_is_reproduced_bit_for_bit() -> None:
    case = Case.of(
        [np.arange(6).reshape(3, 2) - 2.0, np.ones((1, 3))],
        [np.zeros(3), [1.0]],
        [[2.0, 1.0]],
        [[3.0]],
    )
    given = gradients(case, kink_slope=0.5)
    assert judge(case, given) == judge(case, given)
