"""Cases, batches and gradients are trees of arrays with names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from crosscheck.judge.compare import Judge
from crosscheck.network.batch import Batch
from crosscheck.network.composed import Derivatives, composed
from crosscheck.network.dense import Case, Gradients, worked_example
from crosscheck.network.reference import gradients
from crosscheck.network.tree import LEFT_OUT, Tree, widened
from crosscheck.tools.errors import UsageError


def stack() -> Case:
    """Two cases of two layers, the second without bias, all numbers different."""
    numbers = iter(np.arange(1.0, 1000.0))

    def array(*shape: int) -> Any:
        return np.array([next(numbers) for _ in range(int(np.prod(shape)))]).reshape(shape)

    return Case.of(
        [array(2, 3, 2), array(2, 1, 3)], [array(2, 3), None], array(2, 2, 2), array(2, 2, 1)
    )


TREES: dict[str, Tree] = {
    "case": stack(),
    "batch": Batch.of(stack()),
    "composed": composed(stack()),
    "gradients": gradients(stack()),
    "derivatives": Derivatives.named(dict(gradients(stack()).entries())),
}

NAMES = {
    "case": ("W1", "b1", "W2", "x", "y"),
    "batch": ("W1", "b1", "W2", "x", "y"),
    "composed": ("W1", "b1", "W2", "x", "y"),
    "gradients": ("J", "W2", "W1", "b1", "x"),
    "derivatives": ("J", "W2", "W1", "b1", "x"),
}


def same(one: Tree, other: Tree) -> bool:
    pairs = zip(one.entries(), other.entries(), strict=True)
    return type(one) is type(other) and all(a == b and (x == y).all() for (a, x), (b, y) in pairs)


@pytest.mark.parametrize("kind", TREES)
def test_the_arrays_come_in_the_order_that_is_stated(kind: str) -> None:
    assert TREES[kind].names == NAMES[kind]


@pytest.mark.parametrize("kind", TREES)
def test_filling_a_tree_puts_arrays_where_flattening_took_them(kind: str) -> None:
    tree = TREES[kind]
    assert same(tree.filled([array + 1.0 for array in tree.flatten()]), tree.map(lambda a: a + 1.0))


@pytest.mark.parametrize("kind", TREES)
def test_a_tree_is_filled_with_no_more_and_no_fewer_arrays_than_it_has(kind: str) -> None:
    with pytest.raises(ValueError, match="zip"):
        TREES[kind].filled(TREES[kind].flatten()[1:])


@pytest.mark.parametrize("kind", TREES)
def test_arrays_are_joined_with_those_of_their_own_place(kind: str) -> None:
    tree = TREES[kind]
    assert same(tree.map(np.subtract, tree), tree.map(np.zeros_like))


@pytest.mark.parametrize("kind", TREES)
def test_one_array_is_replaced_and_no_other(kind: str) -> None:
    tree = TREES[kind]
    changed = tree.replaced("b1", np.zeros((2, 3)))
    assert [name for name, array in changed.entries() if not array.any()] == ["b1"]


@pytest.mark.parametrize("kind", ["case", "composed"])
def test_a_case_of_a_stack_is_the_case_that_was_put_there(kind: str) -> None:
    whole: Any = TREES[kind]
    one = whole[1]
    assert [array.tolist() for array in one.flatten()] == [a[1].tolist() for a in whole.flatten()]
    assert one.key == (composed(stack()[1]) if kind == "composed" else stack()[1]).key
    assert one.count is None


def test_some_cases_of_a_stack_are_a_stack() -> None:
    whole = composed(stack())
    assert whole[np.array([1])].count == 1
    assert whole[np.array([1])][0].key == whole[1].key


def test_a_single_case_is_not_indexed() -> None:
    with pytest.raises(TypeError, match="only a stack"):
        composed(worked_example())[0]


def test_what_is_not_there_and_what_was_left_out_stays_so() -> None:
    given = replace(gradients(stack()), x=LEFT_OUT)
    changed = given.map(lambda array: array * 2.0)
    assert changed.x is LEFT_OUT
    assert changed.biases[1] is None


def test_the_numbers_of_a_case_are_looked_at_when_they_are_changed() -> None:
    case = worked_example(dtype="float32")
    with pytest.raises(UsageError, match="not float32"):
        case.map(lambda array: array + 1e-9)


def test_the_numbers_of_a_network_of_operators_are_looked_at_too() -> None:
    case = composed(worked_example(dtype="float32"))
    with pytest.raises(UsageError, match="not float32"):
        case.replaced("x", case.inputs["x"] + 1e-9)


def test_a_batch_gives_its_cases_back() -> None:
    assert [case.key for case in map(Batch.of(stack()).case().__getitem__, (0, 1))] == [
        stack()[0].key,
        stack()[1].key,
    ]


def test_what_is_wanted_of_a_gradient_is_what_the_reference_returns() -> None:
    for case in (stack(), stack()[0]):
        assert gradients(case).array_shapes == case.gradient_shapes


def test_gradients_by_name_are_those_in_order() -> None:
    right = gradients(stack())
    assert same(Gradients.named(dict(right.entries())), right)


def test_a_name_that_no_array_of_a_gradient_has_is_refused() -> None:
    with pytest.raises(ValueError, match="'v1' is no array of a gradient"):
        Gradients.named({**dict(gradients(stack()).entries()), "v1": 0.0})


def test_a_gradient_without_an_array_of_the_case_does_not_pass() -> None:
    case = worked_example()
    right = gradients(case)
    verdict = Judge(case).verdict(replace(right, biases=(None, right.biases[1])), framework="mine")
    assert "b1: not returned, wanted shape (1,)" in verdict.detail


def test_a_gradient_with_an_array_that_the_case_has_not_does_not_pass() -> None:
    case = Case.of([[[2.0]]], None, [[1.0]], [[1.0]])
    wrong = replace(gradients(case), biases=(np.ones(1),))
    verdict = Judge(case).verdict(wrong, framework="mine")
    assert "b1: shape (1,) returned, wanted none" in verdict.detail


def test_widening_loses_nothing() -> None:
    narrow = np.array([1.0, np.inf, np.nan, 1e-45], dtype=np.float32)
    assert widened(narrow).astype(np.float32).tobytes() == narrow.tobytes()
