"""Functions that compute something else than the formula: the one step that differs is named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from crosscheck import compare_functions


def _norm(x: Any, w: Any) -> Any:
    var = (x**2).mean(axis=-1, keepdims=True)
    return x / np.sqrt(var + 1e-5) * w


def _by_torch(eps: float, gain: bool = True, factor: float = 1.0) -> Callable[..., Any]:
    torch = pytest.importorskip("torch")

    def other(x: Any, w: Any) -> Any:
        y = x / torch.sqrt((x**2).mean(-1, keepdim=True) + eps) * factor
        return y * w if gain else y + 0 * w

    return other


def _net(x: Any, w: Any, b: Any) -> Any:
    return np.maximum(x @ w.T + b, 0)


def _message(formula: Any, shapes: str, **functions: Any) -> str:
    sizes = {name: [1, 2] for name in shapes.replace("-> ", "").replace(",", "").split()}
    found = compare_functions(
        formula, shapes, cases=5, sizes=sizes, dtypes=("float64",), **functions
    )
    assert not found.passed
    return found.message


@pytest.mark.parametrize(
    ("eps", "gain", "told"),
    [
        (1e-3, True, "the constant 0.001 in place of 1e-05 in var + 1e-5"),
        (1e-5, False, "np.sqrt(var + 1e-5) * w only x / np.sqrt(var + 1e-5) was taken"),
    ],
    ids=["constant", "gain"],
)
def test_another_constant_and_a_missing_factor_are_named(eps: float, gain: bool, told: str) -> None:
    message = _message(_norm, "n d, d -> n d", torch=_by_torch(eps, gain))
    assert "the values and the gradient are wrong" in message
    assert told in message


def test_two_changes_are_not_told_as_one() -> None:
    message = _message(_norm, "n d, d -> n d", torch=_by_torch(1e-3, factor=3.0))
    assert "another function" not in message


def test_an_output_without_its_activation_and_a_bias_that_is_not_used_are_named() -> None:
    torch = pytest.importorskip("torch")
    functions = {
        "linear": lambda x, w, b: x @ w.T + b,
        "unbiased": lambda x, w, b: torch.relu(x @ w.T) + 0 * b,
    }
    message = _message(_net, "n i, h i, h -> n h", torch=functions)
    assert "without np.maximum(x @ w.T + b, 0), what it is applied to was taken" in message
    assert "of x @ w.T + b only x @ w.T was taken" in message


def test_of_right_values_with_a_wrong_gradient_no_other_function_is_told() -> None:
    def forward(x: Any, w: Any, b: Any) -> Any:
        return _net(x, w, b), (x, w, b)

    def ungated(g: Any, kept: Any) -> Any:
        x, w, _ = kept
        return g @ w, g.T @ x, g.sum(0)

    message = _message(_net, "n i, h i, h -> n h", by_hand=(forward, ungated))
    assert "another function" not in message
    assert "the mask of np.maximum(x @ w.T + b, 0) is missing" in message
