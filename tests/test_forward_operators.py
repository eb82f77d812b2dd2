"""Forward mode of networks of operators: its bounds, what they catch, and the frameworks."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from climbing import FORMS
from random_programs import random_network, results_anew
from test_adjoint import center_of, every
from test_program_gradients import shares
from toy import Overflow, Toy
from toy_programs import OnToy, given

from crosscheck.cases.composed import plans, seeded_composed
from crosscheck.judge.adjoint.judge import AdjointJudge
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.judge.programs.explanation import contains
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.programs.tangents import ALONG, DOT, along, passes
from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.steps import step
from crosscheck.numbers import formats
from crosscheck.numbers.formats import Format, format_of
from crosscheck.numbers.model import Model
from crosscheck.operators.registry import known
from crosscheck.program.evaluate import values_of
from crosscheck.program.floats import OnFloats
from crosscheck.program.rules import rule_of

EFFORT = int(os.environ.get("CLIMB", "1"))
FRAMEWORKS = ("torch", "tensorflow", "jax")


@pytest.fixture
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for form in FORMS:
        if form.name not in formats.FORMATS:
            monkeypatch.setitem(formats._FORMATS, form.name, form)


def some_case(operator: str, dtype: str, number: int = 0, *, boundary: bool = False) -> Composed:
    """A network with the operator in it."""
    return seeded_composed(number, plans([operator])[0], 1, dtype, boundary=boundary)[0]


# -- bounds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("form", FORMS[1:4], ids=lambda form: str(form.name).replace(" ", "-"))
def test_no_derivative_along_a_tangent_leaves_its_bounds(
    form: Format, flush: bool, toys: None
) -> None:
    rng = random.Random(f"tangents {form.name} {flush}")
    toy, ratios, opened = Toy(form, rng, flush=flush), [0.0], 0
    for _ in range(EFFORT * 8):
        case = random_network(rng, form.name)
        enclosed = EnclosedProgram(case, Model(form, flush=flush), "forward")
        adjoint = AdjointJudge(case, flush=flush)
        slopes = {each.place: rng.choice([0.0, 1.0, 0.5, 0.25]) for each in enclosed.decisions}
        opened += len(slopes)
        decisions: dict[int, Any] = {}
        for place, value in slopes.items():
            whole = decisions.setdefault(place.node, np.zeros(enclosed._forward[place.node].shape))
            whole[place.index] = value
        arithmetic = OnToy(toy, decisions, enclosed._forward)
        bounds, hulls = enclosed.gradients(slopes), enclosed.any_gradients
        held = {name: given(toy, array) for name, array in case.entries()}
        for name, index in rng.choices(every(case)[1:], k=3):
            program, shape = along(case.program, name), case.shapes[name]
            at = int(np.ravel_multi_index(index, shape))
            tangent = given(toy, passes(shape, at, at + 1)[0])
            anew = rng.random() < 0.5
            try:
                answer = results_anew(program, arithmetic, {**held, ALONG + name: tangent})
            except Overflow:
                assert np.isinf(bounds.arrays[name].e).all()
                continue
            for whole in (bounds, hulls):
                ratios += shares(answer[DOT], whole.arrays[name][index], f"{name} {case.steps}")
            for decided in (slopes, None):
                bound = adjoint.bounds(
                    [(name, index)], derivation="forward", per_use=True, slopes=decided
                ).enclosure
                if np.isfinite(bound.bound).all():
                    error = abs(answer[DOT].item() - center_of(bound, 0))
                    room = Fraction(float(bound.r[0])) + Fraction(float(bound.e[0]))
                    assert error <= room, (name, index, case.steps, anew)
    assert max(ratios) > 0.05
    assert len(ratios) > 20
    assert opened or form.precision > 11


def test_both_derivations_enclose_one_gradient() -> None:
    some = 0
    for name in known():
        case = some_case(name, "float32")
        one, other = (
            dict(EnclosedProgram(case, Model(format_of("float32")), each).gradients().entries())
            for each in ("reverse", "forward")
        )
        assert list(one) == list(other)
        for key, bound in one.items():
            fits = np.isfinite(bound.bound) & np.isfinite(other[key].bound)
            with np.errstate(invalid="ignore"):
                apart = np.abs(bound.high - other[key].high)
            room = bound.r + other[key].r + 2.0**-52 * np.abs(bound.high)
            assert (apart <= room)[fits].all(), (name, key)
            some += int((bound.e != other[key].e)[fits].any())
    assert some > len(known())


def test_a_stack_has_the_bounds_of_its_cases() -> None:
    for name in ("conv1d", "max_pool1d", "softmax", "where"):
        stack = seeded_composed(3, plans([name])[0], 3, "float32")
        model = Model(format_of("float32"))
        whole = EnclosedProgram(stack, model, "forward").gradients()
        for number in range(3):
            alone = dict(EnclosedProgram(stack[number], model, "forward").gradients().entries())
            for key, bound in whole.entries():
                np.testing.assert_array_equal(bound.high[number], alone[key].high)
                np.testing.assert_allclose(bound.e[number], alone[key].e, rtol=2.0**-40)


def test_where_a_value_may_overflow_a_tangent_of_zero_may_be_nan() -> None:
    # J = Σ e^(w x) with x = 300: the entry of b, which does not go through it, has no bound either.
    steps = (
        step("z", "dense", "x", "W"),
        step("e", "exp", "z"),
        step("sum", "add", "e", "b"),
        step("loss", "absolute_error", "sum", "y"),
    )
    case = Composed.of(
        steps,
        {"W": [[1.0]], "b": [[0.5]]},
        {"x": [[300.0]], "y": [[1.0]]},
        dtype="float32",
    )
    nothing = Derivatives(np.inf, {name: np.full((1, 1), np.nan) for name in case.wanted})
    verdict = ProgramJudge(case).verdict(nothing, framework="", derivation="forward")
    assert verdict.kind is Kind.UNSUPPORTED
    assert "may overflow" in verdict.detail


# -- faults --------------------------------------------------------------------------------------


def with_fault(arithmetic: Any, node: Any, x: list[Any]) -> Iterator[Any]:
    """What somebody might write in the place of a tangent: one mistake each."""
    right = rule_of(node.op).value(arithmetic, node, x)
    if node.op == "add":  # a term of the product rule is missing
        yield from (np.broadcast_to(each, np.shape(right)) for each in x)
    if node.op == "difference":  # the sign
        yield x[0] + x[1]
    if node.op == "select":  # another slope
        yield np.broadcast_to(x[1], np.shape(right)) * 1.0
        yield 0.5 * right
    if node.op == "elementary":  # the derivative of something else
        yield right * x[0]
    if node.op == "mul":  # a factor is missing
        yield from (np.broadcast_to(each, np.shape(right)) for each in x)
    if node.op in ("sum", "take", "scatter", "contract", "largest") and np.shape(right):
        yield np.flip(right, -1)  # the axis, the place, or the one that is not the largest
    if node.op == "sum" and node.settings["keep"]:  # over another axis
        yield np.flip(right, -2)
    if node.op == "times_constants":  # the mean, or the constant, is forgotten
        yield x[0]


@dataclass(frozen=True)
class Pass:
    """The derivatives along one array, node by node in float64."""

    case: Composed
    name: str

    def result(self, at: int = -1, value: Any = None) -> Any:
        """∂J/∂array; with another value in the place of a node's."""
        values = self.values({at: value} if at >= 0 else {})
        shape = self.case.shapes[self.name]
        found = np.broadcast_to(values[self.program.outputs[DOT]], (int(np.prod(shape)),))
        return format_of(self.case.dtype).round(found).reshape(shape)

    @property
    def program(self) -> Any:
        """Of the tangents."""
        return along(self.case.program, self.name)

    def values(self, known_: dict[int, Any]) -> dict[int, Any]:
        """Of each node."""
        arrays = dict(self.case.entries())
        shape = self.case.shapes[self.name]
        arrays[ALONG + self.name] = passes(shape, 0, int(np.prod(shape)))
        return values_of(self.program, OnFloats(), arrays, known_)


