"""Generated cases that are not finite reach what there is, and find what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from unbounded import Simulated

from crosscheck.cases.profiles import Profile, profile
from crosscheck.cases.strategies import NONFINITE_KINDS, nonfinite_cases
from crosscheck.frameworks.base import Framework
from crosscheck.judge.policies import Policy
from crosscheck.judge.verdict import QUESTIONS, Kind
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.arrays import Array
from crosscheck.run.checker import Checker
from crosscheck.run.crosscheck import check_generated
from crosscheck.run.events import CaseChecked
from crosscheck.tools.errors import UsageError

SELECTS = Policy("NaN", "0", "0", "select")
SHAPES = (((2, 3, 1), 1), ((1, 2, 2), 3))


def drawn(count: int, **kwargs: Any) -> list[Case]:
    found: list[Case] = []

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        deadline=None,
    )
    @given(nonfinite_cases(**kwargs))
    def collect(case: Case) -> None:
        found.append(case)

    collect()
    return found


class Honest(Framework):
    """Simulated, with a fault that is planted into each array of the result."""

    name: ClassVar[str] = "honest"
    module: ClassVar[str] = "crosscheck"
    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self, fault: Callable[[Any], Any] = np.array) -> None:
        super().__init__()
        self.fault = fault

    def gradients(self, case: Case) -> Gradients:
        if case.count is not None:
            raise NotImplementedError
        given = Simulated(case, SELECTS, np.random.default_rng(0)).gradients()
        return Gradients(
            self.fault(np.array(given.loss)),
            tuple(map(self.fault, given.weights)),
            tuple(None if bias is None else self.fault(bias) for bias in given.biases),
            self.fault(given.x),
        )


@pytest.mark.parametrize("kind", NONFINITE_KINDS)
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_each_kind_is_what_it_says(kind: str, dtype: str) -> None:
    for case in drawn(12, kind=kind, dtype=dtype):
        numbers = np.concatenate([array.ravel() for _, array in case.entries()])
        odd = numbers[~np.isfinite(numbers)]
        assert len(odd) in {"overflow": {0}, "several": {1, 2}}.get(kind, {1})
        if kind in ("NaN", "infinity"):
            assert np.isnan(odd).all() == (kind == "NaN")


def test_a_kind_that_there_is_not() -> None:
    with pytest.raises(UsageError, match=r"kind='inf': wanted one of NaN, infinity"):
        nonfinite_cases(kind="inf")


def test_every_kind_of_number_and_every_question_is_reached() -> None:
    checker_events: list[Any] = []
    checker = Checker([Honest()], checker_events.append)
    kinds, asked, verdicts = set(), set(), set()
    for case in drawn(60, dtype="float32", shapes=SHAPES):
        (verdict,) = checker.check_case(case, "given", "drawn")
        verdicts.add(verdict.kind)
        asked |= {each.question for each in verdict.policies}
        for _, value in Honest().gradients(case).entries():
            flat: Array = value.ravel()
            kinds |= {str(each) if not np.isfinite(each) else "finite" for each in flat}
    assert kinds == {"finite", "inf", "-inf", "nan"}
    assert asked == set(QUESTIONS)
    assert Kind.DISAGREES not in verdicts
    assert Kind.NONFINITE in verdicts


SHARE = profile("quick").nonfinite // 2  # of each of the two default dtypes


def fails(fault: Callable[[Any], Any], case: Case) -> bool:
    checker = Checker([Honest(fault)], lambda _: None)
    return any(map(checker.is_failing, checker.verdicts(case)))


def test_nothing_right_is_accused() -> None:
    assert not any(fails(np.array, case) for case in drawn(SHARE, dtype="float32"))


@pytest.mark.parametrize(
    "fault",
    [
        np.nan_to_num,
        lambda value: np.where(np.isfinite(value), value, 42.0),
        lambda value: np.where(np.isnan(value), 0.0, value),
        lambda value: np.where(np.isinf(value), -value, value),
    ],
    ids=["nan_to_num", "42", "NaN to 0", "sign of inf"],
)
def test_what_only_such_cases_show_is_found_in_the_share_of_the_quick_profile(
    fault: Callable[[Any], Any],
) -> None:
    assert any(fails(fault, case) for case in drawn(SHARE, dtype="float32"))


def test_a_run_draws_such_cases() -> None:
    events: list[Any] = []
    checker = Checker([Honest(np.nan_to_num)], events.append)
    check_generated(checker, Profile("these", 0, 0, 0, 1, nonfinite=4), seed=1, dtypes=["float32"])
    assert checker.failed
    shrunk = [event for event in events if isinstance(event, CaseChecked) and event.shrunk]
    assert [event.label for event in shrunk] == ["not finite float32"]
    assert dict(shrunk[0].case.entries())["x"].size == 1
