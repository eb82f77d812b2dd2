"""The exact linear programs end with a certificate that proves the answer, and check it."""

from __future__ import annotations

import random
from fractions import Fraction
from typing import Any

import pytest

from crosscheck.numbers import linear_programs as exact_lp
from crosscheck.numbers.linear_programs import Answer, maximum, solve, strictly_feasible


def dot(one: Any, other: Any) -> Fraction:
    return sum((a * b for a, b in zip(one, other, strict=True)), Fraction(0))


def random_system(seed: int) -> tuple[list[list[Fraction]], list[Fraction]]:
    rng = random.Random(seed)
    height, width = rng.randint(1, 6), rng.randint(1, 9)
    # Small whole numbers make degenerate systems common, and cycling with them.
    columns = [[Fraction(rng.randint(-2, 2)) for _ in range(height)] for _ in range(width)]
    return columns, [Fraction(rng.randint(-2, 2)) for _ in range(height)]


def test_random_systems_are_solved_or_refuted_with_a_certificate() -> None:
    answers = []
    for seed in range(400):
        columns, target = random_system(seed)
        answer = solve(columns, target)
        answers.append(answer.feasible)
        if answer.feasible:
            assert min(answer.certificate) >= 0
            for i, value in enumerate(target):
                assert dot(answer.certificate, [column[i] for column in columns]) == value
        else:
            assert dot(answer.certificate, target) > 0
            assert max(dot(answer.certificate, column) for column in columns) <= 0
    assert 100 < sum(answers) < 300


def test_a_known_combination_is_always_found() -> None:
    rng = random.Random(1)
    for seed in range(100):
        columns, _ = random_system(seed)
        weights = [Fraction(rng.randint(0, 5), 3) for _ in columns]
        target = [dot(weights, [column[i] for column in columns]) for i in range(len(columns[0]))]
        assert solve(columns, target).feasible


def test_beales_example_does_not_cycle() -> None:
    # Beale (1955): with the largest-coefficient rule the simplex method goes round in circles.
    columns: list[list[Any]] = [
        [Fraction(1, 4), Fraction(1, 2), 0],
        [-60, -90, 0],
        [Fraction(-1, 25), Fraction(-1, 50), 1],
        [9, 3, 0],
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
    ]
    exact = [[Fraction(value) for value in column] for column in columns]
    assert solve(exact, [Fraction(0), Fraction(0), Fraction(1)]).feasible


def test_strict_feasibility_is_decided_by_gordans_alternative() -> None:
    found = 0
    for seed in range(300):
        forms, _ = random_system(seed)
        direction = strictly_feasible(forms)
        if direction is not None:
            found += 1
            assert all(dot(direction, form) > 0 for form in forms)
        else:
            one = Fraction(1)
            combination = solve(
                [[*form, one] for form in forms], [*[Fraction(0)] * len(forms[0]), one]
            )
            assert combination.feasible
    assert 50 < found < 250


