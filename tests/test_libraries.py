"""Functions that err by too much: LIBRARY, with their names, and nothing else passes by them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_smooth_steps import network

from crosscheck.judge.door import Answer, judge
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.library import ANY, MANY, Library
from crosscheck.studies.simulated import StepFault, simulated
from crosscheck.tools.errors import UsageError

NARROW = "tensorflow", "gelu", "float64"
"""A function of which the accuracy table says that float64 is as good as float32."""

GOOD = "torch", "gelu", "float64"


def said(framework: str, name: str, dtype: str, change: float = 1.0, *, steps: bool) -> Verdict:
    case = network(name, dtype)

    def wrong(right: Array) -> Array:
        return np.asarray(right * change)

    recorded = simulated(case, StepFault("f", "result", wrong))
    names = (framework, "", "eager")
    answer = Answer(recorded.given, names=names, recorded=recorded if steps else None)
    alone = judge(case).another(answer)
    assert alone.kind is judge(case, [answer]).verdict(0, 0).kind
    return alone


@pytest.mark.parametrize("steps", [True, False])
def test_what_a_function_that_is_far_off_explains_is_the_library_s(steps: bool) -> None:
    found = said(*NARROW, 1 + 2.0**-28, steps=steps)
    assert found.kind is Kind.LIBRARY
    assert found.detail.startswith("tensorflow's gelu was measured to err by up to ")
    assert fails(found)


@pytest.mark.parametrize("steps", [True, False])
def test_of_a_good_function_it_is_a_fault(steps: bool) -> None:
    found = said(*GOOD, 1 + 2.0**-28, steps=steps)
    assert found.kind is Kind.DISAGREES
    assert fails(found)


@pytest.mark.parametrize("change", [0.0, 2.0, -1.0, 1.01, 1.0001])
@pytest.mark.parametrize("steps", [True, False])
def test_a_function_that_is_far_off_excuses_no_more_than_its_error(
    change: float, steps: bool
) -> None:
    assert said(*NARROW, change, steps=steps).kind in (Kind.DISAGREES, Kind.INCONSISTENT)


@pytest.mark.parametrize("steps", [True, False])
def test_what_is_right_agrees_though_the_table_says_it_may_be_far_off(steps: bool) -> None:
    assert said(*NARROW, steps=steps).kind is Kind.AGREES


def test_a_gradient_of_zeros_is_no_library_s() -> None:
    case = network("elu", "float64")
    given = simulated(case).given.map_derivatives(np.zeros_like)
    verdict = judge(case).another(Answer(given, names=("tensorflow", "", "eager")))
    assert verdict.kind is Kind.DISAGREES


def test_a_bound_holds_a_few_roundings_and_the_table_may_say_more() -> None:
    library = Library("tensorflow", "eager")
    assert library.roundings("gelu", 0, "float64") == MANY
    assert replace(library, is_whole=True).roundings("gelu", 0, "float64") > MANY


def test_a_function_of_the_user_s_has_the_roundings_of_any_framework() -> None:
    frameworks = [Library(name, "eager") for name in ("torch", "tensorflow", "jax")]
    most = max(each.roundings("exp", 0, "float32") for each in frameworks)
    assert Library("mine", "").roundings("exp", 0, "float32") >= most
    assert ANY.roundings("exp", 0, "float32") >= most


@pytest.mark.parametrize("of", [("exp", 3, "float32"), ("exp", 0, "float8_e5m2")])
def test_what_nobody_has_measured_is_refused(of: tuple[str, int, str]) -> None:
    with pytest.raises(UsageError, match="nobody has measured"):
        ANY.roundings(*of)


def test_a_quotient_was_measured_by_each_of_its_operands() -> None:
    found = [ANY.measured(each, 1, "float32") for each in ("dividend", "divisor", "quotient")]
    assert found[2] == max(found[:2])
