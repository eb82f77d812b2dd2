"""What the a-priori and the local certificate say together: each row of the table."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_local import SMALL, at_kink, scaled, stack_of

from crosscheck.judge.certificates import CERTIFICATES, Certificate, with_steps
from crosscheck.judge.local.check import Check, OfCase
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.dense import worked_example
from crosscheck.studies.simulated import StepFault, simulated

EXPLAINED = (Kind.AGREES, Kind.KINK, Kind.UNDECIDED, Kind.SUBNORMAL)
OTHERS = tuple(kind for kind in Kind if kind not in (*EXPLAINED, Kind.REDUCED))


def verdict(kind: Kind, **parts: Any) -> Verdict:
    return Verdict("simulated", "", "eager", kind, **parts)


def local(fault: StepFault | None = None) -> Check:
    case = worked_example()
    return LocalJudge(case).check(simulated(case, fault))


def fixed(**parts: Any) -> Any:
    """What the local judge may say of two cases, of which the second is asked for."""
    have: dict[str, Any] = {
        "left_out": [True, False],
        "explained": [np.array([False, True]), np.array([False, True])],
        "records": 5,
        "worst": np.array([9.0, 0.75]),
        "names": lambda index: (),
        "wrong": lambda index: None,
        "compared": lambda index: 10 + index,
        "unbounded": lambda index: 2 + index,
        "readings": lambda index: (),
    }
    have |= parts

    def of(index: int = 0) -> OfCase:
        return OfCase(
            have["records"],
            have["compared"](index),
            have["unbounded"](index),
            float(have["worst"][index]),
            have["left_out"][index],
            have["wrong"](index),
            have["names"](index),
            bool(have["explained"][0][index]),
            any(each.slope is not None for each in have["readings"](index)),
        )

    return SimpleNamespace(of=of)


NEEDED: dict[str, Any] = {
    "names": lambda index: ("tf32", "bfloat16-multiplicands"),
    "explained": [np.array([False, False]), np.array([False, False])],
}
FLUSHED: dict[str, Any] = {"explained": [np.array([True, False]), np.array([False, True])]}


# -- which is asked for ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "shows_steps", "is_local"),
    [
        ("run", True, True), ("run", False, False),
        ("sweep", True, False), ("sweep", False, False),
        ("sweep --steps", True, True), ("sweep --steps", False, False),
    ],
)  # fmt: skip
def test_steps_are_asked_for_where_they_can_be_seen_and_are_wanted(
    command: str, shows_steps: bool, is_local: bool
) -> None:
    assert (Certificate.LOCAL in CERTIFICATES[command, shows_steps]) == is_local


def test_the_a_priori_certificate_is_always_asked_for() -> None:
    assert all(Certificate.A_PRIORI in asked for asked in CERTIFICATES.values())


# -- a step that is wrong ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", EXPLAINED)
def test_a_whole_that_is_inside_with_a_step_that_is_not_is_inconsistent(kind: Kind) -> None:
    check = local(StepFault("z2", "W", scaled(2.0)))
    found = with_steps(verdict(kind), check)
    assert (found.kind, found.detail) == (Kind.INCONSISTENT, str(check.wrong()))


@pytest.mark.parametrize("kind", EXPLAINED)
def test_the_step_that_is_wrong_is_named(kind: Kind) -> None:
    (said,) = with_steps(verdict(kind), local(StepFault("z2", "W", scaled(2.0)))).certificates
    assert said.step == "z2"
    assert said.wrong.startswith("step z2 (dense): what it sent to W is ")


@pytest.mark.parametrize("kind", OTHERS)
def test_what_fails_stays_as_it_is_and_the_step_is_told(kind: Kind) -> None:
    check = local(StepFault("z2", "W", scaled(2.0)))
    found = with_steps(verdict(kind, detail="why"), check)
    assert (found.kind, found.detail) == (kind, f"why; {check.wrong()}")


@pytest.mark.parametrize("kind", OTHERS)
def test_what_fails_with_right_steps_stays_as_it_is(kind: Kind) -> None:
    found = with_steps(verdict(kind, detail="why"), local())
    assert (found.kind, found.detail) == (kind, "why")


# -- coarser arithmetics -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", EXPLAINED)
def test_steps_that_need_a_coarser_arithmetic_reduce_what_is_explained(kind: Kind) -> None:
    found = with_steps(verdict(kind), fixed(**NEEDED), 1)
    assert (found.kind, found.arithmetics) == (Kind.REDUCED, ("tf32", "bfloat16-multiplicands"))


def test_what_is_reduced_keeps_the_arithmetics_that_explain_its_steps() -> None:
    given = verdict(Kind.REDUCED, arithmetics=("float16", "tf32"), precision=11.0)
    found = with_steps(given, fixed(**NEEDED), 1)
    assert (found.kind, found.arithmetics, found.precision) == (Kind.REDUCED, ("tf32",), 11.0)


def test_what_is_reduced_stays_so_where_each_step_is_inside() -> None:
    given = verdict(Kind.REDUCED, arithmetics=("tf32",), precision=11.0)
    found = with_steps(given, fixed(), 1)
    assert (found.kind, found.arithmetics, found.precision) == (Kind.REDUCED, ("tf32",), 11.0)


def test_what_is_reduced_by_another_arithmetic_than_its_steps_is_inconsistent() -> None:
    given = verdict(Kind.REDUCED, arithmetics=("float16",), precision=11.0)
    found = with_steps(given, fixed(**NEEDED), 1)
    assert (found.kind, found.arithmetics, found.precision) == (Kind.INCONSISTENT, (), None)
    assert found.detail == "its steps are those of tf32, bfloat16-multiplicands"


def test_what_is_reduced_with_a_wrong_step_is_inconsistent() -> None:
    given = verdict(Kind.REDUCED, arithmetics=("tf32",), precision=11.0)
    check = local(StepFault("z2", "W", scaled(2.0)))
    found = with_steps(given, check)
    assert (found.kind, found.detail) == (Kind.INCONSISTENT, str(check.wrong()))


# -- flush-to-zero, and decisions --------------------------------------------------------------


@pytest.mark.parametrize("kind", EXPLAINED)
def test_steps_that_need_flush_to_zero_are_subnormal(kind: Kind) -> None:
    assert with_steps(verdict(kind), fixed(**FLUSHED), 1).kind is Kind.SUBNORMAL


@pytest.mark.parametrize("kind", [Kind.AGREES, Kind.KINK, Kind.SUBNORMAL])
def test_what_is_inside_with_steps_inside_stays_as_it_is(kind: Kind) -> None:
    found = with_steps(verdict(kind, detail="why"), local())
    assert (found.kind, found.detail) == (kind, "why")


def test_what_is_undecided_agrees_where_each_gate_was_decided_on_a_known_number() -> None:
    found = with_steps(verdict(Kind.UNDECIDED, detail="why"), local())
    assert (found.kind, found.detail) == (Kind.AGREES, "")


@pytest.mark.parametrize("local", [{"unbounded": lambda index: 1}, {}])
def test_what_is_undecided_stays_so_where_a_number_has_no_bound(local: dict[str, Any]) -> None:
    local = {"unbounded": lambda index: 0, **local}
    found = with_steps(verdict(Kind.UNDECIDED, detail="why"), fixed(**local), 1)
    wanted = (Kind.UNDECIDED, "why") if local["unbounded"](1) else (Kind.AGREES, "")
    assert (found.kind, found.detail) == wanted


def test_what_is_undecided_is_a_kink_where_a_slope_was_read() -> None:
    case, recorded = at_kink(0.25)
    found = with_steps(verdict(Kind.UNDECIDED), LocalJudge(case).check(recorded))
    assert found.kind is Kind.KINK


def test_a_slope_without_effect_is_no_kink() -> None:
    case = worked_example(x=0.0, w2=0.0)
    check = LocalJudge(case).check(simulated(case))
    assert check.readings()
    assert with_steps(verdict(Kind.UNDECIDED), check).kind is Kind.AGREES


# -- nothing said ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", Kind)
def test_steps_with_numbers_that_are_not_finite_change_no_verdict(kind: Kind) -> None:
    check = fixed(left_out=[False, True], **NEEDED)
    found = with_steps(verdict(kind, arithmetics=("float16",)), check, 1)
    assert (found.kind, found.arithmetics) == (kind, ("float16",))
    assert found.certificates[0].note == "holds numbers that are not finite"


# -- what is counted ---------------------------------------------------------------------------


def test_the_counts_of_the_case_that_is_asked_for_are_kept() -> None:
    (said,) = with_steps(verdict(Kind.AGREES), fixed(), 1).certificates
    assert (said.certificate, said.records, said.compared, said.unbounded, said.worst) == (
        "local", 5, 11, 3, 0.75,
    )  # fmt: skip
    assert (said.step, said.wrong, said.note) == ("", "", "")


def test_certificates_are_added_to_those_there_are() -> None:
    once = with_steps(verdict(Kind.AGREES), local())
    assert len(with_steps(once, local()).certificates) == 2


def test_the_first_case_is_meant_where_none_is_named() -> None:
    (said,) = with_steps(verdict(Kind.AGREES), fixed(left_out=[False, True])).certificates
    assert (said.compared, said.unbounded, said.worst, said.note) == (10, 2, 9.0, "")


def test_one_case_of_a_stack_does_not_speak_for_another() -> None:
    case = stack_of(SMALL, "float64", count=2)
    factor = np.array([1.0, 2.0])[:, None, None]
    check = LocalJudge(case).check(simulated(case, StepFault("z1", "result", lambda a: factor * a)))
    kinds = [with_steps(verdict(Kind.AGREES), check, index).kind for index in range(2)]
    assert kinds == [Kind.AGREES, Kind.INCONSISTENT]