@pytest.mark.parametrize("feasible", [True, False])
def test_a_corrupted_certificate_is_rejected(
    feasible: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = Fraction(1), Fraction(2)
    columns, target = [[one, one]], ([two, two] if feasible else [one, two])
    right = solve(columns, target)
    assert right.feasible is feasible
    wrong = Answer(feasible, tuple(value + 1 for value in right.certificate))
    monkeypatch.setattr(exact_lp, "_simplex", lambda *_: wrong)
    with pytest.raises(ArithmeticError, match="does not check"):
        solve(columns, target)
    monkeypatch.setattr(exact_lp, "_simplex", lambda *_: Answer(not feasible, right.certificate))
    with pytest.raises(ArithmeticError, match="does not check"):
        solve(columns, target)


@pytest.mark.parametrize(
    ("columns", "target", "feasible", "certificate"),
    [
        ([[1], [1]], [1], True, (2, -1)),  # a negative weight
        ([[1], [1]], [1], True, (1, 1)),  # another sum
        ([[1, 0], [0, 1]], [1, 1], True, (1, 2)),  # another sum, in the last row alone
        ([[1], [1]], [1], True, (1,)),  # too short
        ([[1], [1]], [1], True, (1, 0, 0)),  # too long
        ([[1, 0], [-1, 0]], [0, 1], False, (1, 1)),  # the first column is on the wrong side
        ([[-1, 0], [1, 0]], [0, 1], False, (1, 1)),  # the last column is
        ([[1, 0]], [0, 1], False, (-1, 0)),  # the target is on the plane
        ([[1, 0]], [0, 1], False, (0, -1)),  # the target is on the columns' side
        ([[1, 0]], [0, 1], False, (0, 1, 0)),  # too long
    ],
)
def test_a_certificate_is_rejected_for_any_one_thing_that_is_wrong_with_it(
    columns: Any,
    target: Any,
    feasible: bool,
    certificate: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exact = [[Fraction(value) for value in column] for column in columns]
    wanted = [Fraction(value) for value in target]
    assert solve(exact, wanted).feasible == feasible
    forged = Answer(feasible, tuple(map(Fraction, certificate)))
    monkeypatch.setattr(exact_lp, "_simplex", lambda *_: forged)
    with pytest.raises(ArithmeticError, match="does not check"):
        solve(exact, wanted)


@pytest.mark.parametrize(
    "point",
    [(1, 2), (1, -1), (1, 1), (0, 0)],
    ids=["above-its-bound", "negative", "beyond-a-row", "not-the-largest"],
)
def test_an_optimum_is_rejected_for_any_one_thing_that_is_wrong_with_it(
    point: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, nothing = Fraction(1), Fraction(0)
    rows, limits = ([[nothing, one]], [nothing]) if point == (1, 1) else ([], [])
    program: Any = ([one, nothing], rows, limits, [one, one])
    right = maximum(*program)
    assert right is not None
    assert right[0] == 1
    minimise = exact_lp._minimise

    def forged(table: Any, basis: Any, costs: Any, budget: Any) -> Any:
        ray = minimise(table, basis, costs, budget)
        costs[len(rows) + 2 : len(rows) + 4] = map(Fraction, point)
        return ray

    monkeypatch.setattr(exact_lp, "_minimise", forged)
    with pytest.raises(ArithmeticError, match="does not check"):
        maximum(*program)


@pytest.mark.parametrize("dual", [(-1, 2), (2, -1), (0, 0)], ids=["y", "s", "too-little"])
def test_a_dual_that_is_not_one_is_rejected(dual: tuple[int, int]) -> None:
    one = Fraction(1)
    exact_lp._check_dual([one, Fraction(0)], [one], [[one]])
    with pytest.raises(ArithmeticError, match="does not check"):
        exact_lp._check_dual(list(map(Fraction, dual)), [one], [[one]])


def random_program(seed: int) -> tuple[Any, Any, Any, Any]:
    rng = random.Random(seed)
    count, height = rng.randint(1, 5), rng.randint(0, 7)

    def draw(length: int, low: int = -2) -> list[Fraction]:
        return [Fraction(rng.randint(low, 2)) for _ in range(length)]

    return draw(count), [draw(count) for _ in range(height)], draw(height), draw(count, 0)


def test_the_largest_value_is_found_or_the_program_has_no_solution() -> None:
    impossible = 0
    for seed in range(400):
        objective, rows, limits, upper = random_program(seed)
        found = maximum(objective, rows, limits, upper)
        # A feasible point of the same program in standard form, and one with a larger objective.
        slack = [[Fraction(int(i == k)) for k in range(len(rows) + len(upper))] for i in range(99)]
        columns = [
            [*(row[i] for row in rows), *(Fraction(int(i == k)) for k in range(len(upper)))]
            for i in range(len(upper))
        ] + slack[: len(rows) + len(upper)]
        feasible = solve(columns, [*limits, *upper]).feasible
        assert feasible == (found is not None), seed
        if found is None:
            impossible += 1
            continue
        best = dot(objective, found)
        more = [[*column, c] for column, c in zip(columns, objective, strict=False)]
        more += [[*column, Fraction(0)] for column in columns[len(upper) :]]
        more.append([Fraction(0)] * (len(rows) + len(upper)) + [Fraction(-1)])
        assert not solve(more, [*limits, *upper, best + Fraction(1, 10**9)]).feasible
    assert 100 < impossible < 300


def test_a_wrong_optimum_is_not_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Fraction(1)
    monkeypatch.setattr(exact_lp, "_minimise", lambda *_: None)
    with pytest.raises(ArithmeticError, match="does not check"):
        maximum([one, one], [[one, one]], [one], [one, one])
    monkeypatch.setattr(exact_lp, "_minimise", lambda *_: 0)
    with pytest.raises(ArithmeticError, match="does not check"):
        maximum([one, one], [[one, one]], [one], [one, one])
