"""The local certificate: every step held to its own bounds, and the wrong one named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from crosscheck.cases.composed import plans, seeded_composed
from crosscheck.cases.stream.families import Mix
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import Shape
from crosscheck.frameworks.leaves import steps_of
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.local.programs import RESULT, program_of
from crosscheck.judge.local.record import Record, Recorded
from crosscheck.judge.local.step import Part, StepBounds
from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import AnyCase, Composed, composed
from crosscheck.network.dense import Case, Network, worked_example
from crosscheck.network.steps import step
from crosscheck.numbers.formats import FORMATS, format_of
from crosscheck.numbers.model import Model
from crosscheck.studies.simulated import StepFault, simulated

DTYPES = ("float64", "float32", "bfloat16", "float16")
SMALL, LARGE = (4, 8, 8, 1), (64, 64, 64)
TINY = {"float64": 2.0**-41, "float32": 2.0**-12}


def stack_of(widths: tuple[int, ...], dtype: str, mix: str = "uniform", count: int = 8) -> Case:
    return block(Shape(Network(widths), 3, dtype), 3, 0, Mix.parse(mix)).batch.case(slice(count))


def scaled(factor: float) -> Callable[[Any], Any]:
    return lambda array: factor * array


def changed(one: Recorded, other: Recorded) -> Any:
    """In which cases of a stack anything differs."""
    found = np.zeros(len(one.records[0].result), dtype=bool)
    for mine, theirs in zip(one.records, other.records, strict=True):
        pairs = [(mine.result, theirs.result)]
        pairs += [(mine.sent[name], theirs.sent[name]) for name in mine.sent]
        for a, b in pairs:
            found |= (a != b).reshape(len(found), -1).any(axis=1)
    return found


# -- what is right passes ----------------------------------------------------------------------


def test_what_is_computed_more_finely_than_the_dtype_is_inside() -> None:
    for dtype in DTYPES:
        case = stack_of(LARGE, dtype)
        assert LocalJudge(case).check(simulated(case)).explained[0].all(), dtype


# -- what is wrong does not --------------------------------------------------------------------


@pytest.mark.parametrize("widths", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    ("at", "part"),
    [
        ("z1", "result"), ("a1", "result"), ("loss", "result"), ("loss", "a"), ("a2", "z"),
        ("z2", "x"), ("z2", "W"), ("z2", "b"), ("z1", "W"), ("z1", "x"),
    ],
)  # fmt: skip
def test_a_fault_in_a_step_is_caught_and_the_step_named(
    widths: tuple[int, ...], at: str, part: str
) -> None:
    case = stack_of(widths, "float64", count=4)
    right = simulated(case)
    for factor in (0.0, -1.0, 2.0, 1.01, 1.0 + TINY["float64"]):
        found = simulated(case, StepFault(at, part, scaled(factor)))
        check = LocalJudge(case).check(found)
        wrong = changed(found, right)
        assert wrong.any()
        for index in np.flatnonzero(wrong):
            said = check.wrong(int(index))
            assert said is not None
            assert said.step == at, (factor, str(said))


@pytest.mark.parametrize("widths", [SMALL, LARGE], ids=["small", "large"])
def test_a_small_fault_in_float32_is_no_step_of_float32(widths: tuple[int, ...]) -> None:
    case = stack_of(widths, "float32")
    for at, part in (("loss", "a"), ("a2", "z"), ("z2", "b"), ("z1", "W")):
        found = simulated(case, StepFault(at, part, scaled(1.0 + TINY["float32"])))
        check = LocalJudge(case).check(found)
        assert not check.explained[1][changed(found, simulated(case))].any(), (at, part)


@pytest.mark.parametrize("width", [3, 24], ids=["narrow", "wide"])
@pytest.mark.parametrize("plan", range(len(plans())))
def test_a_fault_in_any_operator_is_caught_and_named(plan: int, width: int) -> None:
    case = seeded_composed(plan, plans(width=width)[plan], 2, "float64")
    right = simulated(case)
    for record in right.records:
        for part in ("result", *record.sent):
            # Some of the plans add up fifty numbers, some of which cancel.
            for factor in (0.0, 1.0 + 8 * TINY["float64"]):
                fault = StepFault(record.step.id, part, scaled(factor))
                found = simulated(case, fault)
                check = LocalJudge(case).check(found)
                for index in np.flatnonzero(changed(found, right)):
                    said = check.wrong(int(index))
                    assert said is not None
                    assert said.step == record.step.id, (fault, str(said))


def test_what_is_wrong_is_said_in_a_line() -> None:
    case = worked_example()
    check = LocalJudge(case).check(simulated(case, StepFault("z2", "W", scaled(2.0))))
    text = "step z2 (dense): what it sent to W is 8.0 at W[0,0], wanted 4.0 within 0"
    assert str(check.wrong()) == text
    entire = LocalJudge(case).check(simulated(case))
    assert (entire.records, entire.compared(), entire.unbounded()) == (5, 14, 0)
    assert (entire.worst[0], check.worst[0]) == (0.0, np.inf)


def test_a_cotangent_that_is_lost_between_two_steps_is_told() -> None:
    case = stack_of(SMALL, "float64")
    found = simulated(case)
    records = list(found.records)
    at = next(n for n, each in enumerate(records) if each.step.id == "a1")
    records[at] = replace(records[at], cotangent=2.0 * records[at].cotangent)
    said = LocalJudge(case).check(Recorded(found.given, tuple(records))).wrong(0)
    assert said is not None
    assert "its only use" in said.what


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_of_cotangents_that_leaves_one_out_is_told(dtype: str) -> None:
    """No coarser arithmetic explains it either."""
    case = replace(residual(), dtype=dtype)
    found = simulated(case)
    records = list(found.records)
    at = next(n for n, each in enumerate(records) if each.step.id == "z1")
    uses = [each.sent["a"] for each in records if each.step.id == "sum"]
    records[at] = replace(records[at], cotangent=uses[0])
    said = LocalJudge(case).check(Recorded(found.given, tuple(records))).wrong()
    assert said is not None
    assert (said.step, said.what) == ("z1", "the sum of the cotangents of its uses")


def test_another_operand_than_what_was_returned_is_told() -> None:
    case = stack_of(SMALL, "float64")
    found = simulated(case)
    records = list(found.records)
    at = next(n for n, each in enumerate(records) if each.step.id == "z2")
    operands = {**records[at].operands, "x": records[at].operands["x"] * (1 + 2.0**-52)}
    records[at] = replace(records[at], operands=operands)
    said = LocalJudge(case).check(Recorded(found.given, tuple(records))).wrong(0)
    assert said is not None
    assert (said.step, said.what) == ("z2", "its operand x is not what a1 holds")


def test_a_step_sends_down_what_is_asked_for_and_by_default_all_but_its_targets() -> None:
    loss, shapes = step("loss", "squared_error", "a", "y"), (("a", (1, 2)), ("y", (1, 2)))
    assert set(program_of(loss, shapes).outputs) == {RESULT, "a"}
    assert set(program_of(loss, shapes, ("y",)).outputs) == {RESULT, "y"}
    assert set(program_of(loss, shapes, ()).outputs) == {RESULT}


def one_product(unit: float) -> dict[str, Part]:
    """A step of one product each way, so many units in the last place above the nearest numbers.

    Each product lies a quarter of a unit above a number of float32, and so 3/4 below the next one:
    more than a rounding is off, which is 5/8 of a unit there, and less than two of them.
    """
    one, more = np.full((1, 1), 1.0 + 2.0**-12), np.full((1, 1), 1.25 + 2.0**-13)
    held = format_of("float32").round(one * more) + unit * 2.0**-23
    operands = {"x": one, "W": more, "b": np.zeros(1)}
    sent = {"x": held, "W": format_of("float32").round(one * one), "b": one[0]}
    record = Record(step("z", "dense", "x", "W", "b"), operands, held, one, sent)
    bounds = StepBounds(record, Model(format_of("float32"), is_brief=True), False)
    return {part.name: part for part in bounds.parts()}


@pytest.mark.parametrize("name", ["result", "x"])
def test_one_unit_more_than_a_rounding_is_outside(name: str) -> None:
    assert one_product(0.0)[name].ratio.max() <= 1.0
    assert one_product(1.0)[name].ratio.max() > 1.0


def test_a_gradient_that_is_not_what_the_steps_sent_is_told() -> None:
    case = stack_of(SMALL, "float64")
    found = simulated(case)
    given = found.given.map_derivatives(lambda array: array * (1 + 2.0**-50))
    assert not LocalJudge(case).check(Recorded(given, found.records)).passes.any()


def test_another_loss_than_what_the_steps_made_is_told() -> None:
    case = stack_of(SMALL, "float64")
    found = simulated(case)
    given = replace(found.given, loss=found.given.loss * (1 + 2.0**-50))
    said = LocalJudge(case).check(Recorded(given, found.records)).wrong(0)
    assert said is not None
    assert said.what == "J is not what it returned"


# -- kinks -------------------------------------------------------------------------------------


def residual() -> Composed:
    steps = [
        step("z1", "dense", "x", "W1", "b1"),
        step("a1", "relu", "z1"),
        step("sum", "add", "z1", "a1"),
        step("loss", "squared_error", "sum", "y"),
    ]
    parameters: dict[str, Any] = {"W1": [[1.0, 2.0], [0.5, -1.0]], "b1": [0.25, -0.5]}
    return Composed.of(steps, parameters, {"x": [[1.0, 2.0]], "y": [[0.5, 3.0]]})


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_of_cotangents_may_be_rounded(dtype: str) -> None:
    steps = [
        step("z1", "dense", "x", "W1", "b1"),
        step("a1", "leaky_relu", "z1", slope="1/3"),
        step("sum", "add", "z1", "a1"),
        step("loss", "squared_error", "sum", "y"),
    ]
    third = format_of(dtype).round(np.array([-1 / 3, -1 / 7, -1 / 5]))
    parameters: dict[str, Any] = {"W1": third[:, None], "b1": [0.0] * 3}
    case = Composed.of(steps, parameters, {"x": [[1.0]], "y": [[0.5] * 3]}, dtype=dtype)
    found = simulated(case)
    first, second = (
        each.sent[name]
        for each in found.records
        for name, source in each.step.inputs
        if source == "z1"
    )
    cotangent = next(each for each in found.records if each.step.id == "z1").cotangent
    assert dtype == "float64" or (cotangent != first + second).any()
    assert LocalJudge(case).check(found).explained[0]


def at_kink(slope: float) -> tuple[AnyCase, Recorded]:
    """The worked example at a kink of its first layer, with that slope there."""
    case = worked_example(w2=-1.0, b2=3.0, b1=-2.0)
    right = simulated(case)
    sent = next(each for each in right.records if each.step.id == "a1").cotangent
    fault = StepFault("a1", "z", lambda array: slope * sent + 0.0 * array)
    return case, simulated(case, fault)


@pytest.mark.parametrize("slope", [0.0, 0.25, 0.5, 1.0])
def test_the_slope_at_a_kink_is_read_from_the_step(slope: float) -> None:
    case, found = at_kink(slope)
    check = LocalJudge(case).check(found)
    assert [each.slope for each in check.readings() if each.step == "a1"] == [slope]


@pytest.mark.parametrize("slope", [-0.5, 1.5, 2.0])
def test_a_slope_outside_of_the_two_sides_is_no_slope(slope: float) -> None:
    case, found = at_kink(slope)
    said = LocalJudge(case).check(found).wrong()
    assert said is not None
    assert (said.step, said.operator) == ("a1", "relu")


def test_a_slope_without_effect_is_not_read() -> None:
    case = worked_example(x=0.0, w2=0.0)
    check = LocalJudge(case).check(simulated(case))
    assert [each.slope for each in check.readings() if each.step == "a1"] == [None]


def sent_by(op: str, form: str, flush: bool, given: float, **operands: float) -> float:
    """Error / bound of what a step of one number sends to the first of its operands."""
    arrays = {name: np.array([[value]]) for name, value in operands.items() if name != "g"}
    cotangent = np.array([[operands["g"]]]) if "z" in arrays else np.array(operands["g"])
    first = next(iter(arrays))
    record = Record(
        step("it", op, *arrays), arrays, cotangent, cotangent, {first: np.array([[given]])}
    )
    bounds = StepBounds(record, Model(FORMATS[form], flush=flush, is_brief=True), stacked=False)
    with np.errstate(all="ignore"):
        return float(next(each for each in bounds.parts() if each.name == first).ratio.item())


@pytest.mark.parametrize(
    ("slope", "holds"), [(0.0, True), (0.25, True), (1.0, True), (-0.25, False), (1.25, False)]
)
def test_what_a_step_compares_may_be_rounded_to_the_breakpoint(slope: float, holds: bool) -> None:
    y, a = 1 + 2.0**-12, 1 - 2.0**-12 + 2.0**-24
    assert np.float32(1) - np.float32(y) * np.float32(a) == 0.0 != 1 - y * a
    assert (sent_by("hinge", "float32", False, -slope * y, a=a, y=y, g=1.0) <= 1) == holds


@pytest.mark.parametrize(("sign", "holds"), [(-1.0, True), (0.0, True), (1.0, True), (2.0, False)])
def test_what_a_step_compares_may_be_flushed_to_the_breakpoint(sign: float, holds: bool) -> None:
    operands = {"a": 2.0**-126, "y": 1.5 * 2.0**-126, "g": 1.0}
    assert (sent_by("absolute_error", "float32", True, sign, **operands) <= 1) == holds
    gradual = sent_by("absolute_error", "float32", False, sign, **operands)
    assert (gradual <= 1) == (sign == -1.0)


@pytest.mark.parametrize(
    ("share", "holds"), [(-1.0, True), (0.5, True), (1.0, True), (-1.125, False)]
)
def test_a_slope_is_read_where_the_two_sides_are_further_apart_than_float64_reaches(
    share: float, holds: bool
) -> None:
    size = 1.5 * 2.0**1023
    assert (sent_by("abs", "float64", False, share * size, z=0.0, g=size) <= 1) == holds


def test_a_gate_is_decided_on_the_number_that_was_held() -> None:
    """A pre-activation that the a-priori bound leaves undecided is a number when it is held."""
    case = stack_of((16, 8, 1), "float32", "undecided", 64)
    check = LocalJudge(case).check(simulated(case))
    assert check.passes.all()
    values = [each for index in range(64) for each in check.readings(index)]
    assert all(each.is_exact and each.value == 0.0 for each in values)


SIDES = {"leaky_relu": (0.25, 1.0), "abs": (-1.0, 1.0)}


def between_sides(op: str, slope: float) -> tuple[AnyCase, Recorded]:
    """Two numbers at the breakpoint of an activation, with that λ at both."""
    settings: dict[str, Any] = {"slope": 0.25} if op == "leaky_relu" else {}
    steps = [
        step("z1", "dense", "x", "W1", "b1"),
        step("a1", op, "z1", **settings),
        step("loss", "squared_error", "a1", "y"),
    ]
    parameters: dict[str, Any] = {"W1": [[1.0, -0.5], [-2.0, 1.0]], "b1": [0.0, 0.0]}
    case = Composed.of(steps, parameters, {"x": [[1.0, 2.0]], "y": [[1.0, -3.0]]})
    sent = next(each for each in simulated(case).records if each.step.id == "a1").cotangent
    low, high = SIDES[op]
    fault = StepFault("a1", "z", lambda array: (low + slope * (high - low)) * sent)
    return case, simulated(case, fault)


@pytest.mark.parametrize("op", ["leaky_relu", "abs"])
@pytest.mark.parametrize("slope", [0.0, 0.25, 0.5, 1.0])
def test_a_slope_is_read_between_two_sides_that_are_not_zero(op: str, slope: float) -> None:
    case, found = between_sides(op, slope)
    check = LocalJudge(case).check(found)
    assert check.passes.all(), check.wrong()
    assert [each.slope for each in check.readings()] == [slope, slope]


@pytest.mark.parametrize("op", ["leaky_relu", "abs"])
@pytest.mark.parametrize("slope", [-0.25, 1.25])
def test_a_slope_that_is_on_neither_side_of_it_is_no_slope(op: str, slope: float) -> None:
    case, found = between_sides(op, slope)
    said = LocalJudge(case).check(found).wrong()
    assert said is not None
    assert (said.step, said.operator) == ("a1", op)


def test_a_slope_where_there_is_no_kink_is_no_slope() -> None:
    case = stack_of(SMALL, "float64", count=1)
    right = next(each for each in simulated(case).records if each.step.id == "a1")
    fault = StepFault("a1", "z", lambda array: 0.5 * right.cotangent)
    said = LocalJudge(case).check(simulated(case, fault)).wrong()
    assert said is not None
    assert said.step == "a1"


@pytest.mark.parametrize(("side", "passes"), [(0.0, True), (0.5, True), (1.0, True), (1.5, False)])
def test_what_a_step_rounds_to_the_breakpoint_has_any_slope_between_its_sides(
    side: float, passes: bool
) -> None:
    """1 - y a is 2^-60 here, and 0 where y a is rounded."""
    steps = [step("z1", "dense", "x", "W1", "b1"), step("loss", "hinge", "z1", "y")]
    parameters: dict[str, Any] = {"W1": [[1.0 + 2.0**-30]], "b1": [0.0]}
    y = 1.0 - 2.0**-30
    case = Composed.of(steps, parameters, {"x": [[1.0]], "y": [[y]]})
    fault = StepFault("loss", "a", lambda array: 0.0 * array - side * y)
    check = LocalJudge(case).check(simulated(case, fault))
    assert check.passes.all() == passes


def prelu_at_zero(given: float, alpha: float, g: float) -> tuple[StepBounds, float]:
    """PReLU of one zero in float32, and error / bound of what it sends to z."""
    one = np.ones((1, 1))
    operands = {"z": 0.0 * one, "alpha": np.array([alpha])}
    sent = {"z": given * one, "alpha": np.zeros(1)}
    record = Record(step("it", "prelu", "z", "alpha"), operands, 0.0 * one, g * one, sent)
    bounds = StepBounds(record, Model(FORMATS["float32"], is_brief=True), stacked=False)
    return bounds, float(next(each for each in bounds.parts() if each.name == "z").ratio.item())


def slope_read(bounds: StepBounds) -> tuple[float, bool]:
    """The one λ, and whether it can be told."""
    (place,) = bounds.places
    return float(bounds.slopes[place.site].item()), bool(bounds.is_read(place).item())


@pytest.mark.parametrize("alpha", [1.0, 1.0 - 2.0**-24])
def test_rounding_may_carry_a_mixture_beyond_its_sides(alpha: float) -> None:
    g, third = np.float32(1.0 + 991 * 2.0**-23), np.float32(1 / 3)
    mixture = float(third * g + (np.float32(1.0) - third) * (np.float32(alpha) * g))
    assert mixture < alpha * float(g) <= g
    assert prelu_at_zero(mixture, alpha, float(g))[1] <= 1.0
    for factor in (1.0 + 2.0**-18, 1.0 - 2.0**-18):
        assert prelu_at_zero(factor * float(g), alpha, float(g))[1] > 1.0


def test_of_two_sides_that_are_one_number_none_is_told() -> None:
    for given in (1.5, 1.5 + 2.0**-23):
        assert not slope_read(prelu_at_zero(given, 1.0, 1.5)[0])[1]


@pytest.mark.parametrize(("op", "end"), [("relu", 1.0), ("relu6", 1.0), ("hinge", -1.0)])
def test_a_slope_next_to_zero_is_carried_beyond_no_side(op: str, end: float) -> None:
    operands = {"a": 1.0, "y": 1.0} if op == "hinge" else {"z": 0.0}
    assert sent_by(op, "float32", False, end, **operands, g=1.0) <= 1
    assert sent_by(op, "float32", False, end * (1 + 2.0**-23), **operands, g=1.0) > 1


def test_each_side_is_held_to_its_own_bound() -> None:
    """α g is rounded and 1 g is not: what is within that of g, and is not g, is a mixture."""
    alpha, g = float(np.float32(100.3)), float(np.float32(1.1))
    rounded = float(np.float32(alpha * g))
    assert rounded != alpha * g
    assert slope_read(prelu_at_zero(rounded, alpha, g)[0]) == (0.0, True)
    assert slope_read(prelu_at_zero(g, alpha, g)[0]) == (1.0, True)
    bounds, ratio = prelu_at_zero(g + 2.0**-23, alpha, g)
    assert ratio <= 1.0
    assert 0.0 < slope_read(bounds)[0] < 1.0


def test_what_both_sides_explain_tells_no_slope() -> None:
    """α g is one and a half of the least distance below g, and may err by two."""
    g, alpha = 3 * 2.0**-126, 1.0 - 2.0**-24
    assert slope_read(prelu_at_zero(g, alpha, g)[0])[1] is False
    assert slope_read(prelu_at_zero(g * (1 - 2.0**-20), 0.5, g)[0])[1] is True


@pytest.mark.parametrize("point", ["1/3", "1/10"])
def test_a_breakpoint_that_no_float_is_is_never_met_exactly(point: str) -> None:
    near = float(Fraction(point))
    steps = [
        step("z1", "dense", "x", "W1", "b1"),
        step("a1", "clip", "z1", low=-1.0, high=point),
        step("loss", "squared_error", "a1", "y"),
    ]
    case = Composed.of(steps, {"W1": [[near]], "b1": [0.0]}, {"x": [[1.0]], "y": [[0.5]]})
    check = LocalJudge(case).check(simulated(case))
    assert not any(each.is_exact for each in check.readings())


# -- other arithmetics -------------------------------------------------------------------------


def coarse(at: str, case: Case, bits: str) -> StepFault:
    """A dense step with multiplicands that are rounded to a format."""
    record = next(each for each in simulated(case).records if each.step.id == at)
    x, weight = (format_of(bits).round(record.operands[name]) for name in ("x", "W"))
    product = x @ np.swapaxes(weight, -1, -2) + record.operands["b"][..., None, :]
    return StepFault(at, "result", lambda array: product)


def test_a_step_with_coarser_multiplicands_is_explained_by_their_name_alone() -> None:
    case = stack_of(SMALL, "float32")
    check = LocalJudge(case).check(simulated(case, coarse("z1", case, "bfloat16")))
    assert not check.explained[0].any()
    assert not check.explained[1].any()
    assert check.passes.all()
    assert all("bfloat16-multiplicands" in check.names(index) for index in range(8))
    assert [check.wrong(index) for index in range(8)] == [None] * 8


def test_a_right_step_needs_no_coarser_arithmetic() -> None:
    case = stack_of(SMALL, "float32")
    assert LocalJudge(case).check(simulated(case)).names(0) == ()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("factor", [0.0, -1.0, 2.0])
def test_no_coarser_arithmetic_explains_zero_or_another_size(dtype: str, factor: float) -> None:
    case = stack_of(SMALL, dtype)
    for at, part in (("z1", "result"), ("z2", "W"), ("z2", "x"), ("z1", "W")):
        found = simulated(case, StepFault(at, part, scaled(factor)))
        wrong = changed(found, simulated(case))
        assert not LocalJudge(case).check(found).passes[wrong].any(), (at, part)


def with_coarser_weights(found: Recorded) -> Recorded:
    """With ∂J/∂W2 from multiplicands of 11 bits, and all else as it is."""
    records = list(found.records)
    at = next(n for n, each in enumerate(records) if each.step.id == "z2")
    delta, x = (
        format_of("float16").round(array)
        for array in (records[at].cotangent, records[at].operands["x"])
    )
    weight = format_of("float32").round(np.swapaxes(delta, -1, -2) @ x)
    records[at] = replace(records[at], sent={**records[at].sent, "W": weight})
    given: Any = found.given
    return Recorded(
        replace(given, weights=(given.weights[0], weight, *given.weights[2:])), tuple(records)
    )


def test_two_steps_that_need_two_arithmetics_are_no_gradient_in_one() -> None:
    case = stack_of((8, 8, 8), "float32", count=1)
    judge, fault = LocalJudge(case), coarse("z1", case, "bfloat16")
    assert judge.check(simulated(case, fault)).names(0) == ("bfloat16-multiplicands",)
    assert judge.check(with_coarser_weights(simulated(case))).names(0) == ("tf32",)
    both = judge.check(with_coarser_weights(simulated(case, fault)))
    said = both.wrong(0)
    assert said is not None
    assert said.what == "no one arithmetic explains all steps"
    assert both.names(0) == ()


def test_an_arithmetic_may_flush_to_zero_besides() -> None:
    """One product is formed from multiplicands of 8 bits, another is subnormal and lost."""
    weights = [[[1.01], [2.0**-70]]]
    case = Case.of(weights, [[0.0, 0.0]], [[1.3 * 2.0**-60]], [[0.0, 0.0]], dtype="float32")
    product = float(np.multiply(*format_of("bfloat16").round(np.array([1.01, 1.3 * 2.0**-60]))))
    fault = StepFault("z1", "result", lambda _: np.array([[product, 0.0]]))
    check = LocalJudge(case).check(simulated(case, fault))
    assert not check.explained[1].any()
    assert check.names(0) == ("bfloat16-multiplicands",)


def test_what_is_wanted_of_a_wrong_step_is_what_the_coarsest_arithmetic_would_allow() -> None:
    case = stack_of(SMALL, "float32", count=1)
    said = LocalJudge(case).check(simulated(case, StepFault("z1", "result", scaled(2.0)))).wrong(0)
    assert said is not None
    assert said.entry is not None
    assert said.entry.bound > 2.0**-12 * abs(said.entry.reference)


@pytest.mark.parametrize("factor", [0.0, 1.0 + 2.0**-20, 2.0])
def test_an_arithmetic_that_overflows_says_nothing_of_a_wrong_step(factor: float) -> None:
    """300 · 300 is a number of float32 and of all that is coarser, but not of float16."""
    case = Case.of([[[300.0]]], [[0.0]], [[300.0]], [[1.0]], dtype="float32")
    check = LocalJudge(case).check(simulated(case, StepFault("z1", "result", scaled(factor))))
    said = check.wrong()
    assert said is not None
    assert said.entry is not None
    assert said.entry.bound == 0.0
    assert check.unbounded() == 0


def small_numbers(factor: float) -> Case:
    """One layer whose products lie among the subnormal numbers of float32."""
    return Case.of([[[2.0**-70, 2.0**-71]]], [[0.0]], [[factor * 2.0**-60, 2.0**-61]], [[0.0]],
                   dtype="float32")  # fmt: skip


def test_what_is_flushed_to_zero_is_explained_by_that_and_needs_no_name() -> None:
    case = small_numbers(1.0)
    right = simulated(case)
    assert any((each.result != 0).any() for each in right.records)
    check = LocalJudge(case).check(simulated(case, StepFault("z1", "result", scaled(0.0))))
    assert not check.explained[0].any()
    assert check.explained[1].all()
    assert check.passes.all()
    assert check.names(0) == ()
    assert check.wrong() is None
    assert not check.of().is_gradual
    assert LocalJudge(case).check(right).of().is_gradual


def test_subnormal_numbers_that_are_wrong_are_not_explained_by_flushing() -> None:
    case = small_numbers(1.0)
    check = LocalJudge(case).check(simulated(case, StepFault("z1", "result", scaled(2.0**30))))
    assert not check.explained[1].any()


# -- what cannot be told -----------------------------------------------------------------------


def test_numbers_that_are_not_finite_are_left_out_and_counted() -> None:
    case = stack_of(SMALL, "float64", "special", 64)
    check = LocalJudge(case).check(simulated(case))
    assert check.left_out.any()
    assert check.passes.all()


def test_what_may_overflow_on_the_way_is_counted_as_unbounded() -> None:
    """Three numbers of which two add up beyond float32's largest, and all to one that it has."""
    weights, y = [[[2e38, 2e38, -2e38]]], [[2e38]]
    case = Case.of(weights, [[0.0]], [[1.0, 1.0, 1.0]], y, dtype="float32")
    check = LocalJudge(case).check(simulated(case))
    assert not check.left_out.any()
    assert check.unbounded() == 1
    assert LocalJudge(worked_example()).check(simulated(worked_example())).unbounded() == 0


