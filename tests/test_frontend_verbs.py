"""Operations of array libraries in primitives: each is NumPy's own, by value."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from crosscheck.frontends import verbs
from crosscheck.program.evaluate import evaluate
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Graph, Var
from crosscheck.tools.errors import UsageError

A = np.arange(1.0, 7.0).reshape(2, 3)
B = np.array([[2.0], [-4.0]])
C = np.array([0.5, -1.0, 4.0])


def value(write: Callable[..., Var], *arrays: Any) -> Any:
    graph = Graph()
    leaves = {f"x{k}": graph.leaf(f"x{k}", each.shape) for k, each in enumerate(arrays)}
    found = write(*leaves.values())
    program = graph.program(leaves, {"out": found})
    numbers = dict(zip(leaves, arrays, strict=True))
    value = evaluate(program, OnFloats(), numbers)["out"]
    assert value.shape == found.shape
    return value


@pytest.mark.parametrize(
    ("write", "plain"),
    [
        (verbs.add, np.add),
        (verbs.subtract, np.subtract),
        (verbs.multiply, np.multiply),
        (verbs.divide, np.divide),
        (lambda a, b: verbs.extreme(a, b, 1), np.maximum),
        (lambda a, b: verbs.extreme(a, b, -1), np.minimum),
    ],
)
@pytest.mark.parametrize("operands", [(A, B), (A, C), (C, B), (A, np.array(2.0))])
def test_operands_broadcast_as_numpys_do(
    write: Callable[..., Var], plain: Callable[..., Any], operands: tuple[Any, Any]
) -> None:
    assert np.array_equal(value(write, *operands), plain(*operands))


@pytest.mark.parametrize(
    "shapes",
    [((2, 3), (3, 4)), ((3,), (3,)), ((3,), (3, 2)), ((2, 3), (3,)), ((5, 2, 3), (3, 4))],
)
def test_a_matrix_product_has_numpys_shapes(shapes: tuple[Any, Any]) -> None:
    one, two = (np.arange(float(np.prod(each))).reshape(each) for each in shapes)
    assert np.array_equal(value(verbs.matmul, one, two), one @ two)


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 1), ()])
@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    ("write", "plain"),
    [
        (verbs.sum_along, np.sum),
        (verbs.mean, np.mean),
        (lambda x, axis, keep: verbs.extreme_along(x, axis, 1, keep), np.max),
        (lambda x, axis, keep: verbs.extreme_along(x, axis, -1, keep), np.min),
    ],
)
def test_sums_means_and_extremes_run_along_axes(
    write: Callable[..., Var], plain: Callable[..., Any], axis: Any, keep: bool
) -> None:
    found = value(lambda x: write(x, axis, keep), A)
    assert np.allclose(found, plain(A, axis, keepdims=keep))


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 5, 8, -1, -3, 0.5, -0.5, 1.5])
def test_powers_have_constant_exponents(exponent: float) -> None:
    assert np.allclose(value(lambda x: verbs.power(x, exponent), A), A**exponent)


def test_what_moves_numbers_keeps_them() -> None:
    assert np.array_equal(value(lambda x: verbs.reshaped(x, (3, 2)), A), A.reshape(3, 2))
    assert np.array_equal(value(verbs.transposed, A), A.T)
    joined = value(lambda x, y: verbs.joined([x, y], 1), A, B)
    assert np.array_equal(joined, np.concatenate([A, B], 1))
    mask = np.array([True, False, True])
    assert np.array_equal(value(lambda x, y: verbs.chosen(mask, x, y), A, B), np.where(mask, A, B))


def test_a_constant_is_exact_whatever_its_shape() -> None:
    numbers = np.array([[0.1, 0.0, 2.0], [0.1, -3.0, 0.0]])

    def shifted(x: Var) -> Var:
        found = verbs.constant(x.graph, numbers)
        assert found is not None
        return verbs.multiply(x, found)

    assert np.array_equal(value(shifted, A), A * numbers)
    graph = Graph()
    assert verbs.constant(graph, np.arange(99.0)) is None
    third = verbs.constant(graph, 1 / 3)
    assert third is not None
    assert verbs.number_of(third) == Fraction(1 / 3)


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(UsageError, match="do not broadcast"):
        value(verbs.add, A, np.ones(2))
    with pytest.raises(UsageError, match="matrix product"):
        value(verbs.matmul, A, A)
    with pytest.raises(UsageError, match="axis 2"):
        value(lambda x: verbs.sum_along(x, 2), A)
