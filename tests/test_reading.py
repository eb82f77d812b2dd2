"""A report that was written is read back, or refused in one line; Python and notebooks use it."""

from __future__ import annotations

import copy
import functools
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pages
import processes
import pytest
import sweeping

import crosscheck
from crosscheck import Report, UsageError
from crosscheck.cli import main

STORED = pages.report()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("reports/latest").mkdir(parents=True)
    Path("reports/latest/report.json").write_text(json.dumps(STORED))
    return tmp_path


def test_a_report_is_read_from_its_file_or_its_folder(folder: Path) -> None:
    for source in ("reports/latest", Path("reports/latest/report.json")):
        report = Report.read(source)
        assert report.document == STORED
        assert not report.passed
        assert repr(report) == "<Report failed: at least one framework disagrees; 10 cases>"


def test_a_notebook_shows_the_first_screen_and_nothing_of_it_leaks(folder: Path) -> None:
    text = Report.read("reports/latest")._repr_html_()
    root = pages.read(text)
    assert "✗ Failed" in root.text
    assert "doubled" in root.text
    assert "8 disagree" in root.text
    assert not [e for e in root.all() if "id" in e.attributes or e.name in ("html", "body", "a")]
    (style,) = root.all("style")
    rules = str(style.children[0]).split("}")
    selectors = [rule.split("{")[-2].split("*/")[-1] for rule in rules if rule.count("{")]
    assert len(selectors) > 100
    for selector in selectors:
        assert all(".crosscheck" in each for each in re.split(r",(?![^(]*\))", selector))


def damaged(change: Any) -> str:
    """A report that is changed, with a checksum that fits."""
    document = copy.deepcopy(STORED)
    change(document)
    return sweeping.resealed(document)


def drop_cases(document: Any) -> None:
    del document["run"]["cases"]


def wrong_type(document: Any) -> None:
    document["cases"][0]["verdicts"][0]["gates"] = "none"


def drop_detail(document: Any) -> None:
    del document["cases"][0]["verdicts"][0]["detail"]


def other_case(document: Any) -> None:
    document["cases"][0]["case"]["y"] = [[17]]


def half_case(document: Any) -> None:
    del document["cases"][0]["case"]["reduction"]


def other_reference(document: Any) -> None:
    del document["cases"][0]["reference"]["b2"]


def wrong_case(document: Any) -> None:
    document["cases"][0]["case"]["weights"] = [[[10**400]]]


def deep_field(document: Any) -> None:
    document["cases"][0]["reference"]["J"] = json.loads("[" * 300 + "]" * 300)


def newer(document: Any) -> None:
    document["schema_version"] = 99


BAD = {
    "empty": ("", "not a report: Expecting value"),
    "cut": (json.dumps(STORED)[:500], "not a report: "),
    "binary": ("\x00\x01", "not a report: "),
    "deep": ("[" * 100_000, "not a report: nested too deeply"),
    "a list": ("[1, 2]", "no field schema_version"),
    "foreign": ('{"version": 3}', "no field schema_version"),
    "newer": (damaged(newer), "version 99, and this crosscheck reads version 4"),
    "older": (json.dumps({**STORED, "schema_version": 3}), "version 3, and this crosscheck reads"),
    "edited": (
        json.dumps({**STORED, "cases": []}),
        "damaged: its checksum is not that of the rest",
    ),
    "a field is gone": (damaged(drop_cases), "damaged: run: cases is missing"),
    "a field is wrong": (damaged(wrong_type), "cases[0].verdicts[0].gates: 'none' is not a list"),
    "a default is gone": (damaged(drop_detail), "cases[0].verdicts[0]: detail is missing"),
    "a case of its own": (damaged(other_case), "damaged: cases[0]: the case has the key "),
    "half a case": (damaged(half_case), "cases[0].case: a case, but not as reports hold it"),
    "another reference": (damaged(other_reference), "cases[0]: the reference does not fit"),
    "a case is none": (damaged(wrong_case), "is a whole number of more than 64 bits"),
    "a deep field": (damaged(deep_field), "nested too deeply"),
}


