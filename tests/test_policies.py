"""The table of what frameworks do where IEEE 754 leaves it to a ReLU."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import ClassVar

import jsonschema
import numpy as np
import pytest
from rich.console import Console
from unbounded import Simulated

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.state import FrameworkState
from crosscheck.judge.notebook import verdict_html
from crosscheck.judge.policies import Policy
from crosscheck.judge.verdict import QUESTIONS, Kind
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.report.html import page
from crosscheck.report.json_ import document, schema
from crosscheck.report.policies import NOT_SEEN, choice, policy_rows
from crosscheck.report.summary import markdown
from crosscheck.report.terminal import TerminalReport
from crosscheck.run.checker import Checker
from crosscheck.run.events import Event, ExitCode, RunFinished, RunStarted
from crosscheck.run.records import RECORDS
from crosscheck.run.sweep.state import taken_up
from crosscheck.run.tally import Tally

SELECTS = Policy("NaN", "0", "0", "select")


class OfOnePolicy(Framework):
    """Honest, in simulated float32; what it does at NaN depends on the sign of y where told."""

    name: ClassVar[str] = "simulated"
    module: ClassVar[str] = "crosscheck"
    packages: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *policies: Policy) -> None:
        super().__init__()
        self.policies = policies

    def gradients(self, case: Case) -> Gradients:
        policy = self.policies[int(case.y.ravel()[0] < 0) % len(self.policies)]
        return Simulated(case, policy, np.random.default_rng(0)).gradients()


def events(*policies: Policy) -> list[Event]:
    state = FrameworkState("simulated", "available", {}, "relu", "eager")
    found: list[Event] = [RunStarted("crosscheck run", "", None, ("float32",), (state,), {}, 2)]
    checker = Checker([OfOnePolicy(*policies)], found.append)
    for y in (5.0, -5.0):
        case = worked_example(x=float("nan"), y=y, dtype="float32")
        (verdict,) = checker.check_case(case, "given", "NaN")
        assert verdict.kind is Kind.NONFINITE
    found.append(RunFinished(ExitCode.OK, "every gradient is explained", 1.0, 2))
    return found


def tally(*policies: Policy) -> Tally:
    found = Tally()
    for event in events(*policies):
        found.add(event)
    return found


def test_the_answers_of_all_cases_together() -> None:
    assert choice("slope at NaN", {}) == NOT_SEEN
    assert choice("slope at NaN", {("1", "NaN", "1/2"): 3}) == "1 or NaN or 1/2"
    assert choice("slope at NaN", {("1", "NaN", "1/2"): 3, ("0", "1"): 1}) == "1"
    assert choice("slope at NaN", {("1", "NaN"): 3, ("0",): 1}) == "several: 0; 1 or NaN"


def test_a_framework_that_keeps_to_one_policy() -> None:
    assert policy_rows(tally(SELECTS).policies) == [
        (("simulated", "relu", "eager"), ("NaN", NOT_SEEN, "0", "select"))
    ]


def test_a_framework_that_does_not_is_shown_as_such() -> None:
    other = Policy("0", "0", "0", "select")
    ((_, cells),) = policy_rows(tally(SELECTS, other).policies)
    assert cells == ("several: 0; NaN", NOT_SEEN, "0", "select")


def test_the_table_is_in_every_report(tmp_path: Path) -> None:
    found = tally(SELECTS)
    stored = json.loads(json.dumps(document(found), allow_nan=False))
    jsonschema.Draft202012Validator(schema()).validate(stored)
    (line,) = stored["policies"]
    assert [each["question"] for each in line["questions"]] == list(QUESTIONS)
    assert line["questions"][0] == {
        "question": "value at NaN",
        "choice": "NaN",
        "told": [{"answers": ["NaN"], "cases": 2}],
    }
    assert stored["cases"][0]["verdicts"][0]["policies"][0] == {
        "question": "value at NaN",
        "answers": ["NaN"],
    }
    assert "| simulated | relu | eager | NaN | not seen | 0 | select |" in markdown(found)
    html = page(stored)
    assert '<td class="empty">not seen</td><td>0</td><td>select</td>' in html
    out = io.StringIO()
    report = TerminalReport(tmp_path, Console(file=out, width=130))
    for event in events(SELECTS):
        report.handle(event)
    report.close()
    assert "closed gate: select" in out.getvalue()
    (row,) = (text for text in out.getvalue().splitlines() if "simulated relu, eager" in text)
    assert row.replace("│", " ").split()[3:] == ["NaN", "not", "seen", "0", "select"]


def test_a_run_without_such_cases_has_no_table() -> None:
    started, *_, finished = events(SELECTS)
    found = Tally()
    found.add(started)
    found.add(finished)
    assert document(found)["policies"] == []
    assert "IEEE" not in markdown(found)


@pytest.mark.parametrize("policies", [(SELECTS,), (SELECTS, Policy("0", "0", "0", "select"))])
def test_the_table_outlives_a_checkpoint(policies: tuple[Policy, ...]) -> None:
    found = tally(*policies)
    again = taken_up(RECORDS.together(json.loads(json.dumps(RECORDS.apart(found))), Tally))
    assert policy_rows(again.policies) == policy_rows(found.policies)
    assert [event.verdicts[0].policies for event in again.kept] == [
        event.verdicts[0].policies for event in found.kept
    ]


def test_a_notebook_shows_the_answers() -> None:
    event = tally(SELECTS).kept[0]
    assert "closed gate: select" in verdict_html(event.verdicts[0])
