"""Every wrong gradient of the catalogue is caught where it must be, and the page says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.compare import Judge
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.verdict import fails
from crosscheck.network.dense import Case
from crosscheck.studies import peers
from crosscheck.studies.faults.catalogue import CATALOGUE
from crosscheck.studies.faults.fault import Fault, Road
from crosscheck.studies.faults.handwritten import ROLES, HandWritten
from crosscheck.studies.faults.planted import Planted, PlantedIn, open_gates
from crosscheck.studies.faults.roads import travel
from crosscheck.studies.faults.storms import kink_cases
from crosscheck.studies.power import gaussian_stack

CHEAP: tuple[Road, ...] = ("kinks", "sweep", "fixture", "quick", "default")
"""The roads, those first on which a fault is caught in the shortest time."""


def cheapest(fault: Fault) -> Road:
    return next(road for road in CHEAP if road in fault.caught)


def shortened() -> Iterator[Any]:
    """All faults; of those that a sweep finds, in seconds each, the first of a kind are short."""
    kinds: set[str] = set()
    for fault in CATALOGUE.values():
        is_long = cheapest(fault) == "sweep" and fault.kind in kinds
        kinds |= {fault.kind} if cheapest(fault) == "sweep" else set()
        marks = [pytest.mark.long] if is_long else []
        yield pytest.param(fault, id=fault.name, marks=marks)


@pytest.mark.parametrize("fault", list(shortened()))
def test_a_wrong_gradient_is_caught_on_the_cheapest_road(fault: Fault) -> None:
    assert travel(cheapest(fault), fault) is not None


# The catalogue


def test_the_catalogue_is_large_and_every_class_is_in_kink_cases_and_storms_too() -> None:
    kinds = {fault.kind for fault in CATALOGUE.values()}
    assert sum(not fault.within for fault in CATALOGUE.values()) >= 80
    for within in ("kinks", "storms"):
        struck = {fault.kind for fault in CATALOGUE.values() if fault.within == within}
        # The slopes at kinks are in kink cases anyway, and NaN leaves no kink to look at.
        assert struck == kinds - {"slope", "NaN and infinity"}


@pytest.mark.parametrize("fault", CATALOGUE.values(), ids=lambda fault: fault.name)
def test_a_fault_says_what_it_is(fault: Fault) -> None:
    assert CATALOGUE[fault.name] is fault
    assert fault.role in ROLES
    assert fault.caught
    assert len(fault.caught) == 5 or fault.why
    assert "|" not in fault.name + fault.says + fault.why


# The pass that faults are planted in


@pytest.mark.parametrize("dtype", HandWritten.dtypes)
@pytest.mark.parametrize("widths", [(4, 8, 1), (5, 9, 9, 3)])
def test_without_a_fault_the_gradient_by_hand_is_right(dtype: str, widths: tuple[int, ...]) -> None:
    stack = gaussian_stack(widths, rows=5, count=40, dtype=dtype, seed=3)
    question = judge(stack, [Answer(HandWritten().gradients(stack))])
    assert not any(fails(question.verdict(0, index)) for index in range(40))


def quick_storms() -> Iterator[tuple[str, Case]]:
    yield from (pair for pair in kink_cases(dtype="float32") if "(3, 4, 2)" in pair[0])


def test_without_a_fault_the_gradient_by_hand_passes_at_kinks() -> None:
    verdicts = [
        Judge(case).verdict(HandWritten().gradients(case), framework="")
        for _, case in quick_storms()
    ]
    assert not any(map(fails, verdicts))


def test_a_stack_is_answered_as_its_cases_are() -> None:
    stack = gaussian_stack((3, 4, 2), rows=3, count=4, dtype="float64", seed=1)
    together = HandWritten().gradients(stack)
    for index in range(4):
        alone = HandWritten().gradients(stack[index])
        for (name, one), (_, other) in zip(alone.entries(), together[index].entries(), strict=True):
            assert np.array_equal(one, other), name


def test_a_fault_within_kinks_strikes_there_alone() -> None:
    smooth = gaussian_stack((3, 4, 2), rows=3, count=20, dtype="float64", seed=1)
    planted = Planted(CATALOGUE["doubled, at kinks"])
    right = HandWritten().gradients(smooth)
    assert np.array_equal(planted.gradients(smooth).x, right.x)
    struck = 0
    for _, case in quick_storms():
        found, _ = open_gates(case)
        if found[0]:
            right, wrong = HandWritten().gradients(case), planted.gradients(case)
            assert np.array_equal(wrong.x, 2 * right.x, equal_nan=True)
            struck += 1
    assert struck >= 4


@pytest.mark.parametrize("name", ["doubled", "one buffer for db", "dx upside down", "42s"])
def test_a_fault_in_the_answer_is_caught_in_a_real_framework(name: str) -> None:
    (torch,), _ = open_frameworks(["torch"])
    planted = PlantedIn(torch, CATALOGUE[name])
    cases = [case for _, case in kink_cases(dtype="float32") if case.network.depth > 2]
    right = [Judge(case).verdict(torch.gradients(case), framework="") for case in cases[:4]]
    wrong = [Judge(case).verdict(planted.gradients(case), framework="") for case in cases[:4]]
    assert not any(map(fails, right))
    assert any(map(fails, wrong))


# The other checkers


def test_a_numeric_jacobian_that_was_kept_gives_the_same_answer() -> None:
    stack = gaussian_stack((2, 3, 1), rows=1, count=4, dtype="float64", seed=1)
    right = HandWritten().gradients(stack)
    wrong = Planted(CATALOGUE["doubled"]).gradients(stack)
    kept: dict[str, Any] = {}
    for given, expected in ((right, True), (wrong, False), (right, True)):
        with peers.numeric_kept(kept):
            assert peers.accepts("tf.test.compute_gradient", stack[0], given[0]) is expected
        assert peers.accepts("tf.test.compute_gradient", stack[0], given[0]) is expected
    assert list(kept) == [stack[0].key]
