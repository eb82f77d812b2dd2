"""One factor makes every wait longer, and nothing else."""

from __future__ import annotations

import pytest

from crosscheck.cli import main
from crosscheck.workers.patience import PATIENCE, patient

_NO_FACTORS = ("0", "-1", "nan", "inf", "much", "")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [(None, 4.0), ("3", 12.0), ("0.5", 2.0), *((each, 4.0) for each in _NO_FACTORS)],
)
def test_a_wait_is_so_many_times_as_long_as_is_said(
    said: str | None, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PATIENCE, raising=False)
    if said is not None:
        monkeypatch.setenv(PATIENCE, said)
    assert patient(4.0) == seconds


@pytest.mark.parametrize("said", ["0", "-1", "nan", "inf", "much"])
def test_what_is_no_factor_is_one_line_of_every_command(
    said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(PATIENCE, said)
    assert main(["functions"]) == 4
    assert f"CROSSCHECK_PATIENCE={said!r}: wanted a number above 0" in capsys.readouterr().err
    monkeypatch.setenv(PATIENCE, "")
    assert main(["functions"]) == 0