def faults_of(operator: str) -> Iterator[tuple[Any, str, Derivatives, bool]]:
    """The judge, and gradients with a fault in a tangent; and whether it changes anything."""
    case = some_case(operator, "float32", 1)
    question = ProgramJudge(case)
    values = values_of(case.gradient, OnFloats(), dict(case.entries()))
    round_ = format_of("float32").round
    right = {name: round_(values[number]) for name, number in case.gradient.outputs.items()}
    name = max(case.wanted, key=lambda each: len(along(case.program, each).needed))
    one = Pass(case, name)
    loss = right.pop("J")
    right[name] = one.result()
    yield question, "right", Derivatives(loss, right), False
    values = one.values({})
    for number in one.program.needed:
        node = one.program.nodes[number]
        if number in case.program.needed or not node.inputs:
            continue
        for wrong in with_fault(OnFloats(), node, [values[each] for each in node.inputs]):
            found = one.result(number, wrong)
            changed = bool((found != right[name]).any())
            told = Derivatives(loss, {**right, name: found})
            yield question, f"{operator}: {node.op}", told, changed


@pytest.mark.parametrize("operator", sorted(known()))
def test_a_fault_in_a_tangent_is_caught(operator: str) -> None:
    caught = 0
    for question, words, answer, changed in faults_of(operator):
        bounds = question.enclosed(Model(question.format), "forward").gradients()
        assert np.isfinite(bounds.loss.e)
        assert contains(bounds, answer) is not changed, words
        caught += changed
    assert caught > 2


@pytest.mark.parametrize("operator", ["layer_norm", "conv1d"])
def test_a_fault_in_a_tangent_disagrees(operator: str) -> None:
    found = list(faults_of(operator))
    question, _, right, _ = found[0]
    assert question.verdict(right, framework="mine", derivation="forward").kind is Kind.AGREES
    wrong = [answer for *_, answer, changed in found if changed]
    assert len(wrong) > 2
    for answer in wrong[::8]:
        verdict = question.verdict(answer, framework="mine", derivation="forward")
        assert verdict.kind is Kind.DISAGREES


# -- kinks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
def test_the_slope_that_a_tangent_is_multiplied_by_is_read(slope: float) -> None:
    steps = (
        step("z", "dense", "x", "W"),
        step("a", "relu", "z"),
        step("loss", "squared_error", "a", "y"),
    )
    case = Composed.of(steps, {"W": [[1.0, -1.0]]}, {"x": [[2.0, 2.0]], "y": [[4.0]]})
    # z = 0 and J = ½ (max(z, 0) - 4)²: J̇ = -4 λ ż
    arrays = {
        "W": np.array([[-8.0 * slope, -8.0 * slope]]),
        "x": np.array([[-4.0 * slope, 4.0 * slope]]),
    }
    answer = Answer(Derivatives(8.0, arrays), "forward", by_adjoint=True)
    verdict = judge(case, [answer]).verdict(0, 0)
    assert verdict.kind is Kind.KINK
    assert [each.slope for each in verdict.gates] == [slope]
    wrong = Derivatives(8.0, {**arrays, "x": np.array([[-4.0, 8.0]])})
    verdict = judge(case, [Answer(wrong, "forward")]).verdict(0, 0)
    assert verdict.kind is Kind.DISAGREES
