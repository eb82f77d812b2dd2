"""What is wrong only at times is found, and called nondeterministic, in whatever way it comes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import faulty
import numpy as np
import pytest
from test_report import shown, validate

from crosscheck.cases.profiles import Profile, profile
from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.network.reference import gradients
from crosscheck.network.tree import LEFT_OUT
from crosscheck.report.html import HtmlReport
from crosscheck.report.json_ import JsonReport
from crosscheck.report.summary import MarkdownSummary
from crosscheck.run.again import Again, Asked, differing
from crosscheck.run.checker import Checker
from crosscheck.run.checking import compare_implementations
from crosscheck.run.crosscheck import check_generated, run
from crosscheck.run.events import AskedAgain, CaseChecked, Event, ExitCode, RunStarted

SMALL = Profile("small", smooth_examples=24, boundary_examples=0, stacks=3, stack_size=4)
STATES = (FrameworkState("faulty", "available", {"numpy": "2"}, "relu", "eager"),)


@pytest.fixture(autouse=True)
def _own_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def doubled(given: Gradients) -> Gradients:
    return replace(given, weights=tuple(2.0 * w for w in given.weights))


class Moody(faulty.Faulty):
    """Right, but for the calls that ``wrong`` picks, whose gradient is doubled."""

    def __init__(self, wrong: Callable[[Moody, Case], Any]) -> None:
        super().__init__(faulty.correct)
        self.wrong, self.calls, self.cases, self.before = wrong, 0, 0, None

    before: Case | None

    def gradients(self, case: Case) -> Gradients:
        given = super().gradients(case)
        picked = self.wrong(self, case)
        self.calls += 1
        self.cases += case.count or 1
        self.before = case
        if picked is True:
            return doubled(given)
        if picked is not False:  # the index of a case of the stack
            for weight in given.weights:
                weight[picked] *= 2.0
        return given


def every_case(number: int) -> Callable[[Moody, Case], Any]:
    """Every so many cases one is wrong, stacks or not."""

    def wrong(self: Moody, case: Case) -> Any:
        place = -(self.cases + 1) % number
        if case.count is None:
            return place == 0
        return place if place < case.count else False

    return wrong


def every_stack(number: int) -> Callable[[Moody, Case], Any]:
    stacks = 0

    def wrong(self: Moody, case: Case) -> bool:
        nonlocal stacks
        stacks += case.count is not None
        return case.count is not None and stacks % number == 0

    return wrong


def not_the_first_time(self: Moody, case: Case) -> bool:
    """Right when a case is new, and wrong when it comes back after others."""
    key = (case.count, case.x.tobytes(), *(w.tobytes() for w in case.weights))
    seen: set[object] = self.__dict__.setdefault("seen", set())
    back = key in seen and self.before is not None and self.before.x is not case.x
    seen.add(key)
    return back


def events_of(framework: faulty.Faulty, which: Profile = SMALL) -> tuple[Checker, list[Event]]:
    events: list[Event] = []
    checker = Checker([framework], events.append)
    check_generated(checker, which, seed=1, dtypes=["float64"])
    return checker, events


def named_cases(events: list[Event]) -> list[Verdict]:
    return [
        verdict
        for event in events
        if isinstance(event, CaseChecked)
        for verdict in event.verdicts
        if verdict.detail.startswith("nondeterministic: ")
    ]


@pytest.mark.parametrize(
    ("wrong", "which"),
    [
        pytest.param(every_case(29), SMALL, id="every-29th-case"),
        pytest.param(every_stack(3), SMALL, id="every-third-stack"),
        pytest.param(not_the_first_time, SMALL, id="not-the-first-time"),
    ],
)
def test_what_is_wrong_at_times_is_found_and_named(
    wrong: Callable[[Moody, Case], Any], which: Profile
) -> None:
    checker, events = events_of(Moody(wrong), which)
    assert checker.failed
    assert list(checker.nondeterministic) == ["faulty"]
    found = named_cases(events)
    assert found
    assert {verdict.kind for verdict in found} == {Kind.DISAGREES}
    again = [event for event in events if isinstance(event, AskedAgain)]
    assert sum(event.nondeterministic for event in again) >= 1


def test_the_default_profile_has_cases_enough_for_one_in_a_thousand_and_a_tenth_stack() -> None:
    which = profile("default")
    singles = which.smooth_examples + which.boundary_examples + which.wide // 2
    assert singles + which.stacks * which.stack_size >= 2 * 1_000
    assert which.stacks + (which.wide + 1) // 2 >= 2 * 10


def test_what_is_always_wrong_has_no_such_name() -> None:
    few = Profile("few", smooth_examples=0, boundary_examples=0, stacks=2, stack_size=2)
    checker, events = events_of(Moody(lambda self, case: True), few)
    assert checker.failed
    assert not checker.nondeterministic
    assert not named_cases(events)


class Reordered(faulty.Faulty):
    """Within the bounds every time, and never twice the same."""

    def __init__(self) -> None:
        super().__init__(faulty.correct)
        self.rng = np.random.default_rng(1)

    def gradients(self, case: Case) -> Gradients:
        given = super().gradients(case)
        loss = given.loss * (1.0 + 2.0**-52 * self.rng.integers(0, 2, np.shape(given.loss)))
        return replace(given, loss=loss)


def test_other_bits_within_the_bounds_are_told_and_no_failure() -> None:
    case = Case.of([[[0.1, 0.3]]], [[0.7]], x=[[0.9, 0.2]], y=[[0.1]])
    events: list[Event] = []
    checker = Checker([Reordered()], events.append)
    for _ in range(64):
        checker.check_case(case, "smooth", "")
    checker.finish()
    again = [event for event in events if isinstance(event, AskedAgain)]
    assert sum(event.cases for event in again) == 8
    assert sum(event.not_reproducible for event in again) >= 1
    assert sum(event.nondeterministic for event in again) == 0
    assert not checker.failed


def test_a_right_framework_gives_the_same_bits() -> None:
    checker, events = events_of(faulty.Faulty(faulty.correct))
    again = [event for event in events if isinstance(event, AskedAgain)]
    assert sum(event.cases for event in again) == 24 // 8 + 3 * 4
    assert not any(event.not_reproducible or event.nondeterministic for event in again)
    assert not checker.nondeterministic


def test_others_come_between() -> None:
    again, example = Again(), worked_example()
    right = gradients(example)
    for number in range(1, 25):
        again.note(Asked(example, [right], "smooth", str(number)))
        assert [asked.label for asked in again.due()] == (["8"] if number == 24 else [])
    assert [asked.label for asked in again.rest()] == ["16", "24"]


def test_a_difference_is_one_of_bits_but_for_the_kind_of_nan() -> None:
    right = gradients(worked_example())
    assert not differing(right, right)
    for x in (right.x + 2.0**-52 * right.x, -right.x, right.x * np.nan):
        assert differing(right, replace(right, x=x))
    assert differing(replace(right, x=np.zeros((1, 1))), replace(right, x=-np.zeros((1, 1))))
    nan = replace(right, x=np.full((1, 1), np.nan))
    assert not differing(nan, replace(right, x=-nan.x))
    assert differing(right, replace(right, x=LEFT_OUT))


def test_every_report_and_the_last_line_say_nondeterministic(tmp_path: Path) -> None:
    events: list[Event] = []
    started = RunStarted("crosscheck run", "small", 1, ("float64",), STATES, {})
    code = run(
        lambda emit: Checker([Moody(every_stack(3))], emit),
        lambda checker: check_generated(checker, SMALL, seed=1, dtypes=["float64"]),
        started,
        STATES,
        events.append,
    )
    assert code is ExitCode.DISAGREEMENT
    for sink in (JsonReport(tmp_path), HtmlReport(tmp_path), MarkdownSummary(tmp_path)):
        for event in events:
            sink.handle(event)
        sink.close()
    document = json.loads((tmp_path / "report.json").read_text())
    validate(document)
    (line,) = document["asked_again"]
    assert line["framework"] == "faulty"
    assert line["nondeterministic"] >= 4
    assert document["run"]["reason"].endswith("; nondeterministic: faulty")
    failing = [v for case in document["cases"] for v in case["verdicts"] if v["fails"]]
    assert failing
    assert all(each["detail"].startswith("nondeterministic: ") for each in failing)
    for text in (
        (tmp_path / "report.html").read_text(),
        (tmp_path / "summary.md").read_text(),
        shown(events),
    ):
        assert f"{line['nondeterministic']} nondeterministic (wrong at times)" in text
        assert failing[0]["detail"] in " ".join(text.split())


def test_a_function_of_ones_own_that_is_wrong_at_times_fails() -> None:
    moody = Moody(every_case(9))

    def own(case: Case) -> Gradients:
        return moody.gradients(case)

    found = compare_implementations(numpy=own, profile="quick", dtypes=["float64"])
    assert not found.passed
    assert "nondeterministic: made again at once, the same call passed" in found.message
