"""Functions that err by too much: LIBRARY, with their names, and nothing else passes by them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from test_smooth_steps import network

from crosscheck.judge import libraries
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.verdict import Kind, Verdict, fails
from crosscheck.numbers import library as library_module
from crosscheck.numbers.accuracy import committed
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.library import ANY, MANY, Library
from crosscheck.studies.simulated import StepFault, simulated
from crosscheck.tools.errors import UsageError

NARROW = "tensorflow", "gelu", "float64"
"""A function of which the accuracy table says that float64 is as good as float32."""

GOOD = "torch", "gelu", "float64"


def measured(monkeypatch: pytest.MonkeyPatch, **elsewhere: str) -> None:
    """As if the accuracy table was measured on this processor, or on another one."""
    record = committed()
    here = {"machine": record.environment["machine"], "vectors": record.environment["vectors"]}
    monkeypatch.setattr(library_module, "processor", lambda: {**here, **elsewhere})
    monkeypatch.setattr(library_module, "_versions", lambda name: record.versions[name])
    library_module._roundings.cache_clear()
    libraries._basis.cache_clear()


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    """Nothing here depends on which processor it runs on."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        measured(monkeypatch)
        yield
    library_module._roundings.cache_clear()
    libraries._basis.cache_clear()


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
    assert "16 in gelu, " in found.basis
    assert "nearest row" not in found.basis


def test_no_library_is_accused_of_what_was_measured_on_another_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured(monkeypatch, vectors="ASIMD")
    found = said(*NARROW, 1 + 2.0**-28, steps=True)
    assert found.kind is Kind.LIBRARY
    assert "(nearest row: tensorflow-cpu" in found.basis
    assert not fails(found)


@pytest.mark.parametrize("change", [0.0, 2.0, -1.0, 1.01, 1.0001])
@pytest.mark.parametrize("steps", [True, False])
def test_on_another_processor_too_what_is_wrong_is_wrong(
    monkeypatch: pytest.MonkeyPatch, change: float, steps: bool
) -> None:
    measured(monkeypatch, vectors="ASIMD")
    found = said(*NARROW, change, steps=steps)
    assert found.kind in (Kind.DISAGREES, Kind.INCONSISTENT)
    assert fails(found)


def test_a_network_without_such_functions_takes_nothing_for_granted() -> None:
    assert said("torch", "relu", "float32", steps=True).basis == ""


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
