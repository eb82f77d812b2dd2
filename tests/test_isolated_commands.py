"""Every command outlives a framework that dies, names it, says on what, and goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import misbehaving
import pytest
from misbehaving import TRIGGER

from crosscheck.cli import main
from crosscheck.network.dense import Case
from crosscheck.network.files import write_case

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def crosscheck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Run:
    misbehaving.install(tmp_path, monkeypatch)
    # No network of the worked example's shape: that is also derived by SymPy.
    for name, number in (("bad", TRIGGER), ("good", 1.0)):
        case = Case.of([[[1.0, -2.0]], [[2.0]]], [[0.5], [1.0]], [[number, 0.5]], [[1.0]])
        write_case(case, Path(f"{name}.json"))

    def run(*words: str) -> tuple[int, str, str]:
        code = main([*words, "--isolated"])
        return code, *capfd.readouterr()

    return run


def test_a_run_goes_on_without_one_that_dies(crosscheck: Run) -> None:
    words = ("run", "--case", "bad.json", "--case", "good.json", "--mode")
    both = ("--frameworks", "plain,misbehaves")
    code, out, _ = crosscheck(*words, "misbehaves=aborts", *both, "--report", "page")
    assert code == 1
    assert "the process ended by SIGABRT" in out
    report = json.loads(Path("page/report.json").read_text())
    counts = {each["framework"]: each["counts"] for each in report["verdicts"]}
    assert counts["misbehaves"]["CRASHED"] == 1
    assert sum(counts["misbehaves"].values()) == sum(counts["plain"].values()) == 2
    assert "CRASHED" not in counts["plain"]


def test_what_a_framework_prints_is_not_in_the_output(crosscheck: Run) -> None:
    words = ("explain", "--case", "bad.json", "--frameworks", "misbehaves")
    code, out, err = crosscheck(*words, "--mode", "misbehaves=prints in C")
    assert code == 0
    assert "{{{" not in out
    assert "{{{" in err


def test_an_explanation_is_given_beside_a_framework_that_dies(crosscheck: Run) -> None:
    words = ("explain", "--case", "bad.json", "--frameworks", "misbehaves")
    code, out, _ = crosscheck(*words, "--mode", "misbehaves=leaves with 0")
    assert code == 1
    assert "CRASHED" in out
    assert "the process ended with 0" in out
    assert "step by step" in out


@pytest.mark.long
def test_precision_is_measured_of_what_does_not_die(
    crosscheck: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setenv("MISBEHAVES", "segfaults")
    monkeypatch.setenv("MISBEHAVES_AT", "0")  # the first pixel of nearly every image
    words = ("precision", "--quick", "--trials", "1", "--frameworks", "misbehaves")
    code, out, _ = crosscheck(*words, "--dtype", "float64")
    assert code == 1
    assert "misbehaves: CRASHED: the process ended by SIGSEGV; in trial 0" in out


def test_conventions_are_measured_of_what_does_not_die(
    crosscheck: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISBEHAVES", "segfaults")
    words = ("conventions", "--frameworks", "misbehaves", "--jobs", "1")
    code, out, err = crosscheck(*words, "--json")
    assert code == 1
    assert "misbehaves relu acts by hand float64: CRASHED: the process ended by SIGSEGV" in err
    table = json.loads(out)["conventions"]["misbehaves"]["relu"]
    assert list(table) == ["relu"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--deadline", "0"), "wanted a time above 0"),
        (("--worker", f"plain-x={sys.executable}", "--in-process"), "needs a process of its own"),
        (("--worker", "plain"), "wanted FRAMEWORK=NAME"),
    ],
)
def test_what_does_not_go_together_is_refused(
    crosscheck: Run, words: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--case", "worked-example", *words]) == 4
    assert message in capfd.readouterr().err
