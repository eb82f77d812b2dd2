"""A sweep of a network of operators that is shared out: the same result, whatever dies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sweeping

NETWORK = {
    "program": [
        {"id": "z", "op": "dense", "inputs": ["x", "W"]},
        {"id": "a", "op": "leaky_relu", "inputs": ["z"], "attributes": {"slope": 0.25}},
        {"id": "loss", "op": "squared_error", "inputs": ["a", "y"]},
    ],
    "parameters": {"W": [[1]]},
    "inputs": {"x": [[1]], "y": [[1]]},
}
# Stack 3 is the one that meets breakpoints; stack 4 is another piece of work.
CASES = ("--program", "net.json", "--cases", "1030", "--seed", "7")


@pytest.fixture(autouse=True)
def wicked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweeping.install(tmp_path, monkeypatch)
    Path("net.json").write_text(json.dumps(NETWORK))


def swept(*words: str) -> tuple[int, dict[str, Any]]:
    """The exit code, and the report without what depends on time."""
    code, report = sweeping.sweep(*CASES, *words)
    run = {name: value for name, value in report["run"].items() if name != "seconds"}
    loaded = ("started", "blas")
    run["environment"] = {k: v for k, v in run["environment"].items() if k not in loaded}
    return code, {**report, "run": run, "checksum": None}


def test_the_result_does_not_depend_on_the_number_of_workers() -> None:
    names = ("--frameworks", "plain,wrong")
    code, alone = swept(*names)
    assert code == 1
    assert alone["run"]["cases"] == 1030
    assert {each["label"] for each in alone["cases"] if each["shrunk"]} == {"stack 7:3"}
    assert swept(*names, "--jobs", "2") == (code, alone)


def test_a_worker_that_is_killed_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("--frameworks", "unlucky")
    code, struck = swept(*names, "--jobs", "1")
    assert not Path("site/luck").exists()
    said = capsys.readouterr().out
    assert "ended by SIGKILL; stacks 7:0 to 7:3 again elsewhere" in said
    assert code == 0
    assert swept(*names) == (code, struck)


def test_a_framework_that_kills_its_process_is_named_and_fails() -> None:
    code, report = swept("--frameworks", "plain,fragile", "--jobs", "1")
    assert code == 1
    assert report["run"]["cases"] == 3 * 256 + 1
    (case,) = (each for each in report["cases"] if "CRASHED" in json.dumps(each["verdicts"]))
    assert case["label"] == "stack 7:3, case 0"
    (verdict,) = case["verdicts"]
    assert verdict["framework"] == "fragile"
    assert verdict["detail"] == "the process ended by SIGKILL, on the 256 cases of stack 7:3"
