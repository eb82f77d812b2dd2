"""What `crosscheck diff` says of two reports and of two tables, and which files it refuses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from crosscheck.cli import main
from crosscheck.numbers.accuracy import RECORD, read_record, write_record
from crosscheck.report.differences import difference
from crosscheck.report.differences.difference import Change, groups_of
from crosscheck.report.json_ import KIND
from crosscheck.studies.conventions.baseline import TABLE
from crosscheck.studies.conventions.table import Cell, Row, Wanted, read_table, write_table
from crosscheck.studies.operators import measure as operators
from crosscheck.tools.errors import UsageError
from crosscheck.tools.records import Decimal
from crosscheck.tools.sealed import bare

REPORTS = Path(__file__).parents[1] / "reports"


pytestmark = pytest.mark.xdist_group("diff")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of one case and its kinks."""
    folder = tmp_path_factory.mktemp("report")
    words = ["run", "--case", "worked-example", "--frameworks", "torch", "--report", str(folder)]
    assert main(words) == 0
    return folder


def edited(report: Path, to: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    content = bare(json.loads((report / "report.json").read_text("utf-8")))
    change(content)
    to.write_text(json.dumps(KIND.sealed(content)), "utf-8")
    return to


@pytest.mark.parametrize("name", [TABLE, RECORD, "operators.json"])
def test_a_table_does_not_differ_from_itself(name: str, capsys: Any) -> None:
    assert main(["diff", str(REPORTS / name), str(REPORTS / name)]) == 0
    assert "no difference, of " in capsys.readouterr().out


def test_a_report_does_not_differ_from_itself(report: Path) -> None:
    found = difference(report, report / "report.json")
    assert (found.kind, found.same, found.rows, found.notes) == ("report", True, 0, ())


def test_two_formulations_differ_by_what_they_do_at_kinks(
    report: Path, tmp_path: Path, capsys: Any
) -> None:
    def clamp(content: dict[str, Any]) -> None:
        for each in (*content["frameworks"], *content["relu_boundary"]):
            each["formulation"] = "clamp"
        for each in content["relu_boundary"]:
            each["slope"] = "1"

    assert main(["diff", str(report), str(edited(report, tmp_path / "it.json", clamp))]) == 1
    out = capsys.readouterr().out
    assert "not the same torch: relu in mode eager and clamp in mode eager" in out
    assert "kink torch; relu; eager; kink: 0 -> not there" in out
    assert "kink torch; clamp; eager; kink: not there -> 1" in out


def test_verdicts_cases_and_the_end_are_compared(report: Path, tmp_path: Path) -> None:
    def fails(content: dict[str, Any]) -> None:
        content["run"] |= {"exit_code": 1, "reason": "it fails", "failing_cases": 1}
        (counts,) = (e for e in content["verdicts"] if e["framework"] == "torch")
        counts["counts"] = {"DISAGREES": 1, "KINK": 2}
        for verdict in content["cases"][0]["verdicts"]:
            if verdict["framework"] == "torch":
                verdict |= {"verdict": "DISAGREES", "fails": True}

    found = difference(report, edited(report, tmp_path / "report.json", fails))
    assert set(found.lines) == {
        "exit code: 0 (every gradient is explained) -> 1 (it fails)",
        "verdicts torch; given; AGREES: 1 -> not there",
        "verdicts torch; given; DISAGREES: not there -> 1",
        f"case torch; {_first(report)}: AGREES -> DISAGREES, fails",
    }
    assert found.rows == 4


def _first(report: Path) -> str:
    key = json.loads((report / "report.json").read_text("utf-8"))["cases"][0]["key"]
    return str(key)


def test_another_seed_is_told_and_is_no_difference(report: Path, tmp_path: Path) -> None:
    def seeded(content: dict[str, Any]) -> None:
        content["run"]["seed"] = 12

    found = difference(report, edited(report, tmp_path / "report.json", seeded))
    assert found.same
    assert found.notes == ("not the same seed: None and 12",)


def test_of_conventions_what_both_have_is_compared(tmp_path: Path, capsys: Any) -> None:
    table = read_table(REPORTS / TABLE).part(["torch", "jax"], Wanted.of(["clamp", "relu"]))
    write_table(table, tmp_path / "old.json")
    cells = {
        key: Row({point: Cell(cell.value, "0") for point, cell in row.cells.items()})
        for key, row in table.rows.items()
        if key.formulation == "clamp" and key.unit == "relu" and key.mode != "compile"
    }
    rows = {
        key: dataclasses.replace(cells.get(key, row), versions="torch 2.14.0")
        for key, row in table.rows.items()
        if key.framework == "torch"
    }
    new = dataclasses.replace(table, rows=rows)
    write_table(new, tmp_path / "new.json")
    assert main(["diff", str(tmp_path / "old.json"), str(tmp_path / "new.json"), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["versions"]["torch"] == ["torch 2.13.0+cpu", "torch 2.14.0"]
    assert found["versions"]["jax"][1] == ""
    assert "torch clamp: slope 1 -> 0 at " in "\n".join(found["changed"])
    assert any(line.startswith("now: torch clamp: modes") for line in found["changed"])
    assert found["differences"] > sum(group["rows"] for group in found["groups"]) > 4


def test_of_accuracy_a_larger_error_is_told(tmp_path: Path) -> None:
    record = read_record(REPORTS / RECORD)
    rows = [
        dataclasses.replace(row, error=Decimal(row.error * 2))
        if row.key.function == "tanh" and row.key.framework == "jax" and row.error
        else row
        for row in record.rows
    ]
    write_record(dataclasses.replace(record, rows=tuple(rows)), tmp_path / RECORD)
    found = difference(REPORTS / RECORD, tmp_path / RECORD)
    assert found.rows > len(found.lines) == 1
    assert found.lines[0].startswith("jax tanh, tanh', tanh'': larger error; eager, jit; float64")


def test_of_operators_a_verdict_that_is_another_is_told(tmp_path: Path) -> None:
    table = operators.stored(REPORTS / "operators.json")
    cells = [
        dataclasses.replace(cell, verdicts={"DISAGREES": 1}, wrong="it is")
        if cell.operator == "gelu" and cell.framework == "torch" and cell.verdicts
        else cell
        for cell in table.cells
    ]
    operators.write(tmp_path / "new.json", dataclasses.replace(table, cells=tuple(cells)))
    found = difference(REPORTS / "operators.json", tmp_path / "new.json")
    assert found.rows == sum(a != b for a, b in zip(table.cells, cells, strict=True)) > 0
    assert all(line.endswith("-> DISAGREES 1 (it is)") for line in found.lines)
    assert len(found.lines) < found.rows


def test_long_lists_are_cut_in_lines_and_whole_in_json() -> None:
    (group,) = groups_of(Change("case", ("jax", str(at)), "AGREES", "KINK") for at in range(9))
    assert str(group) == "case jax; 0, 1, 2, 3, 4, 5 and 3 more: AGREES -> KINK"
    assert group.as_json()["where"][1] == [*map(str, range(9))]


def files(folder: Path) -> Sequence[tuple[list[Path], str]]:
    written = {"text": "no JSON", "list": "[]", "object": "{}"}
    for name, text in written.items():
        (folder / name).write_text(text)
    write_table(read_table(REPORTS / TABLE).part(["numpy"]), folder / "numpy.json")
    write_table(read_table(REPORTS / TABLE).part(["sympy"]), folder / "sympy.json")
    table = REPORTS / TABLE
    return [
        ([folder / "none.json", table], "no such file"),
        ([folder / "text", table], "not a report or a table"),
        ([folder / "list", table], "no report and no table"),
        ([table, folder / "object"], "no report and no table"),
        ([table, REPORTS / RECORD], "is a record of accuracy"),
        ([REPORTS, table], "no such file"),
        ([folder / "numpy.json", folder / "sympy.json"], "no framework is in both"),
    ]


def test_what_cannot_be_compared_is_refused_in_one_line(tmp_path: Path, capsys: Any) -> None:
    for paths, words in files(tmp_path):
        assert main(["diff", *map(str, paths)]) == 4
        err = capsys.readouterr().err
        assert words in err
        assert "wanted two" in err
        assert err.count("\n") == 1


def test_a_damaged_report_is_refused(report: Path, tmp_path: Path) -> None:
    text = (report / "report.json").read_text("utf-8")
    (tmp_path / "report.json").write_text(text.replace('"torch"', '"trch"', 1))
    with pytest.raises(UsageError, match="checksum"):
        difference(report, tmp_path)
