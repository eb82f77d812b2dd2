"""A report whose checksum fits and which cannot be is not believed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faulty
import pytest
from test_report import run_of

from crosscheck.report.json_ import JsonReport
from crosscheck.report.reading import Report
from crosscheck.run.events import ExitCode
from crosscheck.tools.errors import UsageError
from crosscheck.tools.sealed import checksum

PASSED = run_of(faulty.correct, end=ExitCode.OK)
FAILED = run_of(faulty.doubled_loss)


def document(events: Any, folder: Path) -> Any:
    sink = JsonReport(folder)
    for event in events:
        sink.handle(event)
    sink.close()
    return json.loads((folder / "report.json").read_text())


def read(content: Any, folder: Path) -> Report:
    path = folder / "report.json"
    path.write_text(json.dumps({**content, "checksum": checksum(content)}))
    return Report.read(path)


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return document(PASSED, tmp_path_factory.mktemp("passed"))


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return document(FAILED, tmp_path_factory.mktemp("failed"))


def at(*path: Any, to: Any) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for step in path[:-1]:
            content = content[step]
        content[path[-1]] = to

    return change


EDITS: dict[str, tuple[Callable[[Any], None], str]] = {
    "fewer": (at("run", "cases", to=1), "run.distinct_cases is 4, of 1 cases"),
    "more": (at("run", "cases", to=401_000), "run.cases is 401,000, and there are 4 to 4 verdicts"),
    "none": (at("run", "cases", to=0), "run."),
    "failing": (at("run", "failing_cases", to=1), "run: passed with failing cases"),
    "distinct": (at("run", "distinct_cases", to=9), "run.distinct_cases is 9, of 4 cases"),
    "negative": (at("run", "cases_not_kept", to=-1), "run.cases_not_kept is negative"),
    "seed": (at("run", "seed", to=-1), "run.seed is negative"),
    "seconds": (at("run", "seconds", to=-1.0), "run.seconds is no duration"),
    "another": (at("verdicts", 0, "counts", to={"DISAGREES": 4}), "passed, and faulty has failed"),
    "less": (at("verdicts", 0, "counts", to={"AGREES": 1}), "verdicts"),
    "bin": (
        at("error_over_bound", 0, "histogram", 0, "cases", to=77),
        "error_over_bound of faulty",
    ),
    "bins": (at("error_over_bound", 0, "cases", to=77), "error_over_bound of faulty"),
    "broken": (at("frameworks", 0, "state", to="broken"), "run: passed, and faulty is broken"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_report_is_not_believed(name: str, passed: Any, tmp_path: Path) -> None:
    change, words = EDITS[name]
    content = copy.deepcopy(passed)
    content["frameworks"] = [each for each in content["frameworks"] if each["state"] != "broken"]
    assert read(content, tmp_path).passed
    change(content)
    with pytest.raises(UsageError, match="damaged: ") as caught:
        read(content, tmp_path)
    assert words in str(caught.value)


def test_a_failed_run_is_not_made_a_passed_one(failed: Any, tmp_path: Path) -> None:
    content = copy.deepcopy(failed)
    assert not read(content, tmp_path).passed
    content["run"]["exit_code"] = 0
    for change in (
        at("run", "failing_cases", to=0),
        at("verdicts", 0, "counts", to={"AGREES": content["run"]["cases"]}),
        at("frameworks", to=[each for each in content["frameworks"] if each["state"] != "broken"]),
    ):
        with pytest.raises(UsageError, match="run: passed"):
            read(content, tmp_path)
        change(content)
    with pytest.raises(UsageError, match=r"run: passed, and [0-9a-f]{16} fails"):
        read(content, tmp_path)
