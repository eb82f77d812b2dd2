"""One factor makes every wait longer, and nothing else."""

from __future__ import annotations

import pytest

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
