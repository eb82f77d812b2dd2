"""Single cases that are judged together have the verdicts that each has by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import faulty
import pytest
from hypothesis.database import InMemoryExampleDatabase

from crosscheck.cases.composed import composed_boundary_cases, composed_cases
from crosscheck.cases.profiles import settings
from crosscheck.cases.search import search
from crosscheck.cases.strategies import (
    boundary_cases,
    networks,
    nonfinite_cases,
    smooth_cases,
)
from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.composed import AnyCase
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.reference import gradients
from crosscheck.run import searching
from crosscheck.run.ahead import Ahead
from crosscheck.run.checker import Checker
from crosscheck.run.events import CaseChecked, Event, StackChecked
from crosscheck.run.searching import searched


@pytest.fixture(autouse=True)
def _own_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def drawn(strategy: Any, count: int = 24) -> list[AnyCase]:
    found: list[AnyCase] = []
    search(
        strategy,
        lambda case, _: found.append(case),
        name="drawn",
        settings=settings(),
        seed=5,
        examples=count,
    )
    return found


def by_kind(cases: Sequence[AnyCase]) -> list[AnyCase]:
    kinds: dict[Any, list[Any]] = {}
    for case in cases:
        kinds.setdefault((case.kind, tuple(case.array_shapes.items())), []).append(case)
    return [first.beside(others) for first, *others in kinds.values()]


def told(verdict: Verdict) -> Any:
    """All that a verdict says, but for the adjoint certificate, and the nearest entry of AGREES."""
    local = [each for each in verdict.certificates if each.certificate != "adjoint"]
    worst = None if verdict.kind is Kind.AGREES else verdict.worst
    sure = verdict.checked, verdict.unchecked, verdict.detail, verdict.arithmetics
    return verdict.framework, verdict.kind, *sure, worst, verdict.gates, verdict.validity, local


STRATEGIES: dict[str, Callable[[str], Any]] = {
    "smooth": lambda dtype: smooth_cases(dtype=dtype),
    "boundary": lambda dtype: boundary_cases(dtype=dtype),
    "not finite": lambda dtype: nonfinite_cases(dtype=dtype),
    "operators": lambda dtype: composed_cases(dtype=dtype),
    "operators at breakpoints": lambda dtype: composed_boundary_cases(dtype=dtype),
}


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_together_and_by_themselves_cases_have_the_same_verdicts(name: str, dtype: str) -> None:
    frameworks: list[Framework] = [*open_frameworks(["torch"])[0]]
    if not name.startswith("operators"):
        frameworks.append(Halving())
    alone, beside = (Checker(frameworks, lambda _: None) for _ in range(2))
    stacks = by_kind(drawn(STRATEGIES[name](dtype)))
    assert max(stack.count or 0 for stack in stacks) > 1
    kinds = set()
    for stack in stacks:
        rows = beside.check_each(stack, beside.asking_each(stack)(), "smooth", "x")
        for index, row in enumerate(rows):
            wanted = alone.check_case(stack[index], "smooth", "x")
            assert repr([*map(told, row)]) == repr([*map(told, wanted)])  # NaN is like NaN
            kinds |= {verdict.kind for verdict in row}
    assert list(beside.coverage.lines()) == list(alone.coverage.lines())
    assert (beside.seen, beside.smooth, beside.failed) == (alone.seen, alone.smooth, alone.failed)
    if len(frameworks) == 2 and name != "not finite":
        assert Kind.DISAGREES in kinds


class Halving(faulty.Faulty):
    """Every fourth case has half of its last dJ/db."""

    name: ClassVar[str] = "halving"
    dtypes = ("float64", "float32", "bfloat16")

    def __init__(self) -> None:
        super().__init__(self.halved)
        self.asked: dict[str, int] = {}

    def halved(self, case: Case) -> Gradients:
        found = gradients(case)
        number = self.asked.setdefault(case.key, len(self.asked))
        if number % 4 or found.biases[-1] is None:
            return found
        return Gradients(
            found.loss, found.weights, (*found.biases[:-1], 0.5 * found.biases[-1]), found.x
        )


# The search


@pytest.mark.parametrize("size", [0, 15])
def test_one_wrong_case_among_many_is_found_and_made_small(size: int) -> None:
    """A fault in networks with more than ``size`` weights in which x is 2 somewhere."""

    def fault(case: Case) -> Gradients:
        found = gradients(case)
        if sum(w.size for w in case.weights) > size and (case.x == 2.0).any():
            return Gradients(2.0 * found.loss + 1.0, found.weights, found.biases, found.x)
        return found

    events: list[Event] = []
    checker = Checker([faulty.Faulty(fault)], events.append)
    few = smooth_cases(shapes=[((1, 1), 1), ((2, 3, 1), 1), ((4, 4, 1), 2)])
    finish = searched(checker, "smooth", "smooth float64", few, seed=3, examples=400)
    checker.finish()
    assert checker.failed
    finish()
    failing = [event for event in events if isinstance(event, CaseChecked)]
    assert [event.shrunk for event in failing].count(True) == 1
    smallest = failing[-1].case
    assert isinstance(smallest, Case)
    assert (smallest.x == 2.0).any()
    assert size < sum(w.size for w in smallest.weights) <= size + 16
    counted = sum(event.count for event in events if isinstance(event, StackChecked))
    assert len(failing) - 1 <= counted < 400  # it ended at the first that failed


def test_what_failed_in_an_earlier_run_is_tried_first_and_forgotten_when_it_passes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = InMemoryExampleDatabase()
    usual = settings()
    monkeypatch.setattr(searching, "settings", lambda: type(usual)(usual, database=kept))
    wrong, few = {"is": True}, smooth_cases(shapes=[((1, 1), 1), ((2, 1), 2)])

    def fault(case: Case) -> Gradients:
        found = gradients(case)
        if wrong["is"] and (case.x == 3.0).any() and case.rows > 1:
            return Gradients(2.0 * found.loss + 1.0, found.weights, found.biases, found.x)
        return found

    def run(seed: int, examples: int) -> Checker:
        checker = Checker([faulty.Faulty(fault)], lambda _: None)
        finish = searched(checker, "smooth", "smooth float64", few, seed=seed, examples=examples)
        checker.finish()
        finish()
        return checker

    assert run(3, 60).failed
    assert any(kept.data.values())
    assert run(4, 1).failed  # the one example is the earlier one
    wrong["is"] = False
    before = sum(map(len, kept.data.values()))
    assert not run(5, 20).failed
    assert sum(map(len, kept.data.values())) < before


def test_networks_in_turn_have_one_end_each_and_all_of_them_in_four_turns() -> None:
    shapes = [((2, 3, 1), 1), ((4, 8, 1), 4), ((1, 1), 1)]
    found: list[Any] = []
    for turn in range(4):
        seen = set[Any](drawn(networks(shapes, turn), 30))
        assert sorted((network.widths, rows) for network, rows in seen) == sorted(shapes)
        found += seen
    assert len(set(found)) == len(found) == 4 * len(shapes)


# What is put ahead


def test_what_is_put_ahead_is_asked_at_once_and_judged_in_its_order() -> None:
    ahead, told = Ahead(), list[Any]()

    def put(name: str, then: Callable[[], None] = lambda: None) -> None:
        def ask() -> Callable[[], str]:
            told.append(f"ask {name}")
            return lambda: name

        def judge(answer: str) -> None:
            told.append(f"judge {answer}")
            then()

        ahead.put(1, ask, judge)

    put("0", lambda: put("more"))  # put while answers are judged: it waits behind the others
    for number in range(1, 20):
        put(str(number))
    assert told.index("judge 0") > told.index("ask 16")
    ahead.finish()
    asked, judged = (
        [each.split()[1] for each in told if each.startswith(word)] for word in ("ask", "judge")
    )
    assert asked == judged
    assert len(judged) == 21


def test_few_large_questions_wait_at_once() -> None:
    ahead, told = Ahead(), list[Any]()
    for number in range(4):
        ahead.put(2**21, lambda number=number: lambda: number, told.append)  # type: ignore[misc]
    assert told == [0, 1, 2]
    ahead.finish()
    assert told == [0, 1, 2, 3]


def test_a_failure_while_answers_are_judged_leaves_the_rest_to_be_judged() -> None:
    ahead, told = Ahead(), list[Any]()

    def fail(_: int) -> None:
        raise ZeroDivisionError

    ahead.put(1, lambda: lambda: 0, fail)
    ahead.put(1, lambda: lambda: 1, told.append)
    with pytest.raises(ZeroDivisionError):
        ahead.finish()
    ahead.finish()
    assert told == [1]
