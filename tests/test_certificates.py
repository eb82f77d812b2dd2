"""Certificates beside the a-priori one: what they say together, and what each lets through."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from crosscheck.cases.stream.families import Mix
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import Shape
from crosscheck.frameworks.base import Framework
from crosscheck.judge.adjoint.judge import AdjointJudge, sampled
from crosscheck.judge.certificates import CERTIFICATES, Certificate
from crosscheck.judge.compare import Judge
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.local.record import Recorded
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.network.composed import AnyCase
from crosscheck.network.dense import Case, Gradients, Network, worked_example
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.run.answers import OTHER_BITS, asked, verdict_of
from crosscheck.run.certified import Certifications, certifications_of
from crosscheck.studies.simulated import StepFault, simulated
from crosscheck.tools.errors import UnsupportedError

SMALL, WIDE = (4, 8, 8, 1), (64, 64, 64)


def case_of(widths: tuple[int, ...], dtype: str = "float64", mix: str = "uniform") -> Case:
    return block(Shape(Network(widths), 3, dtype), 3, 0, Mix.parse(mix)).batch.case(slice(4))


def alive(stack: Case) -> Case:
    """The case whose gradient by its inputs is largest."""
    found = simulated(stack).given
    assert isinstance(found, Gradients)
    return stack[int(np.argmax(np.abs(found.x).max(axis=(1, 2))))]


def said_of(case: AnyCase, found: Recorded, index: int = 0) -> Verdict:
    """With records and without an axis over cases."""
    question = judge(case, [Answer(found.given, recorded=found)])
    return question.verdict(0, index)


def one_entry(array: Any, factor: float) -> Any:
    found = np.array(array)
    at = np.unravel_index(np.argmax(np.abs(found[0])), found[0].shape)
    found[:, at[0], at[1]] *= factor
    return found


class Shown(Framework):
    """A framework that shows its steps, with a fault in one of them."""

    name: ClassVar[str] = "shown"
    watched_modes: ClassVar[frozenset[str]] = frozenset({"eager"})
    dtypes: ClassVar[tuple[str, ...]] = ("float64", "float32", "bfloat16", "float16")
    fault: StepFault | None = None

    def gradients(self, case: Case) -> Gradients:
        found = simulated(case, self.fault).given
        assert isinstance(found, Gradients)
        return found

    def recorded(self, case: AnyCase) -> Recorded:
        return simulated(case, self.fault)


class OtherBits(Shown):
    """Watched, it returns another gradient."""

    def recorded(self, case: AnyCase) -> Recorded:
        found = simulated(case)
        given = found.given.map_derivatives(lambda array: array * (1 + 2.0**-52))
        return Recorded(given, found.records)


class Hidden(Shown):
    """It says that it shows its steps, and does not."""

    def recorded(self, case: AnyCase) -> Recorded:
        raise UnsupportedError("not today")


# -- the local certificate ---------------------------------------------------------------------


@pytest.mark.parametrize("widths", [SMALL, WIDE], ids=str)
def test_a_wrong_step_of_a_gradient_within_its_bounds_is_inconsistent(
    widths: tuple[int, ...],
) -> None:
    case = case_of(widths)
    fault = StepFault("z1", "W", lambda array: one_entry(array, 1.0 + 2.0**-48))
    found = simulated(case, fault)
    without = judge(case, [Answer(found.given)]).verdict(0, 0)
    verdict = said_of(case, found)
    if widths == WIDE:  # where the a-priori bound does not see it
        assert without.kind is Kind.AGREES
        assert verdict.kind is Kind.INCONSISTENT
    assert fails(verdict)
    (said,) = verdict.certificates
    assert said.step == "z1"


def test_a_gradient_that_fails_by_itself_disagrees_and_the_step_is_named() -> None:
    case = case_of(SMALL)
    verdict = said_of(case, simulated(case, StepFault("a1", "z", lambda array: -array)))
    assert verdict.kind is Kind.DISAGREES
    assert "step a1 (relu): what it sent to z" in verdict.detail


def test_right_steps_do_not_make_a_wrong_gradient_right() -> None:
    """The steps of another case, each of them right: the gradient is that of another network."""
    case, found = case_of(SMALL), simulated(case_of(SMALL, mix="gaussian"))
    assert said_of(case, found).kind is Kind.DISAGREES


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_right_gradient_with_its_steps_agrees(dtype: str) -> None:
    case = case_of(SMALL, dtype)
    for index in range(4):
        verdict = said_of(case, simulated(case), index)
        assert (verdict.kind, verdict.detail) == (Kind.AGREES, "")


def test_what_was_undecided_agrees_where_every_step_is_inside() -> None:
    case = case_of((16, 8, 1), "float32", "undecided")
    found = simulated(case)
    question = judge(case, [Answer(found.given)])
    kinds = [question.verdict(0, index).kind for index in range(4)]
    assert Kind.UNDECIDED in kinds
    at = kinds.index(Kind.UNDECIDED)
    verdict = said_of(case, found, at)
    assert verdict.kind in (Kind.AGREES, Kind.KINK)
    assert verdict.gates


def test_a_kink_stays_a_kink() -> None:
    case = worked_example(w2=-1.0, b2=2.0)
    assert said_of(case, simulated(case)).kind is Kind.KINK


def test_a_step_that_only_a_coarser_arithmetic_explains_is_reduced() -> None:
    """Multiplicands of tf32 in one product of a wide layer, which whole bounds do not see."""
    case = case_of((64, 64, 1), "float32")
    found = simulated(case)
    records = list(found.records)
    at = next(n for n, each in enumerate(records) if each.step.id == "z1")
    z1 = records[at]
    cut = z1.operands["x"].astype(np.float32)
    cut = (cut.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float64)
    value = cut @ z1.operands["W"].swapaxes(-1, -2) + z1.operands["b"][:, None, :]
    fault = StepFault("z1", "result", lambda _: value)
    verdict = said_of(case, simulated(case, fault))
    assert verdict.kind in (Kind.REDUCED, Kind.INCONSISTENT, Kind.DISAGREES)
    assert fails(verdict)


# -- what is asked of a framework --------------------------------------------------------------


def test_a_framework_that_shows_its_steps_is_asked_for_them_in_a_run() -> None:
    case = case_of(SMALL)[0]
    verdict = verdict_of(Shown(), case, judge(case), command="run")
    assert [each.certificate for each in verdict.certificates] == ["local"]
    assert verdict_of(Shown(), case, judge(case), command="sweep").certificates == ()


def test_a_wrong_step_is_found_in_a_run_and_named() -> None:
    framework, case = Shown(), case_of(WIDE)[0]
    framework.fault = StepFault("z1", "W", lambda array: array * (1.0 + 2.0**-48))
    verdict = verdict_of(framework, case, judge(case), command="run")
    assert verdict.kind is Kind.INCONSISTENT
    assert verdict.detail.startswith("step z1 (dense): what it sent to W is ")


def test_records_of_another_gradient_are_discarded_and_that_is_said() -> None:
    case = case_of(SMALL)[0]
    verdict = verdict_of(OtherBits(), case, judge(case), command="run")
    assert verdict.kind is Kind.AGREES
    assert [each.note for each in verdict.certificates] == [OTHER_BITS]


def test_steps_that_cannot_be_seen_are_said_to_be_so() -> None:
    case = case_of(SMALL)[0]
    verdict = verdict_of(Hidden(), case, judge(case), command="run")
    assert verdict.kind is Kind.AGREES
    assert "not today" in verdict.certificates[0].note


def test_records_of_other_shapes_are_none() -> None:
    class Short(Shown):
        def recorded(self, case: AnyCase) -> Recorded:
            found = simulated(case)
            return Recorded(found.given, found.records[1:])

    answer = asked(Short(), case_of(SMALL), "run")
    assert isinstance(answer, Answer)
    assert "records of other steps" in answer.note


def test_every_command_knows_what_it_asks_for() -> None:
    for (_, shows), wanted in CERTIFICATES.items():
        assert wanted[0] is Certificate.A_PRIORI
        assert shows or Certificate.LOCAL not in wanted


# -- the adjoint certificate -------------------------------------------------------------------


@pytest.mark.parametrize("widths", [SMALL, (24, 24, 24)], ids=str)
def test_a_fault_beyond_the_adjoint_bound_disagrees(widths: tuple[int, ...]) -> None:
    case = alive(case_of(widths, "float32"))
    found: Any = simulated(case).given
    assert judge(case).another(Answer(found, by_adjoint=True)).kind is Kind.AGREES
    wrong = found.map_derivatives(lambda array: array * (1.0 + 2.0**-12))
    assert fails(judge(case).another(Answer(wrong, by_adjoint=True)))


def test_the_adjoint_certificate_sees_what_whole_bounds_do_not() -> None:
    case = alive(case_of((4, 8, 8, 8, 1), "float32"))
    places = [each for each in sampled(case) if each[0] == "W1"]
    found: Any = simulated(case).given
    whole = Judge(case).enclosed(Model(format_of("float32"))).certain_gradients.weights[0]
    bounds = AdjointJudge(case).bounds(places, per_use=True).enclosure
    room = [whole.bound[index] for _, index in places]
    k = int(np.argmax(room - bounds.bound))
    at, between = places[k][1], 0.5 * (room[k] + bounds.bound[k])
    assert room[k] > bounds.bound[k]
    weight = np.array(found.weights[0])
    weight[at] = np.float32(whole.high[at] + between)
    wrong = replace(found, weights=(weight, *found.weights[1:]))
    assert judge(case).another(Answer(wrong)).kind is Kind.AGREES
    verdict = judge(case).another(Answer(wrong, by_adjoint=True))
    assert verdict.kind is Kind.DISAGREES
    assert verdict.detail.startswith("by the adjoint certificate W1[")


# -- in numbers --------------------------------------------------------------------------------


def test_what_was_said_is_counted() -> None:
    case = case_of(WIDE)
    right, wrong = (
        said_of(case, simulated(case, fault))
        for fault in (None, StepFault("z1", "W", lambda array: -array))
    )
    counts = certifications_of([right, wrong, Verdict("f", "", "", Kind.AGREES)])["local"]
    assert (counts.cases, counts.inside, counts.wrong) == (2, 1, 1)
    assert counts.words.startswith("1 of 2 gradients inside, 1 not, ")
    assert (Certifications() + counts) == counts