@pytest.mark.parametrize(("content", "complaint"), BAD.values(), ids=BAD)
def test_what_is_no_report_is_refused_in_one_line(
    content: str, complaint: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.json").write_text(content)
    with pytest.raises(UsageError, match=r"bad\.json"):
        Report.read("bad.json")
    assert main(["report", "bad.json"]) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("crosscheck: bad.json: ")
    assert complaint in captured.err
    assert len(captured.err) < 400
    assert not Path("report.html").exists()


STRANGE: tuple[Any, ...] = (
    *(None, True, -1, 10**30, 1.5, "", "x" * 300, "nan", "KINK", [], {}, [[]], [1, 2]),
    *({"hex": "nan", "decimal": None}, {"hex": "-0x1.8000000000000p+3", "decimal": -12.0}),
)


def places(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in what JSON holds."""
    if before:
        yield before
    pairs: Any = enumerate(value) if isinstance(value, list) else ()
    for key, each in value.items() if isinstance(value, dict) else pairs:
        yield from places(each, (*before, key))


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_changed_a_report_is_refused_or_shown(seed: int, tmp_path: Path) -> None:
    rng, path = random.Random(seed), tmp_path / "report.json"
    everywhere = list(places(STORED))
    complaints = []
    for _ in range(20):
        document: Any = copy.deepcopy(STORED)
        *to, last = rng.choice(everywhere)
        place = functools.reduce(lambda inside, key: inside[key], to, document)
        if rng.random() < 0.2:
            del place[last]
        else:
            place[last] = copy.deepcopy(rng.choice(STRANGE))
        path.write_text(sweeping.resealed(document))
        try:
            report = Report.read(path)
        except UsageError as error:
            complaints.append(str(error))
        else:
            assert report.html()
    assert len(complaints) > 10
    assert all("\n" not in each and len(each) < 400 for each in complaints)


def test_without_a_report_it_is_said_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 4
    assert "reports/latest: no such file" in capsys.readouterr().err
    Path("reports/latest").mkdir(parents=True)
    assert main(["report"]) == 4
    error = capsys.readouterr().err
    assert "report.json: no such file; wanted a report.json, which 'crosscheck run' writes" in error


@pytest.mark.parametrize("source", [[], ["reports/latest"], ["reports/latest/report.json"]])
def test_the_command_writes_the_page_beside_the_report(
    source: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", *source]) == 0
    assert capsys.readouterr().out == f"report: {Path('reports/latest/report.html')}\n"
    assert (
        Path("reports/latest/report.html").read_text("utf-8")
        == Report.read(folder / "reports/latest").html()
    )


def test_the_command_writes_where_it_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", "-o", "deep/page.html"]) == 0
    capsys.readouterr()
    assert main(["report", "-o", "-"]) == 0
    printed = capsys.readouterr().out
    assert printed == Path("deep/page.html").read_text("utf-8")
    assert printed.startswith("<!DOCTYPE html>")
    assert not Path("reports/latest/report.html").exists()
    assert main(["report", "-o", "deep"]) == 4


def test_a_run_writes_the_page_that_the_command_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["run", "--case", "worked-example", "--frameworks", "torch"]
    assert main([*words, "--report", "reports/latest"]) == 0
    assert "report: reports/latest/report.html" in capsys.readouterr().out
    page = Path("reports/latest/report.html")
    written = page.read_bytes()
    page.unlink()
    assert main(["report"]) == 0
    assert page.read_bytes() == written


def test_neither_the_class_nor_the_help_imports_the_template_engine() -> None:
    program = (
        "import sys, crosscheck\n"
        "from crosscheck.cli import main\n"
        "crosscheck.Report\n"
        "main(['report', '--help'])\n"
        "heavy = {'jinja2', 'jsonschema', 'torch', 'tensorflow', 'jax'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = processes.run([sys.executable, "-c", program], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert "crosscheck report artifacts/report.json -o nightly.html" in done.stdout
    assert "Report" in crosscheck.__all__
