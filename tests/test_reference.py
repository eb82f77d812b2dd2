"""The hand-written backward pass is the derivative of the loss, on every number type."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
import sympy

from crosscheck.network.dense import Case, Gradients, Network, worked_example
from crosscheck.network.exact import exact_forward, exact_gradients, nearest_floats
from crosscheck.network.reference import gradients
from crosscheck.network.symbolic import SymbolicNetwork, sympy_gradients

EXAMPLE = {"J": 2.0, "W2": 4.0, "b2": 2.0, "W1": 6.0, "b1": 6.0, "x": 12.0}

NETWORKS = [
    pytest.param((2, 3, 1), "relu", "sum", (True, True), 1, id="two-layers"),
    pytest.param((1, 2, 1, 1), "identity", "mean", (True, False, True), 3, id="mean-of-rows"),
    pytest.param((1, 2, 2), "relu", "mean", (False, False), 2, id="no-bias"),
    pytest.param((3, 1), "relu", "sum", (True,), 2, id="one-layer"),
]


def small_case(
    widths: tuple[int, ...],
    output: Any,
    reduction: Any,
    bias: tuple[bool, ...],
    rows: int,
    seed: int,
) -> Case:
    """Odd multiples of 1/8: kinks do occur, and rounding does not."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Any:
        return rng.integers(-6, 7, shape) / 8

    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    return Case.of(
        [draw(*pair) for pair in pairs],
        [draw(n) if has else None for (n, _), has in zip(pairs, bias, strict=True)],
        draw(rows, widths[0]),
        draw(rows, widths[-1]),
        output=output,
        reduction=reduction,
    )


def assert_equal(left: Gradients, right: Gradients) -> None:
    for (name, one), (_, other) in zip(left.entries(), right.entries(), strict=True):
        assert np.array_equal(one, other), name


def gates_at_kinks(case: Case, slope: float) -> list[Any]:
    return [
        np.heaviside((z > 0) * 1.0 - (z < 0) * 1.0, slope) if case.network.has_relu(layer) else None
        for layer, z in enumerate(exact_forward(case).pre_activations, start=1)
    ]


def test_the_worked_example_gives_the_gradient_found_by_hand() -> None:
    for name, value in gradients(worked_example()).entries():
        assert np.asarray(value).item() == EXAMPLE[name]


@pytest.mark.parametrize(("widths", "output", "reduction", "bias", "rows"), NETWORKS)
@pytest.mark.parametrize("seed", range(3))
def test_sympy_finds_the_same_gradient_by_differentiating_the_loss(
    widths: tuple[int, ...], output: Any, reduction: Any, bias: Any, rows: int, seed: int
) -> None:
    case = small_case(widths, output, reduction, bias, rows, seed)
    exact = exact_gradients(case, exact_forward(case), gates_at_kinks(case, 0.5))
    for (name, ours), (_, theirs) in zip(
        exact.entries(), sympy_gradients(case).entries(), strict=True
    ):
        for index in np.ndindex(np.shape(ours)):
            one: Any = np.asarray(ours, dtype=object)[index]
            other: Any = theirs[index]
            assert Fraction(int(one.numerator), int(one.denominator)) == Fraction(
                int(other.numerator), int(other.denominator)
            ), (name, index)


def test_the_symbolic_gradient_of_the_two_layer_network_is_the_textbook_one() -> None:
    network = SymbolicNetwork.of(Network((1, 1, 1)))
    w1: Any
    w2: Any
    b1: Any
    b2: Any
    x: Any
    y: Any
    (w1,), (w2,) = network.weights[0].flat, network.weights[1].flat
    assert network.biases[0] is not None
    assert network.biases[1] is not None
    (b1,), (b2,) = network.biases[0].flat, network.biases[1].flat
    (x,), (y,) = network.x.flat, network.y.flat
    step = sympy.Heaviside
    a1: Any = sympy.Max(w1 * x + b1, 0)
    z2 = w2 * a1 + b2
    residual = sympy.Max(z2, 0) - y
    by_hand = {
        w2: residual * step(z2) * a1,
        b2: residual * step(z2),
        w1: residual * step(z2) * w2 * step(w1 * x + b1) * x,
        b1: residual * step(z2) * w2 * step(w1 * x + b1),
    }
    for symbol, formula in by_hand.items():
        assert sympy.simplify(network.derivative(symbol) - formula) == 0, symbol


@pytest.mark.parametrize(("widths", "output", "reduction", "bias", "rows"), NETWORKS)
@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_floats_and_rationals_agree_bit_for_bit_where_nothing_is_rounded(
    widths: tuple[int, ...], output: Any, reduction: Any, bias: Any, rows: int, slope: float
) -> None:
    if rows == 3:
        rows = 4  # a mean over three rows is rounded
    case = small_case(widths, output, reduction, bias, rows, seed=7)
    exact = exact_gradients(case, exact_forward(case), gates_at_kinks(case, slope))
    assert_equal(gradients(case, kink_slope=slope), nearest_floats(exact))


def test_a_stack_of_cases_gives_each_case_its_own_gradient() -> None:
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> Any:
        return rng.integers(-6, 7, shape) / 8  # so that nothing is rounded in any order

    stack = Case.of(
        [draw(5, 4, 3), draw(5, 2, 4)],
        [draw(5, 4), None],
        draw(5, 2, 3),
        draw(5, 2, 2),
        reduction="mean",
    )
    together = gradients(stack)
    for index in range(5):
        assert_equal(together[index], gradients(stack[index]))


@pytest.mark.parametrize(("layer", "slope"), list(product([1, 2], [0.0, 0.25, 1.0])))
def test_the_slope_at_a_kink_is_an_argument(layer: int, slope: float) -> None:
    case = worked_example(x=0.0) if layer == 1 else worked_example(w2=-1.0, b2=2.0)
    result = gradients(case, kink_slope=slope)
    upstream = {1: -4.0 * 3.0, 2: -5.0}[layer]
    assert result.biases[layer - 1].item() == slope * upstream
