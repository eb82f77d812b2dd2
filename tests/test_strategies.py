"""Generated cases are what they promise to be, shrink well, and repeat with their seed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hypothesis
import numpy as np
import processes
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosscheck.cases.profiles import profile, settings
from crosscheck.cases.search import search
from crosscheck.cases.strategies import (
    BOUNDARY_KINDS,
    SHAPES,
    boundary_cases,
    seeded_stacks,
    smooth_cases,
)
from crosscheck.judge.decisions import GateClass
from crosscheck.judge.enclosed import Enclosed
from crosscheck.network.dense import Case
from crosscheck.network.exact import exact_forward
from crosscheck.numbers.formats import FORMATS, WORKING, format_of
from crosscheck.numbers.model import Model
from crosscheck.tools.errors import UsageError

CERTAIN_KINDS = list(BOUNDARY_KINDS)[:7]


def drawing(examples: int) -> hypothesis.settings:
    return hypothesis.settings(settings(), max_examples=examples, database=None, derandomize=True)


@pytest.mark.parametrize("flush", [False, True], ids=["gradual", "flush"])
@pytest.mark.parametrize("dtype", FORMATS)
def test_no_gate_of_a_smooth_case_is_open(dtype: str, flush: bool) -> None:
    signs: set[int] = set()

    @drawing(60)
    @given(smooth_cases(dtype=dtype))
    def check(case: Case) -> None:
        assert (case.network.widths, case.rows) in SHAPES
        enclosed = Enclosed(case, Model(format_of(dtype), flush=flush))
        assert not enclosed.has_open_gates
        for sign in enclosed.signs:
            if sign is not None:
                signs.update(np.unique(sign).tolist())

    check()
    assert signs == {-1, 1}


@pytest.mark.parametrize("dtype", FORMATS)
def test_no_gate_of_a_stack_is_open_and_rows_differ(dtype: str) -> None:
    mixed = 0

    @drawing(25)
    @given(seeded_stacks(count=40, dtype=dtype))
    def check(stack: Case) -> None:
        nonlocal mixed
        assert stack.count == 40
        enclosed = Enclosed(stack, Model(format_of(dtype)))
        assert not enclosed.has_open_gates.any()
        for sign in enclosed.signs:
            if sign is not None:
                mixed += int((sign.max(axis=-2) != sign.min(axis=-2)).sum())

    check()
    # Units that are active in some rows and inactive in others; float8 has no room between rows.
    assert (mixed > 100) == (dtype in WORKING)


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("kind", CERTAIN_KINDS)
def test_a_boundary_case_has_an_exact_kink_that_no_evaluation_can_miss(
    kind: str, dtype: str
) -> None:
    @drawing(25)
    @given(boundary_cases(kind=kind, dtype=dtype))
    def check(case: Case) -> None:
        exact = exact_forward(case)
        zeros = sum(
            int((z == 0).sum())
            for layer, z in enumerate(exact.pre_activations, start=1)
            if case.network.has_relu(layer)
        )
        assert zeros >= 1
        gates = Enclosed(case, Model(format_of(dtype))).open_gates
        assert any(gate.gate is GateClass.KINK for gate in gates)

    check()


def classes(kind: str, dtype: str) -> set[GateClass]:
    found: set[GateClass] = set()

    @drawing(80)
    @given(boundary_cases(kind=kind, dtype=dtype))
    def check(case: Case) -> None:
        model = Model(format_of(dtype), flush=kind == "subnormal")
        found.update(gate.gate for gate in Enclosed(case, model).open_gates)

    check()
    return found


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_cases_beside_a_kink_are_undecided_or_may_be_missed(dtype: str) -> None:
    assert {GateClass.UNDECIDED, GateClass.KINK} <= classes("beside", dtype)


@pytest.mark.parametrize("dtype", WORKING)
def test_tiny_pre_activations_are_normal_numbers_on_a_certain_side(dtype: str) -> None:
    form, found = format_of(dtype), set()
    limit = 2.0 ** (-3 if dtype == "float16" else -10)

    @drawing(60)
    @given(boundary_cases(kind="tiny", dtype=dtype))
    def check(case: Case) -> None:
        certain = Enclosed(case, Model(form)).signs
        for z, signs in zip(exact_forward(case).pre_activations, certain, strict=True):
            for value, sign in zip(z.ravel(), () if signs is None else signs.ravel(), strict=False):
                if 0 < abs(float(value)) < limit:
                    assert abs(float(value)) >= form.smallest_normal
                    found.add(int(sign))

    check()
    assert {-1, 1} <= found


def test_subnormal_cases_are_undecided_for_a_framework_that_flushes() -> None:
    assert GateClass.UNDECIDED in classes("subnormal", "float64")


def test_an_unknown_kind_or_dtype_is_refused() -> None:
    with pytest.raises(UsageError, match="dead unit"):
        boundary_cases(kind="ded unit")
    with pytest.raises(UsageError, match="float64"):
        smooth_cases(dtype="int8")


def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_failing_case_shrinks_to_something_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_folder(tmp_path, monkeypatch)

    def check(case: Case, new: bool) -> None:
        assert np.abs(case.weights[-1]).max() < 3.0

    finding = search(
        smooth_cases(), check, name="readable", settings=settings(), seed=4, examples=300
    )
    assert finding is not None
    case = finding.smallest
    assert np.abs(case.weights[-1]).max() == 3.0
    assert sum(int(np.count_nonzero(array)) for _, array in case.entries()) <= 8
    assert all(np.array_equal(array, np.rint(array)) for _, array in case.entries())


def test_a_search_repeats_with_its_seed_and_tells_new_cases_from_shrinking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(seed: int, limit: int, name: str) -> tuple[list[int], list[int]]:
        fresh: list[int] = []
        again: list[int] = []

        def check(number: int, new: bool) -> None:
            (fresh if new else again).append(number)
            assert number < limit

        search(st.integers(0, 10**6), check, name=name, settings=settings(), seed=seed, examples=50)
        return fresh, again

    in_folder(tmp_path, monkeypatch)
    assert drawn(1, 10**7, "a") == drawn(1, 10**7, "b")
    assert drawn(1, 10**7, "a") != drawn(2, 10**7, "a")
    fresh, again = drawn(3, 1000, "c")
    assert [number >= 1000 for number in fresh].count(True) == 1
    assert again
    # The failure is in the database now, and is tried first.
    assert drawn(4, 1000, "c")[0][0] == 1000


def test_a_failure_that_comes_and_goes_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_folder(tmp_path, monkeypatch)
    calls = 0

    def check(number: int, new: bool) -> None:
        nonlocal calls
        calls += 1
        assert calls != 3

    finding = search(st.integers(), check, name="moody", settings=settings(), seed=0, examples=20)
    assert finding is not None
    assert finding.flaky


def test_an_error_of_another_kind_is_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_folder(tmp_path, monkeypatch)

    def check(number: int, new: bool) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        search(st.integers(), check, name="other", settings=settings(), seed=0, examples=5)


def test_profiles_are_known_by_name() -> None:
    assert profile("quick").planned < profile("default").planned < profile("nightly").planned
    assert profile("nightly").stacks * profile("nightly").stack_size >= 10**6
    assert profile("default").limited(7).planned == 7


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shares_of_dtypes_are_all_that_was_asked_for(count: int) -> None:
    for examples in range(1, 40):
        whole = profile("default").limited(examples)
        parts = [whole.share(place, count) for place in range(count)]
        assert sum(part.planned for part in parts) == examples
    with pytest.raises(UsageError, match="quick, default, nightly"):
        profile("nigthly")


def test_under_ci_the_cases_still_differ_from_run_to_run() -> None:
    # Hypothesis's own profile for CI repeats the same cases and keeps no database.
    program = (
        "import hypothesis; from crosscheck.cases.profiles import settings; "
        "current = hypothesis.settings.get_current_profile_name(); s = settings(); "
        "print(current, s.derandomize, s.database is not None, s.deadline)"
    )
    done = processes.run(
        [sys.executable, "-c", program],
        env={**os.environ, "CI": "true"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.split() == ["ci", "False", "True", "None"]
