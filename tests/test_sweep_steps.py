"""Sweeps that certify each step: what is counted, what is found, and that it can be repeated."""

from __future__ import annotations

import itertools
import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sweeping

from crosscheck.cases.stream.families import FAMILIES, Mix
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import BLOCK, Part, Settings, Shape
from crosscheck.cli import main
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.certificates import with_steps
from crosscheck.judge.compare import Judge
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.judge.verdict import Kind
from crosscheck.network.dense import Case, Network
from crosscheck.network.files import case_to_json
from crosscheck.run.certified import Certifications
from crosscheck.run.sweep import engine
from crosscheck.run.sweep.check import check_part
from crosscheck.run.sweep.checkpoint import load

WORDS = ("--cases", "600", "--seed", "9", "--widths", "2,8,8,2", "--mix", "gaussian")
NETWORK = {
    "program": [
        {"id": "z1", "op": "dense", "inputs": ["x", "W1"]},
        {"id": "a1", "op": "leaky_relu", "inputs": ["z1"], "attributes": {"slope": 0.25}},
        {"id": "z2", "op": "dense", "inputs": ["a1", "W2"]},
        {"id": "loss", "op": "squared_error", "inputs": ["z2", "y"]},
    ],
    "parameters": {"W1": np.ones((16, 2)).tolist(), "W2": np.ones((16, 16)).tolist()},
    "inputs": {"x": [[1, 2]], "y": np.ones((1, 16)).tolist()},
}
DENSE = Case.of(
    [np.ones((8, 2)), np.ones((8, 8)), np.ones((2, 8))],
    [np.ones(8), np.ones(8), np.ones(2)],
    x=np.ones((1, 2)),
    y=np.ones((1, 2)),
    dtype="float64",
)


@pytest.fixture(autouse=True)
def wicked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweeping.install(tmp_path, monkeypatch)


def swept(name: str, *words: str, report: str = "here") -> tuple[int, dict[str, Any]]:
    return sweeping.sweep(*WORDS, "--frameworks", name, *words, report=report)


def local(report: dict[str, Any]) -> dict[str, Any]:
    (found,) = report["certified"]
    assert found["certificate"] == "local"
    return dict(found)


# -- what is said of each case -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["torch", "stepped"])
def test_verdicts_and_counts_are_those_of_the_two_judges(name: str) -> None:
    (framework,), _ = open_frameworks([name])
    shape = Shape(Network((2, 3, 2), "identity", "mean"), 2, "float32")
    mix = Mix(tuple((family, 1.0) for family in FAMILIES))
    settings = Settings((shape,), 10**6, 5, mix, max_failures=BLOCK, steps=True)
    checked = check_part(Part(shape, 10, 60), settings, [framework])

    stack = block(shape, 5, 0, mix).batch.case()
    given, recorded = framework.gradients(stack), framework.recorded(stack)
    check = LocalJudge(stack[10:60]).check(recorded[10:60])
    names: dict[str, Any] = {"framework": name, "formulation": "relu", "mode": "eager"}
    expected = [
        with_steps(Judge(stack[at]).verdict(given[at], **names), check, at - 10)
        for at in range(10, 60)
    ]
    # What agrees with a decision that has no effect is told too.
    told = (each for each in checked.cases if each.verdicts[0].kind is not Kind.AGREES)
    for verdict in expected:
        if verdict.kind is not Kind.AGREES:
            (found,) = next(told).verdicts
            assert (found.kind, found.detail, str(found.certificates)) == (
                *(verdict.kind, verdict.detail),
                str(verdict.certificates),
            )
    assert next(told, None) is None
    totals: Counter[Kind] = Counter()
    for kinds in checked.summary.kinds[name].values():
        totals.update(kinds)
    assert totals == Counter(verdict.kind for verdict in expected)
    said = Certifications()
    for verdict in expected:
        said += Certifications.of(verdict.certificates[0])
    assert checked.summary.certified[name]["local"] == said


def test_a_step_that_the_bounds_of_the_network_hide_is_found_with_steps() -> None:
    code, report = swept("stepped", "--steps", "--max-failures", "3")
    assert code == 1
    verdicts = [case["verdicts"][0] for case in report["cases"]]
    assert {verdict["verdict"] for verdict in verdicts} == {"INCONSISTENT"}
    assert all("step z1 (dense)" in verdict["detail"] for verdict in verdicts)


def test_a_step_that_the_bounds_of_the_network_hide_passes_without_steps() -> None:
    code, report = swept("stepped")
    assert code == 0
    assert report["certified"] == []


def test_right_steps_pass_and_are_counted() -> None:
    code, report = swept("stepwise", "--steps")
    assert code == 0
    assert local(report)["inside"] == local(report)["cases"] == 600


def test_a_framework_that_shows_no_steps_is_swept_as_ever() -> None:
    plain, with_them = swept("plain"), swept("plain", "--steps")
    assert with_them[0] == plain[0] == 0
    assert with_them[1]["certified"] == plain[1]["certified"] == []


