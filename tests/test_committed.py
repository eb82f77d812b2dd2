"""What is committed under reports/ is loaded whole: every cell as it is stored, and no other."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from crosscheck.report.kills import page as power_page
from crosscheck.studies.alarms import measure as alarms
from crosscheck.studies.bench.batches import Plan, Rate
from crosscheck.studies.bench.commands import Growth, StartUp
from crosscheck.studies.bench.local import Local
from crosscheck.studies.bench.storms import Storm
from crosscheck.studies.bench.table import as_json, as_markdown
from crosscheck.studies.conventions.expected import read_expected, write_expected
from crosscheck.studies.conventions.table import Key, Row, read_table, write_table
from crosscheck.tools.errors import UsageError

REPORTS = Path(__file__).resolve().parent.parent / "reports"

T = TypeVar("T")


def stored(name: str) -> Any:
    return json.loads((REPORTS / name).read_text("utf-8"))


def test_every_convention_is_loaded_as_it_is_stored() -> None:
    content, table = stored("conventions.json"), read_table(REPORTS / "conventions.json")
    cells = 0
    rows = dict(table.rows)
    for framework, units in content["conventions"].items():
        for unit, formulations in units.items():
            for formulation, modes in formulations.items():
                for mode, dtypes in modes.items():
                    for dtype, found in dtypes.items():
                        row = rows.pop(Key(framework, unit, formulation, mode, dtype))
                        versions = content["versions"][framework]
                        if isinstance(found, dict):
                            versions, found = found["versions"], found["found"]
                        assert row.versions == versions
                        cells += _compare(row, found, content["points"].get(unit, []))
    assert rows == {}
    assert cells > 10_000
    assert table.versions == content["versions"]
    assert table.environment == content["environment"]


def _compare(row: Row, found: Any, points: list[str]) -> int:
    """Hold a row to what is stored of it; how many cells it has."""
    if isinstance(found, str):
        assert (row.cells, f"UNSUPPORTED: {row.unsupported}") == ({}, found)
        return 0
    assert list(row.cells) == points
    for cell, text in zip(row.cells.values(), found, strict=True):
        if text.startswith("UNSUPPORTED: "):
            assert (cell.unsupported, cell.value) == (text.removeprefix("UNSUPPORTED: "), "")
            continue
        assert cell.unsupported == ""
        pairs = [f"{value} {slope}" for value, slope in cell.elsewhere]
        assert [f"{cell.value} {cell.slope}", *pairs] == text.split(" | ")
    return len(found)


def test_the_conventions_are_written_back_byte_for_byte(tmp_path: Path) -> None:
    write_table(read_table(REPORTS / "conventions.json"), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (REPORTS / "conventions.json").read_bytes()


def test_every_expected_divergence_is_loaded_as_it_is_stored(tmp_path: Path) -> None:
    expected = read_expected(REPORTS / "divergences.json")
    assert [vars(each) for each in expected] == stored("divergences.json")
    write_expected(expected, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (REPORTS / "divergences.json").read_bytes()


def test_the_counts_of_right_gradients_are_loaded_as_they_are_stored(tmp_path: Path) -> None:
    tallies, rates = alarms.read(REPORTS / "alarms.json")
    content = stored("alarms.json")
    assert len(tallies) == len(content["counts"])
    for row in content["counts"]:
        tally = tallies[row.pop("implementation"), row.pop("dtype"), row.pop("stream")]
        assert tally.kinds == Counter(row.pop("verdicts"))
        assert {key: vars(tally)[key] for key in row} == row
    assert [vars(rate) for rate in rates] == content["peers"]
    alarms.write(tmp_path / "again", tallies, rates)
    assert (tmp_path / "again").read_bytes() == (REPORTS / "alarms.json").read_bytes()


def made(of: type[T], row: Any) -> T:
    """A record of a study from what is stored of it."""
    names = {field.name for field in dataclasses.fields(of)}  # type: ignore[arg-type]
    return of(**{key: tuples(value) for key, value in row.items() if key in names})


def tuples(value: Any) -> Any:
    return tuple(map(tuples, value)) if isinstance(value, list) else value


def test_the_benchmark_is_loaded_and_written_back_byte_for_byte() -> None:
    content = stored("bench.json")
    measured: Any = (
        made(Plan, content["plan"]),
        [made(Rate, row) for row in content["rates"]],
        [made(Growth, row) for row in content["growth"]],
        [made(Storm, row) for row in content["storms"]],
        [made(StartUp, row) for row in content["start_up"]],
        [made(Local, row) for row in content.get("local", [])],
        content["environment"],
    )
    text = json.dumps(as_json(*measured), indent=1, allow_nan=False) + "\n"
    assert text == (REPORTS / "bench.json").read_text("utf-8")
    assert as_markdown(*measured) == (REPORTS / "bench.md").read_text("utf-8")


def test_what_was_measured_of_power_gives_its_page_and_its_file_again() -> None:
    content = stored("POWER.json")
    assert power_page(content) == (REPORTS / "POWER.md").read_text("utf-8")
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    assert text == (REPORTS / "POWER.json").read_text("utf-8")


@pytest.mark.parametrize("name", ["conventions.json", "divergences.json"])
def test_a_cell_that_is_changed_is_loaded_changed(name: str, tmp_path: Path) -> None:
    text = (REPORTS / name).read_text("utf-8")
    path = tmp_path / name
    path.write_text(text.replace(": nan 0", ": nan 5", 1).replace('"nan 0"', '"nan 5"', 1))
    read: Any = read_table if name == "conventions.json" else read_expected
    assert path.read_text() != text
    assert read(path) != read(REPORTS / name)


@pytest.mark.parametrize("text", ["[" * 10**5, '{"format": ' + '["a"' * 300 + "]" * 300 + "}"])
@pytest.mark.parametrize("read", [read_table, read_expected])
def test_a_file_that_is_nested_deeply_is_refused_in_one_line(
    read: Callable[[Path], object], text: str, tmp_path: Path
) -> None:
    (tmp_path / "deep.json").write_text(text)
    with pytest.raises(UsageError, match=r"deep\.json: .*wanted ") as caught:
        read(tmp_path / "deep.json")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400 + len(str(tmp_path))
