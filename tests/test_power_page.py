"""reports/POWER.md: generated, current, and what it says of the catalogue."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crosscheck.cli import main
from crosscheck.report.kills import page
from crosscheck.studies.faults import matrix
from crosscheck.studies.faults.catalogue import CATALOGUE
from crosscheck.studies.faults.fault import Fault
from crosscheck.studies.faults.matrix import NO_FAULT

REPORTS = Path(__file__).resolve().parent.parent / "reports"


@pytest.fixture(scope="module")
def record() -> Any:
    return json.loads((REPORTS / "POWER.json").read_text("utf-8"))


def test_the_page_is_current(record: Any) -> None:
    assert record["catalogue"] == matrix.catalogue_digest(), "run nox -s power"
    assert list(record["rows"]) == [NO_FAULT.name, *CATALOGUE]
    for name, fault in CATALOGUE.items():
        row = record["rows"][name]
        assert {key: row[key] for key in matrix.expectations(fault)} == matrix.expectations(fault)
    assert (REPORTS / "POWER.md").read_text("utf-8") == page(record)


def test_no_road_rejects_the_gradient_by_hand_on_the_page(record: Any) -> None:
    assert set(record["rows"][NO_FAULT.name]["caught"].values()) == {None}


def test_nothing_that_must_be_caught_is_missed_on_the_page(record: Any) -> None:
    missed = [
        (name, road)
        for name, row in record["rows"].items()
        for road in row["must"]
        if row["caught"][road] is None
    ]
    assert missed == []


def test_the_default_profile_catches_all_of_the_catalogue_as_the_page_says() -> None:
    assert all("default" in fault.caught for fault in CATALOGUE.values())
    page = (REPORTS.parent / "docs" / "certificates.md").read_text("utf-8")
    assert f"A catalogue of {len(CATALOGUE)} wrong gradients" in page


def test_a_change_of_an_expectation_is_noticed() -> None:
    fault = CATALOGUE["doubled"]
    changed = {**CATALOGUE, "doubled": Fault(**{**vars(fault), "caught": ("sweep",)})}
    assert matrix.catalogue_digest(changed) != matrix.catalogue_digest()
    assert matrix.catalogue_digest(dict(CATALOGUE)) == matrix.catalogue_digest()


def test_an_unfinished_measurement_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = {name: CATALOGUE[name] for name in ("doubled", "42s")}
    asked: list[str] = []

    def row(name: str) -> dict[str, Any]:
        asked.append(name)
        if len(asked) == 3:
            raise KeyboardInterrupt
        caught = dict.fromkeys(("quick", "default", "sweep", "fixture", "kinks"))
        fault = faults.get(name, NO_FAULT)
        return {**matrix.expectations(fault), "caught": caught, "peers": {}}

    monkeypatch.setattr("crosscheck.studies.faults.catalogue.CATALOGUE", faults)
    monkeypatch.setattr(matrix, "row", row)
    words = ["power", "--catalogue", "--cases", "20", "--jobs", "1", "--report", str(tmp_path)]
    assert main(words) == 2
    assert asked == ["no fault", "doubled", "42s"]
    assert main(words) == 0
    assert asked == ["no fault", "doubled", "42s", "42s"]
    text = (tmp_path / "POWER.md").read_text("utf-8")
    assert "| doubled | the gradient is twice what it should be | **missed** |" in text
    assert "- 42s: quick" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["POWER.json", "POWER.md"]
