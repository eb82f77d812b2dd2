"""What a gradient leaves out is not compared, and nothing that is there escapes by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from crosscheck.judge.compare import Judge
from crosscheck.judge.decisions import Effect
from crosscheck.judge.verdict import Kind
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.network.reference import gradients
from crosscheck.network.tree import LEFT_OUT, LeftOut
from crosscheck.tools.errors import UsageError

NONE: tuple[Any, ...] = (LEFT_OUT, LEFT_OUT)

PARTS: dict[str, Callable[[Gradients], Gradients]] = {
    "no-x": lambda given: replace(given, x=LEFT_OUT),
    "parameters": lambda given: replace(given, x=LEFT_OUT, loss=LEFT_OUT),
    "weights": lambda given: replace(given, x=LEFT_OUT, loss=LEFT_OUT, biases=NONE),
    "biases": lambda given: replace(given, x=LEFT_OUT, loss=LEFT_OUT, weights=NONE),
    "inputs": lambda given: replace(given, loss=LEFT_OUT, weights=NONE, biases=NONE),
}

KINKS = {
    "first-layer": worked_example(x=0.0),
    "last-layer": worked_example(w2=-1.0, b2=2.0),
    "two-rows": Case.of(
        [[[1.0, 2.0], [1.0, 1.0]], [[1.0, -3.0]]],
        [[-3.0, 1.0], [1.0]],
        x=[[1.0, 1.0], [3.0, 0.0]],
        y=[[4.0], [2.0]],
    ),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_correct_part_agrees(part: str) -> None:
    case = worked_example()
    verdict = Judge(case).verdict(PARTS[part](gradients(case)), framework="mine")
    assert verdict.kind is Kind.AGREES
    assert verdict.worst is not None
    assert verdict.worst.error == 0


@pytest.mark.parametrize("part", PARTS)
def test_a_wrong_part_disagrees_also_when_it_is_all_there_is(part: str) -> None:
    case = worked_example()
    given = PARTS[part](gradients(case))
    factor = 1.0 + 2.0**-50

    def scaled(value: Any) -> Any:
        return value if isinstance(value, LeftOut) else value * factor

    wrong = replace(
        given,
        weights=tuple(map(scaled, given.weights)),
        biases=tuple(map(scaled, given.biases)),
        x=scaled(given.x),
    )
    verdict = Judge(case).verdict(wrong, framework="mine")
    assert verdict.kind is Kind.DISAGREES
    assert verdict.worst is not None
    assert verdict.worst.bounds > 1


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", KINKS)
def test_at_a_kink_every_convention_explains_its_part_and_no_wrong_slope_is_told(
    name: str, part: str, slope: float
) -> None:
    case = KINKS[name]
    given = PARTS[part](gradients(case, kink_slope=slope))
    verdict = Judge(case).verdict(given, framework="mine")
    effects = {gate.effect for gate in verdict.gates}
    assert verdict.kind is (Kind.AGREES if effects == {Effect.NONE} else Kind.KINK)
    assert verdict.gates
    assert {gate.slope for gate in verdict.gates} <= {slope, None}


def test_the_inputs_gradient_alone_tells_the_slope_where_it_depends_on_it() -> None:
    case = worked_example(w2=-1.0, b2=2.0)
    given = PARTS["inputs"](gradients(case, kink_slope=0.5))
    (gate,) = Judge(case).verdict(given, framework="mine").gates
    assert gate.slope == 0.5


def test_where_the_part_does_not_depend_on_the_slope_none_is_told() -> None:
    case = worked_example(x=0.0)  # dJ/dw1 = δ x = 0 whatever the slope is
    given = PARTS["weights"](gradients(case, kink_slope=1.0))
    (gate,) = Judge(case).verdict(given, framework="mine").gates
    assert gate.slope is None


@pytest.mark.parametrize("part", ["weights", "inputs"])
def test_slopes_out_of_range_are_excluded_by_the_part(part: str) -> None:
    case = worked_example(w2=-1.0, b2=2.0)
    given = PARTS[part](gradients(case, kink_slope=1.5))
    assert Judge(case).verdict(given, framework="mine").kind is Kind.DISAGREES


def test_what_was_left_out_is_not_called_a_generalised_derivative() -> None:
    case = worked_example(x=0.0)
    whole = gradients(case)
    verdicts = {
        part: Judge(case).verdict(PARTS[part](whole), framework="mine")
        for part in ("parameters", "inputs", "biases")
    }
    blocks = {part: [each.block for each in verdict.validity] for part, verdict in verdicts.items()}
    assert blocks == {"parameters": ["parameters"], "inputs": ["inputs"], "biases": []}


def test_a_gradient_of_which_nothing_is_there_is_refused() -> None:
    case = worked_example()
    nothing = Gradients(gradients(case).loss, NONE, NONE, LEFT_OUT)
    with pytest.raises(UsageError, match="every array of the gradient is left out"):
        Judge(case).verdict(nothing, framework="mine")
