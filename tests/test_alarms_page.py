"""reports/ALARMS.md: generated, current, and without a false alarm."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from crosscheck.numbers.formats import WORKING
from crosscheck.studies.alarms.catalogue import CATALOGUE
from crosscheck.studies.alarms.measure import Key, Rate, Tally, read
from crosscheck.studies.alarms.page import page

REPORTS = Path(__file__).resolve().parent.parent / "reports"
ENOUGH, ENOUGH_SINGLY = 10**5, 10**3


@pytest.fixture(scope="module")
def record() -> tuple[dict[Key, Tally], list[Rate]]:
    return read(REPORTS / "alarms.json")


def test_the_page_is_current(record: tuple[dict[Key, Tally], list[Rate]]) -> None:
    assert (REPORTS / "ALARMS.md").read_text("utf-8") == page(*record)
    assert {name for name, _, _ in record[0]} == {*CATALOGUE, "torch", "tensorflow", "jax"}


def test_every_way_was_put_to_enough_cases(record: tuple[dict[Key, Tally], list[Rate]]) -> None:
    cases = Counter[tuple[str, str]]()
    for (name, dtype, _), tally in record[0].items():
        cases[name, dtype] += tally.kinds.total()
    for name, right in CATALOGUE.items():
        for dtype in right.dtypes:
            assert cases[name, dtype] >= (ENOUGH if right.is_vectorised else ENOUGH_SINGLY)
    assert all(cases[name, dtype] >= ENOUGH for name in ("torch", "jax") for dtype in WORKING)
    assert cases.total() >= 10**7


def test_no_right_gradient_was_accused(record: tuple[dict[Key, Tally], list[Rate]]) -> None:
    assert {key: tally.alarms for key, tally in record[0].items() if tally.accused} == {}
