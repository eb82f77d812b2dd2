"""The cross-check finds planted faults, shrinks them, counts honestly and ends as it should."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faulty
import numpy as np
import pytest

from crosscheck.cases.profiles import Profile
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import AnyCase
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.run.checker import Checker
from crosscheck.run.crosscheck import check_generated, check_given, run
from crosscheck.run.events import (
    CaseChecked,
    Event,
    ExitCode,
    RunFinished,
    RunStarted,
    StackChecked,
)
from crosscheck.tools.errors import UnsupportedError

SHORT = Profile("short", smooth_examples=60, boundary_examples=60, stacks=2, stack_size=50)
SMOOTH = Profile("smooth", smooth_examples=40, boundary_examples=0, stacks=1, stack_size=40)
STARTED = RunStarted("crosscheck run", "short", 1, ("float64",), (), {})


@pytest.fixture(autouse=True)
def _own_example_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def checked(
    framework: Framework, *, seed: int = 1, profile: Profile = SHORT
) -> tuple[Checker, list[Event]]:
    events: list[Event] = []
    checker = Checker([framework], events.append)
    check_generated(checker, profile, seed=seed, dtypes=["float64"])
    return checker, events


def kinds(events: Sequence[Event]) -> dict[Kind, int]:
    counts: dict[Kind, int] = {}
    for event in events:
        if isinstance(event, StackChecked):
            for kind, count in event.kinds["faulty"].items():
                counts[kind] = counts.get(kind, 0) + count
    return counts


def shrunk(events: Sequence[Event]) -> list[CaseChecked]:
    return [event for event in events if isinstance(event, CaseChecked) and event.shrunk]


def complexity(case: AnyCase) -> int:
    return sum(int(np.count_nonzero(array)) for _, array in case.entries())


@pytest.mark.parametrize("name", faulty.FAULTS)
def test_a_planted_fault_fails_the_run_and_is_shrunk(name: str) -> None:
    checker, events = checked(faulty.Faulty(faulty.FAULTS[name]), profile=SMOOTH)
    assert checker.failed
    assert kinds(events)[Kind.DISAGREES] >= 1
    smallest = shrunk(events)
    assert smallest
    for event in smallest:
        assert event.verdicts[0].kind is Kind.DISAGREES
    assert min(complexity(event.case) for event in smallest) <= 12


def test_a_correct_framework_passes_and_its_kinks_are_reported() -> None:
    checker, events = checked(faulty.Faulty(faulty.correct))
    assert not checker.failed
    counts = kinds(events)
    assert set(counts) <= {Kind.AGREES, Kind.KINK, Kind.UNDECIDED}
    assert sum(counts.values()) == 60 + 60 + 2 * 50
    assert counts[Kind.KINK] >= 25
    assert not shrunk(events)
    reported = [event for event in events if isinstance(event, CaseChecked)]
    ineffective = [event for event in reported if event.verdicts[0].kind is Kind.AGREES]
    assert all(event.verdicts[0].gates for event in ineffective)
    telling = counts[Kind.KINK] + counts.get(Kind.UNDECIDED, 0)
    assert len(reported) == telling + len(ineffective)


def test_another_convention_is_a_boundary_difference_and_does_not_fail() -> None:
    checker, events = checked(faulty.Faulty(faulty.not_strict))
    assert not checker.failed
    slopes = {
        gate.slope
        for event in events
        if isinstance(event, CaseChecked)
        for gate in event.verdicts[0].gates
        if event.verdicts[0].kind is Kind.KINK and gate.gate == "kink"
    }
    assert slopes == {1.0, None}


def test_a_fault_at_the_kink_alone_is_found_on_the_boundary() -> None:
    checker, events = checked(faulty.Faulty(faulty.unrelated_kinks))
    assert checker.failed
    assert {event.part for event in shrunk(events)} == {"boundary"}


def test_the_same_seed_checks_the_same_cases() -> None:
    def keys(seed: int) -> list[str]:
        _, events = checked(faulty.Faulty(faulty.correct), seed=seed)
        return [event.case.key for event in events if isinstance(event, CaseChecked)]

    first, again, other = keys(5), keys(5), keys(6)
    assert first == again
    assert first != other


def test_repeated_cases_are_counted_once() -> None:
    events: list[Event] = []
    checker = Checker([faulty.Faulty(faulty.correct)], events.append)
    check_given(checker, [("one", worked_example()), ("again", worked_example())])
    check_given(checker, [("other", worked_example(x=-0.0)), ("zero", worked_example(x=0.0))])
    counted = [event for event in events if isinstance(event, StackChecked)]
    assert [event.distinct for event in counted] == [1, 0, 1, 1]
    assert checker.distinct == 3


class Moody(Framework):
    """Raises whatever it is told to."""

    name = "moody"
    module = "numpy"
    packages = ("numpy",)
    dtypes = ("float64",)

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def gradients(self, case: Case) -> Gradients:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind", "fails"),
    [
        pytest.param(RuntimeError("no\nkernel"), Kind.CRASHED, True, id="crash"),
        pytest.param(UnsupportedError("not here"), Kind.UNSUPPORTED, False, id="unsupported"),
    ],
)
def test_what_a_framework_raises_is_its_verdict(error: Any, kind: Kind, fails: bool) -> None:
    events: list[Event] = []
    checker = Checker([Moody(error)], events.append)
    (verdict,) = checker.check_case(worked_example(), "given", "example")
    assert verdict.kind is kind
    assert verdict.detail == f"{type(error).__name__}: {str(error).splitlines()[0]}"
    assert checker.failed is fails


def test_a_dtype_that_an_adapter_does_not_have_is_unsupported() -> None:
    checker = Checker([Moody(RuntimeError())], lambda event: None)
    (verdict,) = checker.check_case(worked_example(dtype="float32"), "given", "example")
    assert verdict.kind is Kind.UNSUPPORTED


def finished(
    work: Any, frameworks: list[Framework], states: Sequence[FrameworkState] = ()
) -> RunFinished:
    events: list[Event] = []
    code = run(lambda emit: Checker(frameworks, emit), work, STARTED, states, events.append)
    last = events[-1]
    assert isinstance(events[0], RunStarted)
    assert isinstance(last, RunFinished)
    assert last.exit_code is code
    return last


def smooth_case(checker: Checker) -> None:
    checker.check_case(worked_example(), "smooth", "example")


def test_a_run_in_which_all_is_explained_ends_with_0() -> None:
    assert finished(smooth_case, [faulty.Faulty(faulty.correct)]).exit_code is ExitCode.OK


def test_a_disagreement_ends_with_1() -> None:
    end = finished(smooth_case, [faulty.Faulty(faulty.doubled_loss)])
    assert end.exit_code is ExitCode.DISAGREEMENT


def test_a_broken_framework_ends_with_1() -> None:
    state = FrameworkState("torch", "broken", detail="ImportError: libtorch")
    end = finished(smooth_case, [faulty.Faulty(faulty.correct)], [state])
    assert end.exit_code is ExitCode.DISAGREEMENT
    assert "torch" in end.reason


def test_an_interrupted_run_still_ends_with_an_event() -> None:
    def work(checker: Checker) -> None:
        smooth_case(checker)
        raise KeyboardInterrupt

    end = finished(work, [faulty.Faulty(faulty.correct)])
    assert end.exit_code is ExitCode.INTERRUPTED
    assert end.distinct == 1


@pytest.mark.parametrize("frameworks", [[], [faulty.Faulty(faulty.correct)]], ids=["none", "one"])
def test_a_run_that_checked_no_smooth_case_ends_with_5(frameworks: list[Framework]) -> None:
    end = finished(
        lambda checker: checker.check_case(worked_example(x=0.0), "boundary", ""), frameworks
    )
    assert end.exit_code is ExitCode.NOTHING_CHECKED
    assert "nothing checked" in end.reason


def test_a_failure_comes_with_a_program_that_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from crosscheck.frameworks.torch_ import TorchFramework

    right = TorchFramework.gradients

    def wrong(self: TorchFramework, case: Case) -> Gradients:
        given = right(self, case)
        return dataclasses.replace(given, x=given.x + 1.0)

    events: list[Any] = []
    checker = Checker([TorchFramework()], events.append)
    checker.check_case(worked_example(), "given", "right")
    monkeypatch.setattr(TorchFramework, "gradients", wrong)
    checker.check_case(worked_example(), "given", "wrong")
    before, after = [event for event in events if isinstance(event, CaseChecked)]
    assert before.scripts == {}
    assert "import torch" in after.scripts["torch"]
    exec(after.scripts["torch"], {})
