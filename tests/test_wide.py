"""Networks at the sizes at which kernels change: what they are, and the faults that need them."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import faulty
import numpy as np
import pytest

from crosscheck.cases.profiles import profile
from crosscheck.cases.shrink import shrink
from crosscheck.cases.strategies import SHAPES
from crosscheck.cases.wide import WIDE_SHAPES, visits, wide_case, wide_stack
from crosscheck.judge.enclosed import Enclosed
from crosscheck.judge.vacuity import unchecked
from crosscheck.judge.verdict import Kind
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.formats import WORKING, format_of
from crosscheck.numbers.model import Model
from crosscheck.run.checker import Checker
from crosscheck.run.checking import compare_implementations
from crosscheck.run.crosscheck import check_generated
from crosscheck.run.events import CaseChecked, Event


@pytest.fixture(autouse=True)
def _own_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_shapes_lie_around_the_sizes_at_which_kernels_change() -> None:
    shapes = [*SHAPES, *WIDE_SHAPES]
    assert len(set(shapes)) == len(shapes) <= 24
    widths = {width for each, _ in shapes for width in each}
    assert widths >= {7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65}
    assert {rows for _, rows in shapes} >= {1, 2, 3, 5, 7, 8, 9, 15, 16, 17}
    pairs = [pair for each, _ in shapes for pair in itertools.pairwise(each)]
    square = {fan_in for fan_in, units in pairs if fan_in == units}
    assert square >= {9, 17, 32, 64}
    for start in range(len(WIDE_SHAPES)):
        four = [WIDE_SHAPES[(start + each) % len(WIDE_SHAPES)] for each in range(4)]
        assert max(rows for _, rows in four) > 8
        for size in (4, 8, 16):
            assert any(w > size and w % size for each, _ in four for w in each)


@pytest.mark.parametrize("dtype", WORKING)
def test_wide_cases_have_certain_gates_and_arrays_that_are_checked(dtype: str) -> None:
    forms: set[object] = set()
    for seed, shape in enumerate(WIDE_SHAPES):
        stack = wide_stack(shape, seed, 4, dtype)
        assert (stack.network.widths, stack.rows, stack.count) == (*shape, 4)
        enclosed = Enclosed(stack, Model(format_of(dtype)))
        assert not enclosed.has_open_gates.any()
        bounds = enclosed.certain_gradients
        assert not any(empty.all() for empty in unchecked(bounds, stacked=True).values())
        if stack.network.reduction == "sum":  # whole numbers are compared bit for bit
            assert any(((each.bound == 0) & (each.high != 0)).any() for _, each in bounds.entries())
        forms.add((stack.network.output, stack.network.reduction))
        forms.update(bias is not None for bias in stack.biases)
    assert len(forms) == 6  # each output with each reduction, with bias and without


def test_the_same_seed_gives_the_same_case_and_another_another() -> None:
    for shape in WIDE_SHAPES[:3]:
        assert wide_case(shape, 5, "float32").key == wide_case(shape, 5, "float32").key
        assert wide_case(shape, 5, "float32").key != wide_case(shape, 6, "float32").key


def test_four_rounds_meet_every_shape_as_case_and_as_stack_in_both_dtypes() -> None:
    found = {visit[:3] for visit in visits(48, ["float64", "float32"], 0)}
    assert len(found) == 4 * len(WIDE_SHAPES)
    quick = visits(12, ["float64", "float32"], 0)
    assert {shape for shape, *_ in quick} == set(WIDE_SHAPES)
    assert {visit[1:3] for visit in quick} == {
        (dtype, stacked) for dtype in ("float64", "float32") for stacked in (False, True)
    }


class Faulty(faulty.Faulty):
    dtypes = ("float64", "float32")


@pytest.mark.parametrize("name", faulty.WIDE_FAULTS)
def test_the_wide_cases_of_the_quick_profile_find_faults_of_sizes(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crosscheck.run.checker.ATTEMPTS", 40)  # how small is tested below
    events: list[Event] = []
    checker = Checker([Faulty(faulty.WIDE_FAULTS[name])], events.append)
    alone = replace(
        profile("quick"), smooth_examples=0, boundary_examples=0, stacks=0, stack_size=0
    )
    check_generated(checker, alone, seed=0, dtypes=["float64"])
    assert checker.failed
    smallest = [event for event in events if isinstance(event, CaseChecked) and event.shrunk]
    assert smallest
    for event in smallest:
        assert event.verdicts[0].kind is Kind.DISAGREES


def test_a_right_gradient_passes_at_all_sizes() -> None:
    events: list[Event] = []
    checker = Checker([Faulty(faulty.correct)], events.append)
    for shape, dtype, stacked, seed in visits(48, ["float64", "float32"], 3):
        if stacked:
            checker.check_stack(wide_stack(shape, seed, 2, dtype), "smooth", "wide")
        else:
            checker.check_case(wide_case(shape, seed, dtype), "smooth", "wide")
    assert not checker.failed
    assert checker.smooth == 24 * 2 + 24
    assert not checker.coverage.never()


@pytest.mark.parametrize("name", ["rows_from_8", "tail_of_16", "transposed_square"])
def test_functions_of_ones_own_are_put_to_wide_networks_too(name: str) -> None:
    def own(case: Case) -> Gradients:
        return Faulty(faulty.WIDE_FAULTS[name]).gradients(case)

    found = compare_implementations(numpy=own, profile="quick", dtypes=["float64"])
    assert not found.passed


def nonzero(case: Case) -> int:
    return sum(int(np.count_nonzero(array)) for _, array in case.entries())


def test_a_wide_case_is_shrunk_within_its_budget_to_what_the_fault_needs() -> None:
    calls = 0

    def fails(case: Case) -> bool:
        nonlocal calls
        calls += 1
        return case.network.widths[0] >= 33 and bool(case.x[..., 32].any())

    case = wide_case(((65, 65, 8), 17), 1, "float32")
    smallest = shrink(case, fails, attempts=200)
    assert calls <= 200
    assert (smallest.network.widths, smallest.rows) == ((33, 1, 1), 1)
    assert nonzero(smallest) <= 40


def test_shrinking_stops_at_its_budget() -> None:
    calls = 0

    def fails(case: Case) -> bool:
        nonlocal calls
        calls += 1
        return True

    shrink(wide_case(((65, 65, 8), 17), 1, "float32"), fails, attempts=7)
    assert calls == 7
