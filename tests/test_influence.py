"""A gate has no effect only if the exact gradient is constant over all such slopes together."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import brute
import numpy as np
import pytest

from crosscheck.judge.compare import Judge
from crosscheck.judge.decisions import Effect, Place
from crosscheck.judge.enclosed import Derivation, Enclosed
from crosscheck.judge.kinks.influence import Influence, influences
from crosscheck.judge.verdict import Kind, Verdict
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.network.reference import gradients
from crosscheck.network.tree import LEFT_OUT
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.tools.budget import Budget

# ReLU(x) - ReLU(-x) = x at x = 0 in a bias-free layer: J = ½ (x + b - y)², dJ/dx = b - y.
STRAIGHT = Case.of(
    [[[1.0], [-1.0]], [[1.0, -1.0]]], [None, [1.0]], [[0.0]], [[0.0]], output="identity"
)
WITHOUT_ANY = Case.of([[[1.0], [-1.0]], [[1.0, -1.0]]], None, [[0.0]], [[1.0]], output="identity")
# ReLU(-ReLU(x)) = 0 for every x: J is constant in x, and dJ/dx = -λ1 λ2.
CONSTANT = Case.of(
    [[[1.0]], [[-1.0]], [[1.0]]], [None, None, [1.0]], [[0.0]], [[0.0]], output="identity"
)
# dJ/dx = (λ2a - λ2b)(λ1a - λ1b), and nothing else depends on a slope.
PRODUCT = Case.of(
    [[[1.0], [-1.0]], [[1.0, 1.0], [-1.0, -1.0]], [[1.0, 1.0]]],
    [None, None, [1.0]],
    [[0.0]],
    [[0.0]],
    output="identity",
)
SITES = [Place(layer, (0, unit)) for layer in (1, 2) for unit in (0, 1)]


def enclosed(case: Case, derivation: Derivation = "reverse") -> Enclosed:
    return Enclosed(case, Model(format_of(case.dtype)), derivation)


def found(case: Case, slopes: dict[Place, float], **changes: Any) -> dict[Place, Influence]:
    return influences(enclosed(case), replace(gradients(case), **changes), slopes)


def judged(case: Case, given: Gradients, derivation: Derivation = "reverse") -> Verdict:
    return Judge(case).verdict(given, framework="given", derivation=derivation)


@pytest.mark.parametrize("derivation", ["reverse", "forward"])
@pytest.mark.parametrize(
    ("case", "slope", "derivative", "inputs"),
    [
        pytest.param(STRAIGHT, 0.5, 1.0, "inside", id="true derivative"),
        pytest.param(WITHOUT_ANY, 0.5, -1.0, "inside", id="true derivative, no bias at all"),
        pytest.param(STRAIGHT, 0.0, 0.0, "outside", id="0 where it is 1"),
        pytest.param(CONSTANT, 1.0, -1.0, "outside", id="-1 where J is constant"),
        pytest.param(CONSTANT, 0.0, 0.0, "inside", id="0 where J is constant"),
    ],
)
def test_slopes_that_only_the_inputs_show_are_read_and_judged(
    case: Case, slope: float, derivative: float, inputs: str, derivation: Derivation
) -> None:
    given = gradients(case, kink_slope=slope)
    assert given.x.tolist() == [[derivative]]
    verdict = judged(case, given, derivation)
    assert verdict.kind is Kind.KINK
    assert [gate.effect for gate in verdict.gates] == [Effect.READ] * 2
    assert [gate.slope for gate in verdict.gates] == [slope] * 2
    assert {each.block: each.status for each in verdict.validity}["inputs"] == inputs


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_slopes_with_no_influence_one_at_a_time_may_have_one_together(slope: float) -> None:
    assert set(found(PRODUCT, dict.fromkeys(SITES, slope)).values()) == {Influence.TOGETHER}
    # With λ2a ≠ λ2b the difference of the others counts, and theirs does not.
    apart = {**dict.fromkeys(SITES, slope), Place.of_gate(2, 0, 0): 0.25}
    assert found(PRODUCT, apart) == {
        Place.of_gate(1, 0, 0): Influence.ALONE,
        Place.of_gate(1, 0, 1): Influence.ALONE,
        Place.of_gate(2, 0, 0): Influence.NONE,
        Place.of_gate(2, 0, 1): Influence.NONE,
    }


def test_what_is_behind_a_shut_gate_has_none_whatever_else_is() -> None:
    # z1 = z2 = 0 in one row, with biases: dJ/db2 shows λ2, and λ1 counts only if λ2 ≠ 0.
    case = worked_example(x=0.0, b1=0.0, w2=3.0, b2=0.0)
    behind, last = Place.of_gate(1, 0, 0), Place.of_gate(2, 0, 0)
    assert found(case, {behind: 1.0, last: 0.0}) == {
        behind: Influence.NONE,
        last: Influence.ALONE,
    }
    assert found(case, {behind: 0.0, last: 0.5})[behind] is Influence.ALONE


def test_only_entries_that_are_there_can_be_influenced() -> None:
    slopes = {Place.of_gate(1, 0, 0): 0.5, Place.of_gate(1, 0, 1): 0.5}
    assert set(found(STRAIGHT, slopes).values()) == {Influence.ALONE}
    assert set(found(STRAIGHT, slopes, x=LEFT_OUT).values()) == {Influence.NONE}
    with_bias = replace(STRAIGHT, biases=(np.zeros(2), STRAIGHT.biases[1]))
    assert set(found(with_bias, slopes, x=LEFT_OUT).values()) == {Influence.ALONE}
    left = {"x": LEFT_OUT, "biases": (LEFT_OUT, LEFT_OUT)}
    assert set(found(with_bias, slopes, **left).values()) == {Influence.NONE}


def test_what_is_too_much_work_is_not_decided_and_not_called_without_effect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = gradients(PRODUCT, kink_slope=0.5)
    slopes = dict.fromkeys(SITES, 0.5)
    budget = Budget(1)
    answer = influences(enclosed(PRODUCT), given, slopes, budget)
    assert set(answer.values()) == {Influence.UNKNOWN}
    assert budget.left >= 0
    monkeypatch.setattr("crosscheck.judge.kinks.influence.MOST_OPERATIONS", 1)
    verdict = judged(PRODUCT, given)
    assert verdict.kind is Kind.KINK
    assert [(gate.effect, gate.slope) for gate in verdict.gates] == [(Effect.NOT_DECIDED, None)] * 4


def hidden(y: float) -> Case:
    """dJ/dW1 = 2 g_0 + λ g_1 with g_0 = 1 - 2^60 and g_1 = -y: rounding may hide λ."""
    return Case.of(
        [[[1.0]], [[1.0]]], [[-1.0], [0.0]], [[2.0], [1.0]], [[2.0**60], [y]], output="identity"
    )


@pytest.mark.parametrize(
    ("y", "effect"), [(2.0**-10, Effect.TOO_SMALL), (2.0**58, Effect.READ), (0.0, Effect.NONE)]
)
def test_what_rounding_hides_is_too_small_to_read_but_has_an_effect(
    y: float, effect: Effect
) -> None:
    given = replace(gradients(hidden(y), kink_slope=1.0), x=LEFT_OUT)
    (gate,) = judged(hidden(y), given).gates
    assert gate.effect is effect
    assert gate.slope == (1.0 if effect is Effect.READ else None)


def test_the_whole_gradient_says_whether_a_slope_is_too_small() -> None:
    case = hidden(2.0**-10)
    (gate,) = judged(case, gradients(case, kink_slope=1.0)).gates  # dJ/dx[1] = λ g_1
    assert (gate.effect, gate.slope) == (Effect.READ, 1.0)


FAULTS: dict[str, Callable[[Case], Gradients]] = {
    "slope 2": lambda case: gradients(case, kink_slope=2.0),
    "slope -1": lambda case: gradients(case, kink_slope=-1.0),
    "wrong sign behind shut gates": lambda case: replace(
        gradients(case), x=-1.0 - gradients(case).x
    ),
    "another dJ/dx": lambda case: replace(gradients(case, kink_slope=0.5), x=np.array([[3.0]])),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_only_dj_dx_shows_is_caught(fault: str) -> None:
    assert judged(STRAIGHT, FAULTS[fault](STRAIGHT)).kind is Kind.DISAGREES


def test_a_product_of_slopes_that_is_out_of_reach_is_caught() -> None:
    # (λ2a - λ2b)(λ1a - λ1b) lies in [-1, 1], and no own entries of any unit say so.
    given = gradients(PRODUCT)
    assert judged(PRODUCT, replace(given, x=np.array([[1.0]]))).kind is Kind.KINK
    assert judged(PRODUCT, replace(given, x=np.array([[1.25]]))).kind is Kind.DISAGREES


def test_a_slope_that_differs_from_row_to_row_is_told_row_by_row() -> None:
    case = replace(STRAIGHT, x=np.zeros((2, 1)), y=np.zeros((2, 1)))
    by_row = replace(
        gradients(case), x=np.array([[0.0], [2.0]])
    )  # λ = 0 in row 0, and λ = 1 in row 1
    verdict = judged(case, by_row)
    assert verdict.kind is Kind.KINK
    assert {(gate.row, gate.slope) for gate in verdict.gates} == {(0, 0.0), (1, 1.0)}
    assert {each.block: each.status for each in verdict.validity}["inputs"] == "outside"
    three = replace(by_row, x=np.array([[0.0], [3.0]]))
    assert judged(case, three).kind is Kind.DISAGREES


COUNT = int(os.environ.get("CROSSCHECK_KINK_CASES", "100"))
"""How many verdicts are held against brute force; a nightly job asks for many more."""


def test_readings_and_memberships_are_those_of_brute_force() -> None:
    total: Counter[Any] = Counter()
    for each in islice(brute.draw(1), COUNT):
        for key, count in brute.looked_at(each).items():
            total[key] += count
    print(COUNT, "verdicts:", dict(total))
    allowed = {
        *(("kind", kind) for kind in ("AGREES", "KINK", "UNDECIDED")),
        ("readings", "right"),
        *((block, "right") for block in ("parameters", "inputs")),
        *((block, "not decided") for block in ("parameters", "inputs")),
    }
    assert set(total) <= allowed
    for block in ("parameters", "inputs"):
        answered = total[block, "right"] + total[block, "not decided"]
        assert total[block, "not decided"] <= 0.05 * answered
    assert total["kind", "UNDECIDED"] <= 0.05 * COUNT