def test_numbers_beyond_the_largest_are_left_out() -> None:
    case = composed(worked_example(w1=2.0**127, x=2.0, dtype="float32"))
    assert LocalJudge(case).check(simulated(case)).left_out.all()


def test_the_steps_of_a_dense_network_have_the_names_of_its_arrays() -> None:
    assert [each.id for each in steps_of(worked_example())] == ["z1", "a1", "z2", "a2", "loss"]


@pytest.mark.parametrize("target", ["t", "y"])
def test_a_target_that_is_differentiated_for_other_reasons_has_a_cotangent(target: str) -> None:
    steps = [
        step("t", "relu", "y"),
        step("z", "dense", "x", "W", None),
        step("sum", "add", "z", "t"),
        step("loss", "squared_error", "sum", target),
    ]
    parameters: dict[str, Any] = {"W": [[1.0, 2.0]]}
    case = Composed.of(steps, parameters, {"x": [[1.0, 2.0]], "y": [[0.5]]})
    found = simulated(case)
    assert judge(case).another(Answer(found.given, recorded=found)).kind is Kind.AGREES
    wrong = simulated(case, StepFault("loss", "y", scaled(2.0)))
    said = LocalJudge(case).check(wrong).wrong()
    assert said is not None
    assert said.step == "loss"
