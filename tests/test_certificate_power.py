"""What each certificate catches: measured as said, and written down as measured."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from crosscheck.cli import main
from crosscheck.report.certificates import page
from crosscheck.report.certificates_chart import chart
from crosscheck.studies.certificates.counts import Found
from crosscheck.studies.certificates.measure import measure
from crosscheck.studies.certificates.settings import GROUPS, QUICK, STRUCTURAL, Setting

REPORTS = Path(__file__).parent.parent / "reports"

FEW = replace(QUICK, entries=300, judged=0)


@pytest.fixture(scope="module")
def wide() -> Found:
    return measure(Setting(64, 2, 32, "float64"), FEW, seed=0)


def test_one_wrong_entry_of_a_wide_layer_is_seen_by_the_local_certificate_alone(
    wide: Found,
) -> None:
    counts = wide.of(GROUPS[0], 41)
    assert counts.planted == 300
    assert counts.local >= 0.98 * counts.planted
    assert counts.a_priori < 0.8 * counts.planted


def test_no_gross_fault_passes_a_certificate_at_width_64(wide: Found) -> None:
    for sort in STRUCTURAL:
        counts = wide.of(sort, None)
        assert counts.planted == counts.held == counts.looked > 0
        assert {counts.a_priori, counts.adjoint, counts.local, counts.unless_allowed} == {
            counts.planted
        }


def test_a_last_bit_is_no_fault_of_a_sum(wide: Found) -> None:
    form = wide.of(GROUPS[0], 48)
    assert form.local < 0.8 * form.planted


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_is_counted_is_what_the_door_says(dtype: str) -> None:
    found = measure(Setting(4, 2, 1, dtype), QUICK, seed=3)
    assert found.otherwise == 0
    assert found.rejected == 0
    assert dtype == "bfloat16" or found.judged > 10


def test_what_an_allowed_arithmetic_explains_is_counted_apart() -> None:
    few = replace(QUICK, judged=0)
    counts = measure(Setting(16, 2, 4, "float32"), few, seed=0).of("weights", 12)
    assert counts.unless_allowed < counts.local


def test_the_command_writes_a_page_and_a_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from crosscheck.studies.certificates import settings

    some = [Setting(4, 1, 1, "float64")]
    monkeypatch.setattr(settings, "settings", lambda *, quick: some)
    words = ["power", "--certificates", "--quick", "--report", str(tmp_path)]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "| 4 | 1 | 1 |" in told
    assert told in (tmp_path / "certificates.md").read_text("utf-8")
    ElementTree.fromstring((tmp_path / "certificates.svg").read_text("utf-8"))
    assert not (tmp_path / "certificates.unfinished.json").exists()


def test_what_was_begun_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from crosscheck.studies.certificates import run, settings

    some = [Setting(4, 1, rows, "float64") for rows in (1, 2)]
    monkeypatch.setattr(settings, "settings", lambda *, quick: some)
    asked = []

    def ended(setting: Setting, *rest: object) -> Found:
        asked.append(setting.rows)
        if asked == [1, 2]:
            raise KeyboardInterrupt
        return Found(setting, 0, (), 1, 1, 1, 0, 0, 0)

    monkeypatch.setattr(run, "measure", ended)
    words = ["power", "--certificates", "--quick", "--report", str(tmp_path)]
    with contextlib.suppress(KeyboardInterrupt):
        main(words)
    assert (tmp_path / "certificates.unfinished.json").exists()
    assert main(words) == 0
    assert asked == [1, 2, 2]


def test_the_committed_page_and_picture_are_those_of_the_record() -> None:
    record = json.loads((REPORTS / "certificates.json").read_text("utf-8"))
    found = [Found.from_json(each) for each in record["found"]]
    wanted = page(found, record["about"], record["words"], "certificates.svg")
    assert (REPORTS / "certificates.md").read_text("utf-8") == wanted
    assert (REPORTS / "certificates.svg").read_text("utf-8") == chart(found)
    assert sum(each.rejected + each.otherwise for each in found) == 0


def test_what_was_measured_is_what_is_promised() -> None:
    record = json.loads((REPORTS / "certificates.json").read_text("utf-8"))
    found = [Found.from_json(each) for each in record["found"]]
    for each in found:
        if each.setting.rows <= 32:
            one = each.of(
                GROUPS[0], {"float64": 41, "float32": 12, "bfloat16": 5}[each.setting.dtype]
            )
            assert one.local >= 0.99 * one.planted > 0, each.setting
        for sort in STRUCTURAL:
            counts = each.of(sort, None)
            assert counts.local == counts.unless_allowed == counts.planted, (each.setting, sort)
