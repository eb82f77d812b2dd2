"""The verdicts catch small faults, which is measured; and what is measured is what it says."""

from __future__ import annotations

import faulty
import numpy as np
import pytest

from crosscheck.cli import main
from crosscheck.network.reference import gradients
from crosscheck.numbers.formats import format_of
from crosscheck.studies.peers import CHECKERS, accepts
from crosscheck.studies.power import gaussian_stack, measure, plant

CORRECT = faulty.Faulty(faulty.correct)


@pytest.mark.parametrize(("dtype", "exponent"), [("float64", 41), ("float32", 12)])
def test_at_least_95_percent_of_small_faults_are_caught(dtype: str, exponent: int) -> None:
    none, small = measure(CORRECT, (4, 8, 1), dtype=dtype, exponents=[exponent], count=1000)
    assert none.exponent is None
    assert none.caught == 0  # no false alarm
    assert small.cases > 400  # in the other cases the output is dead and all entries are zero
    assert small.probability >= 0.95


def test_larger_faults_are_caught_more_often_and_an_ulp_hardly_ever() -> None:
    shares = [
        power.probability
        for power in measure(CORRECT, (4, 8, 1), dtype="float64", exponents=[20, 45, 48, 52])[1:]
    ]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1.0
    assert shares[-1] < 0.2


def test_exactly_one_entry_of_each_case_is_made_wrong() -> None:
    stack = gaussian_stack((4, 8, 2), rows=2, count=50, dtype="float32", seed=3)
    right = CORRECT.gradients(stack)
    wrong, planted = plant(right, 10, format_of("float32"), np.random.default_rng(0))
    changed = np.zeros(50, dtype=int)
    for (name, one), (_, other) in zip(right.entries(), wrong.entries(), strict=True):
        differs = (one != other).reshape(50, -1)
        changed += differs.sum(axis=1)
        ratio = other[one != other] / one[one != other]
        assert np.all(np.abs(ratio - (1 + 2.0**-10)) <= 2.0**-22), name
    assert np.array_equal(changed, planted.astype(int))
    assert planted.mean() > 0.8


@pytest.mark.parametrize("checker", CHECKERS)
def test_the_frameworks_own_checkers_pass_a_correct_gradient_and_see_a_gross_fault(
    checker: str,
) -> None:
    stack = gaussian_stack((2, 3, 1), rows=1, count=20, dtype="float64", seed=1)
    right = gradients(stack)
    wrong, planted = plant(right, 0, format_of("float64"), np.random.default_rng(0))
    index = int(np.flatnonzero(planted)[0])
    assert accepts(checker, stack[index], right[index])
    assert not accepts(checker, stack[index], wrong[index])


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "--cases", "50"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| float64 | widths | rejects correct | 2^-5 |")
    assert lines[2].startswith("| crosscheck | 1, 1, 1 | 0 | 100 |")
    for dtype, start in (("float64", 0), ("float32", 7)):
        assert lines[start].startswith(f"| {dtype} | ")
        assert len({line.count("|") for line in lines[start : start + 6]}) == 1