def test_steps_that_lead_to_other_bits_are_discarded_case_by_case() -> None:
    code, report = swept("shifting", "--steps")
    assert code == 0
    assert local(report)["inside"] == 450
    note = "its steps were discarded: watched, it returned another gradient"
    assert local(report)["notes"] == [{"note": note, "cases": 150}]


def test_steps_that_cannot_be_seen_are_said_so() -> None:
    code, report = swept("shy", "--steps")
    assert code == 0
    assert local(report)["inside"] == 0
    note = "its steps could not be seen: RuntimeError: not now"
    assert local(report)["notes"] == [{"note": note, "cases": 600}]


# -- and can be repeated -----------------------------------------------------------------------


def test_the_result_does_not_depend_on_the_number_of_workers() -> None:
    names = ("--steps", "--max-failures", "3")
    code, alone = swept("stepped", *names)
    other, shared = swept("stepped", *names, "--jobs", "2")
    assert code == other == 1
    assert sweeping.result(shared) == sweeping.result(alone)


def test_what_is_counted_adds_up_wherever_it_is_cut() -> None:
    (framework,), _ = open_frameworks(["stepped"])
    shape = Shape(Network((2, 8, 8, 2)))
    settings = Settings((shape,), 10**6, 5, Mix.parse("gaussian"), max_failures=BLOCK, steps=True)
    whole, one, other = (
        check_part(Part(shape, *part), settings, [framework]).summary.certified["stepped"]["local"]
        for part in ((5, 60), (5, 33), (33, 60))
    )
    assert whole == one + other


def test_a_sweep_that_was_saved_is_resumed_with_steps() -> None:
    _, report = swept("stepwise", "--steps")
    found = load(Path("here"))
    assert found.settings.steps
    assert found.tally.certified["stepwise", "local"].inside == 600
    code, again = sweeping.sweep("--resume", "--steps", "--until", "1s")
    assert code == 0
    assert local(again) == local(report)


def test_a_sweep_that_was_cut_in_the_middle_goes_on_with_steps_to_the_same_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crosscheck.run.sweep.engine._STEP_SECONDS", 0.0)
    monkeypatch.setattr(
        "crosscheck.run.sweep.engine.steps_until",
        lambda settings, start, stop_at: itertools.islice(engine.steps(settings, start), 1),
    )
    words = ["--cases", "40", "--seed", "9", "--widths", "2,3,2", "--mix", "gaussian", "--steps"]
    words += ["--frameworks", "shifting"]
    _, first = sweeping.sweep(*words, "--until", "0.001s", report="cut")
    assert first["run"]["reason"].endswith("time is up")
    assert local(first)["cases"] == 16
    code, resumed = sweeping.sweep("--resume", "--steps", report="cut")
    assert code == 0
    _, whole = sweeping.sweep(*words, report="whole")
    assert local(resumed)["cases"] == 40
    assert [each["cases"] for each in local(resumed)["notes"]] == [10]
    assert sweeping.result(resumed) == sweeping.result(whole)


def test_a_sweep_is_not_resumed_with_steps_that_was_begun_without(
    capsys: pytest.CaptureFixture[str],
) -> None:
    swept("stepwise")
    assert main(["sweep", "--resume", "--steps", "--report", "here"]) == 4
    assert "--resume: steps is True, and False in the sweep" in capsys.readouterr().err


def test_what_is_found_is_made_small_and_shown_by_replay(
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, report = swept("stepped", "--steps", "--max-failures", "1")
    (small,) = (case for case in report["cases"] if case["shrunk"])
    assert small["verdicts"][0]["verdict"] == "INCONSISTENT"
    address = shlex.split(report["cases"][0]["label"].partition("; ")[2])[1:]
    assert address[-1] == "--steps"
    capsys.readouterr()
    assert main([*address, "--frameworks", "stepped", "--report", "replay"]) == 1
    assert "as in the sweep: stepped INCONSISTENT (eager)" in capsys.readouterr().out


# -- networks from files -----------------------------------------------------------------------


@pytest.mark.parametrize("network", ["operators", "dense"])
def test_a_network_from_a_file_is_swept_with_steps(network: str) -> None:
    content = NETWORK if network == "operators" else case_to_json(DENSE)
    Path("net.json").write_text(json.dumps(content))
    words = ["--program", "net.json", "--cases", "40", "--seed", "7", "--frameworks", "stepped"]
    words += ["--mix", "gaussian"] if network == "dense" else []
    code, report = sweeping.sweep(*words, "--steps")
    assert code == 1
    assert local(report)["wrong"] > 0


@pytest.mark.parametrize("network", ["operators", "dense"])
def test_a_network_from_a_file_is_swept_without_steps(network: str) -> None:
    content = NETWORK if network == "operators" else case_to_json(DENSE)
    Path("net.json").write_text(json.dumps(content))
    words = ["--program", "net.json", "--cases", "40", "--seed", "7", "--frameworks", "stepped"]
    words += ["--mix", "gaussian"] if network == "dense" else []
    code, report = sweeping.sweep(*words)
    assert code == 0
    assert report["certified"] == []
