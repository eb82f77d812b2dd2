"""Products of a Hessian with a vector: exactly, in bounds, and the usual mistakes found."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy

from crosscheck.cases.composed import seeded_composed
from crosscheck.cases.plans import Plan, plans
from crosscheck.judge.second import SecondJudge
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.composed import Composed
from crosscheck.network.exact import rational_of, rationals
from crosscheck.network.second import (
    Direction,
    Products,
    arrays_of,
    product_program,
    seeded_direction,
)
from crosscheck.network.steps import step
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.multilinear import fraction
from crosscheck.program.evaluate import evaluate
from crosscheck.program.exact import OnExact
from crosscheck.program.second import WAYS, Way
from crosscheck.studies.faults.second import SECOND_FAULTS, SecondFault, by_rules
from crosscheck.tools.errors import UsageError

OPERATORS = ("dense", "conv2d", "cross_entropy", "layer_norm", "gelu", "attention")


def plan_of(operator: str) -> Plan:
    """The first network with it whose loss is curved."""
    curved = ("squared_error", "cross_entropy")
    return next(each for each in plans([operator, *curved[:1]]) if each.steps[-1].op in curved)


def case_of(operator: str, dtype: str = "float64", seed: int = 0, count: int = 1) -> Composed:
    plan = plan_of(operator) if operator != "cross_entropy" else plans(["gelu", operator])[0]
    return seeded_composed(seed, plan, count, dtype)


def exactly(case: Composed, direction: Direction, way: Way = WAYS[0]) -> dict[str, Any]:
    """H v of a single case in rationals; of functions to within 2^-512."""
    arrays = {name: rationals(array) for name, array in arrays_of(case, direction).items()}
    return evaluate(product_program(case, way), OnExact(rational_of), arrays)


def bare(seed: int = 0) -> Composed:
    """Two dense layers and a loss: a polynomial of degree four."""
    rng = np.random.default_rng(seed)
    steps = (
        step("z", "dense", "x", "W", "b"),
        step("a", "dense", "z", "V"),
        step("loss", "squared_error", "a", "y"),
    )
    parameters = {"W": rng.integers(-4, 5, (2, 2)), "b": rng.integers(-4, 5, 2)}
    parameters["V"] = rng.integers(-4, 5, (1, 2))
    inputs = {"x": rng.integers(-4, 5, (2, 2)), "y": rng.integers(-4, 5, (2, 1))}
    return Composed.of(steps, parameters, inputs)


def judged(case: Composed, direction: Direction, given: Products, way: Way = WAYS[0]) -> Verdict:
    (found,) = SecondJudge(case, direction).verdicts(given, ("ours", ""), way)
    return found


def test_it_is_what_sympy_differentiates_twice() -> None:
    case = bare()
    symbols = {
        name: np.array(sympy.symbols(f"{name}_:{array.size}")).reshape(array.shape)
        for name, array in case.entries()
    }
    x, y, W, b, V = (symbols[name] for name in ("x", "y", "W", "b", "V"))
    loss = sum(sympy.expand(each**2) / 2 for each in ((x @ W.T + b) @ V.T - y).ravel())
    numbers = {
        symbol: sympy.Rational(int(value))
        for name, array in case.entries()
        for symbol, value in zip(symbols[name].ravel(), array.ravel(), strict=True)
    }
    direction = seeded_direction(1, case).map(np.round)
    along = [
        (symbol, int(value))
        for name, array in direction.entries()
        for symbol, value in zip(symbols[name].ravel(), array.ravel(), strict=True)
    ]
    slope = sum(sympy.diff(loss, symbol) * value for symbol, value in along)
    found = exactly(case, direction)
    for name in case.wanted:
        wanted = [sympy.diff(slope, symbol).subs(numbers) for symbol in symbols[name].ravel()]
        assert [fraction(each) for each in found[name].ravel()] == [
            Fraction(int(each.p), int(each.q)) for each in wanted
        ], name


def test_both_ways_give_one_exact_number_and_the_hessian_is_symmetric() -> None:
    case = bare(seed=3)
    u, v = (seeded_direction(seed, case) for seed in (1, 2))
    one, two = (exactly(case, v, way) for way in WAYS)
    assert all((one[name] == two[name]).all() for name in case.wanted)
    back = exactly(case, u)

    def product(left: Direction, right: dict[str, Any]) -> Any:
        return sum((rationals(left.arrays[n]) * right[n]).sum() for n in case.wanted)

    assert product(u, one) == product(v, back)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("operator", OPERATORS)
def test_the_reference_holds_the_exact_number(operator: str, way: Way) -> None:
    case = case_of(operator)[0]
    direction = seeded_direction(4, case)
    wanted = exactly(case, direction, way)
    bounds = SecondJudge(case, direction).bounds(way)
    for name, bound in bounds.entries():
        assert isinstance(bound.c, DoubleDouble)
        for index in np.ndindex(bound.shape):
            c = Fraction(float(bound.c.high[index])) + Fraction(float(bound.c.low[index]))
            off = abs(c - fraction(np.asarray(wanted[name])[index]))
            # What the functions' own values are off by, 2^-512 of them, is far below.
            assert off <= Fraction(float(bound.r[index])) + Fraction(1, 2**400), (name, index)
            assert bound.r[index] <= 2.0**-80 * max(1.0, np.abs(bound.high).max())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_what_is_right_agrees(operator: str, dtype: str) -> None:
    case = case_of(operator, dtype, count=3)
    direction = seeded_direction(5, case)
    given = by_rules(case, direction)
    judge = SecondJudge(case, direction)
    for way in WAYS:
        found = judge.verdicts(given, ("ours", ""), way)
        assert [each.kind for each in found] == [Kind.AGREES] * 3
        assert found[0].certificates[0].compared > 0


def spoilt(case: Composed, fault: SecondFault) -> Iterator[tuple[Composed, Direction, Products]]:
    """What a fault changes in some entry by more than 1 in 1,024 of the largest of its array."""
    direction = seeded_direction(6, case)
    right, wrong = by_rules(case, direction), by_rules(case, direction, fault)
    for number in range(case.count or 1):
        off = {
            name: np.abs(array[number] - wrong.arrays[name][number]).max()
            > np.abs(array[number]).max() / 1024
            for name, array in right.entries()
        }
        if any(off.values()):
            yield case[number], direction[number], wrong[number]


def missed(fault: SecondFault, dtype: str, count: int) -> tuple[int, list[str]]:
    """How often a fault was tried, and where it was not found, or no derivative named."""
    tried, found = 0, []
    for operator in OPERATORS:
        for case, direction, given in spoilt(case_of(operator, dtype, 1, count), fault):
            verdict = judged(case, direction, given)
            tried += 1
            name = verdict.worst.name if verdict.worst else "nothing"
            if (
                verdict.kind is not Kind.DISAGREES
                or f"by {name}, along v, is" not in verdict.detail
            ):
                found.append(f"{operator}: {verdict.kind} {verdict.detail}")
    return tried, found


@pytest.mark.parametrize("fault", SECOND_FAULTS, ids=lambda each: each.name)
def test_a_fault_is_found_and_the_derivative_named(fault: SecondFault) -> None:
    tried, found = missed(fault, "float32", 1)
    assert tried > 0
    assert found == []


@pytest.mark.long
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("fault", SECOND_FAULTS, ids=lambda each: each.name)
def test_a_fault_is_found_in_every_case(fault: SecondFault, dtype: str) -> None:
    tried, found = missed(fault, dtype, 12)
    assert tried >= 4
    assert found == []


@pytest.mark.parametrize("factor", [-1.0, 0.5, 2.0])
def test_a_constant_factor_is_named(factor: float) -> None:
    case = case_of("gelu")[0]
    direction = seeded_direction(7, case)
    given = by_rules(case, direction).map(lambda array: factor * array)
    found = judged(case, direction, given)
    assert found.kind is Kind.DISAGREES
    assert f"all of it is {Fraction(factor)} times" in found.detail


def test_at_a_breakpoint_nothing_is_judged_and_the_place_is_named() -> None:
    steps = (
        step("z", "dense", "x", "W", "b"),
        step("a", "relu", "z"),
        step("loss", "squared_error", "a", "y"),
    )
    W, b = np.array([[1.0], [2.0]]), np.array([-1.0, 5.0])
    x, y = np.ones((1, 1)), np.array([[3.0, 1.0]])
    case = Composed.of(steps, {"W": W, "b": b}, {"x": x, "y": y})
    direction = seeded_direction(8, case)
    found = judged(case, direction, by_rules(case, direction))
    assert found.kind is Kind.UNSUPPORTED
    assert "not judged: at a[0,0] there is no second derivative" in found.detail


@pytest.mark.parametrize(("op", "residual"), [("huber", 1.0), ("elu", 0.0)])
def test_where_a_slope_only_bends_nothing_is_judged_either(op: str, residual: float) -> None:
    """The first derivative is there, and the second jumps."""
    steps = [step("z", "dense", "x", "W")]
    loss = op == "huber"
    steps.append(step("loss", op if loss else "squared_error", "a" if not loss else "z", "y"))
    if not loss:
        steps.insert(1, step("a", op, "z"))
    target = 2.0 - residual if loss else 1.0
    case = Composed.of(steps, {"W": [[1.0]]}, {"x": [[2.0 * loss]], "y": [[target]]})
    direction = seeded_direction(9, case)
    found = judged(case, direction, by_rules(case, direction))
    assert found.kind is Kind.UNSUPPORTED
    assert "not judged" in found.detail


def test_a_direction_of_other_arrays_is_refused() -> None:
    case = bare()
    with pytest.raises(UsageError, match=r"direction: arrays .* wanted"):
        Direction.of(case, {"W": np.ones((2, 2))})


def test_products_of_other_shapes_disagree() -> None:
    case = bare()
    direction = seeded_direction(10, case)
    given = by_rules(case, direction).replaced("W", np.ones(3))
    found = judged(case, direction, given)
    assert found.kind is Kind.DISAGREES
    assert "W: shape (3,) returned" in found.detail


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_narrow_dtypes_are_judged(dtype: str) -> None:
    case = case_of("gelu", dtype)[0]
    direction = seeded_direction(11, case)
    given = by_rules(case, direction)
    assert judged(case, direction, given).kind is Kind.AGREES
    assert all(format_of(dtype).contains(array) for _, array in given.entries())
