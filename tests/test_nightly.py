"""The text of the nightly issue: what changed first, then what failed, and what said nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crosscheck.cli import main
from crosscheck.report.json_ import KIND
from crosscheck.report.nightly import DRIFT, INSTALLATION, jobs, text
from crosscheck.tools.sealed import bare


def leave(folder: Path, job: str, **files: str) -> None:
    (folder / job).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / job / name).write_text(content, "utf-8")


def checked(*changed: str, version: str = "torch 2.14.0") -> str:
    versions = {"torch": version, "numpy": "numpy 2"}
    before = {"torch": "torch 2.13.0", "numpy": "numpy 2"}
    return json.dumps({"versions": versions, "baseline": before, "changed": changed})


LINE = "torch clamp: slope 1 -> 0 at the breakpoints; eager, forward; all dtypes"


def test_what_changed_comes_first_with_the_versions(tmp_path: Path) -> None:
    leave(tmp_path, "newest-torch", **{DRIFT["conventions"]: checked(f"changed: {LINE}")})
    leave(tmp_path, "newest-jax", **{INSTALLATION: "Collecting jax\nERROR: there is no wheel\n"})
    found = text(jobs(tmp_path), {"newest": "failure"}, "https://where")
    assert found.splitlines()[:5] == [
        "## Changed",
        "",
        "newest-torch, conventions (torch 2.13.0 -&gt; torch 2.14.0):",
        "",
        f"- `{LINE}`",
    ]
    assert "- newest-jax: the installation failed: ERROR: there is no wheel" in found
    assert found.rstrip().endswith("newest: failure; run: https://where")


def test_what_left_nothing_is_told(tmp_path: Path) -> None:
    leave(tmp_path, "newest-torch")
    found = text(jobs(tmp_path), {"newest": "failure", "crosscheck": "cancelled"})
    assert "- newest-torch: it ended before it had anything to say" in found
    assert "- crosscheck: cancelled, and nothing that it left says why" in found
    assert "newest: failure, and" not in found  # newest-torch says it


def test_a_job_that_failed_beside_others_that_say_nothing_is_told(tmp_path: Path) -> None:
    leave(tmp_path, "newest-torch", **{DRIFT["conventions"]: checked()})
    assert [job.is_fine for job in jobs(tmp_path)] == [True]
    found = text(jobs(tmp_path), {"newest": "failure"})
    assert "- newest: failure, and nothing that it left says why" in found


def test_a_night_without_anything_is_said_to_be_one(tmp_path: Path, capsys: Any) -> None:
    leave(tmp_path, "newest-torch", **{DRIFT["accuracy"]: checked()})
    assert main(["nightly", str(tmp_path), "--job", "newest=success"]) == 0
    assert capsys.readouterr().out.startswith("Nothing changed, and nothing failed.")
    assert main(["nightly", str(tmp_path), "--job", "newest=failure"]) == 1
    assert main(["nightly", str(tmp_path), "--json"]) == 0


@pytest.mark.parametrize("content", ["{", "[]", '{"changed": 3}', '{"changed": []}'])
def test_what_cannot_be_read_is_a_failure_and_no_silence(content: str, tmp_path: Path) -> None:
    leave(tmp_path, "newest-torch", **{DRIFT["accuracy"]: content})
    leave(tmp_path, "crosscheck-report", **{"report.json": content})
    found = jobs(tmp_path)
    assert not any(job.is_fine for job in found)
    assert text(found, {}).startswith("## Failed")


def test_a_run_that_failed_says_why_and_is_followed_by_its_summary(tmp_path: Path) -> None:
    folder = tmp_path / "crosscheck-report"
    words = ["run", "--case", "worked-example", "--report", str(folder)]
    assert main([*words, "--frameworks", "torch"]) == 0
    assert jobs(tmp_path)[0].is_fine
    content = bare(json.loads((folder / "report.json").read_text("utf-8")))
    content["run"] |= {"exit_code": 1, "reason": "3 gradients are wrong", "failing_cases": 1}
    (folder / "report.json").write_text(json.dumps(KIND.sealed(content)), "utf-8")
    found = text(jobs(tmp_path), {"crosscheck": "failure"})
    told = "- crosscheck-report: the run ended with 1: 3 gradients are wrong"
    assert found.splitlines()[:3] == ["## Failed", "", told]
    assert found.index(told) < found.index("# Gradient cross-check: ")


def test_the_text_is_not_longer_than_an_issue(tmp_path: Path) -> None:
    lines = [f"changed: {number} {'x' * 3000}" for number in range(90)]
    leave(tmp_path, "newest-torch", **{DRIFT["conventions"]: checked(*lines)})
    found = text(jobs(tmp_path), {})
    assert len(found) < 65_536
    assert found.endswith("The rest is in the run's report.\n")
    short = [f"changed: {number}" for number in range(90)]
    leave(tmp_path, "newest-torch", **{DRIFT["conventions"]: checked(*short)})
    assert "- and 50 lines more" in text(jobs(tmp_path), {})


def test_marks_of_what_a_job_left_stay_text(tmp_path: Path) -> None:
    leave(tmp_path, "newest-@all", **{INSTALLATION: "ERROR: <b> @everyone"})
    found = text(jobs(tmp_path), {})
    assert "@everyone" not in found
    assert "<b>" not in found


def test_a_folder_that_is_not_there_is_told_in_one_line(tmp_path: Path, capsys: Any) -> None:
    assert main(["nightly", str(tmp_path / "none")]) == 4
    assert "wanted one with a folder a job" in capsys.readouterr().err
    assert main(["nightly", str(tmp_path), "--job", "newest"]) == 4
    assert "wanted NAME=RESULT" in capsys.readouterr().err
