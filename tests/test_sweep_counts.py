"""Verdicts on the cases of a part are counted alike by both forms, and add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosscheck.cases.stream.settings import BLOCK
from crosscheck.judge.verdict import Kind
from crosscheck.run.spread import Spread
from crosscheck.run.sweep import counts
from crosscheck.run.sweep.counts import AGREES, KINDS, NAMES, Counts, counted

EDGES = np.exp2(np.arange(-80, 1) / 4.0)


def some_cases(frameworks: int, share: float, seed: int) -> tuple[Any, Any, Any]:
    """Verdicts, error / bound and families of a block; a share of the cases do not AGREE."""
    rng = np.random.default_rng(seed)
    shape = frameworks, BLOCK
    other = rng.random(shape) < share
    codes = np.where(other, rng.integers(0, len(KINDS), shape), AGREES).astype(np.int8)
    bounds = np.exp2(rng.uniform(-30.0, 1.0, shape))
    picked = np.concatenate(
        [EDGES, np.nextafter(EDGES, 0.0), np.nextafter(EDGES, 2.0), [0.0, 5e-324, 2.0, np.inf]]
    )
    bounds[:, ::3] = rng.choice(picked, bounds[:, ::3].shape)
    bounds[codes != AGREES] = np.nan  # not meaningful there
    return codes, bounds, rng.integers(0, len(NAMES), BLOCK).astype(np.int8)


def same(one: Counts, other: Counts) -> bool:
    return (
        one.kinds.tolist() == other.kinds.tolist()
        and one.smooth == other.smooth
        and [spread.counts.tolist() for spread in one.spreads]
        == [spread.counts.tolist() for spread in other.spreads]
        and [spread.largest for spread in one.spreads]
        == [spread.largest for spread in other.spreads]
    )


@pytest.mark.parametrize(("first", "last"), [(0, BLOCK), (17, 4096), (5, 6), (9, 9)])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.9, 1.0])
@pytest.mark.parametrize("frameworks", [0, 1, 3])
def test_both_forms_count_the_same(frameworks: int, share: float, first: int, last: int) -> None:
    given = some_cases(frameworks, share, seed=first + frameworks)
    assert same(counts._readable(*given, first, last), counts._compiled(*given, first, last))


@pytest.mark.parametrize("is_compiled", [True, False], ids=["compiled", "readable"])
def test_cases_are_counted_by_framework_family_and_verdict(
    is_compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counts, "is_compiled", lambda: is_compiled)
    codes, bounds, families = some_cases(2, 0.3, seed=1)
    found = counted(codes, bounds, families, 100, 3000)
    compared = 0
    wanted = np.zeros((2, len(NAMES), len(KINDS)), dtype=np.int64)
    for position in range(100, 3000):
        kinds = [KINDS[code] for code in codes[:, position]]
        compared += Kind.AGREES in kinds or Kind.DISAGREES in kinds
        for row, kind in enumerate(kinds):
            wanted[row, families[position], KINDS.index(kind)] += 1
    assert found.kinds.tolist() == wanted.tolist()
    assert found.smooth == compared
    for row, spread in enumerate(found.spreads):
        values = bounds[row, 100:3000][codes[row, 100:3000] == AGREES]
        alone = Spread()
        alone.add(values)
        assert spread.counts.tolist() == alone.counts.tolist()
        assert spread.total == len(values)
        assert spread.largest == values.max()
