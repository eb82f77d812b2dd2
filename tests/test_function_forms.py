"""The forms in which gradients are written by hand: each is called as its users call it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from crosscheck import compare_functions
from crosscheck.run.functions.forms import HandWritten, backward, by_name, layer
from crosscheck.tools.errors import UsageError

X, W, B = np.array([[1.0, 2.0]]), np.array([[3.0, -1.0]]), np.array([0.5])
G = np.array([[-2.0]])
ARGUMENTS = {"x": X, "w": W, "b": B}
RIGHT: dict[str, Any] = {"x": G @ W, "w": G.T @ X, "b": G.sum(0)}


def written(function: Any, *, is_scalar: bool = False, outputs: tuple[str, ...] = ("out",)) -> Any:
    names = tuple(ARGUMENTS)
    return HandWritten(function, names, outputs, names, is_scalar)


def assert_right(found: dict[str, Any], factor: float = 1.0) -> None:
    assert {name: value.tolist() for name, value in found.items()} == {
        name: (factor * RIGHT[name]).tolist() for name in found
    }


def tuple_of(x: Any, w: Any, b: Any, g: Any) -> Any:
    return g @ w, g.T @ x, g.sum(0)


def dict_of(x: Any, w: Any, b: Any, g: Any) -> Any:
    return {"dw": g.T @ x, "b": g.sum(0)}


class Affine:
    def __init__(self, w: Any, b: Any) -> None:
        self.w, self.b = w, b

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.w.T + self.b

    def backward(self, g: Any) -> Any:
        self.dw, self.db = g.T @ self.x, g.sum(0)
        return g @ self.w


def forward_and_cache(x: Any, w: Any, b: Any) -> Any:
    return x @ w.T + b, (x, w)


def backward_of_cache(g: Any, cache: Any) -> Any:
    x, w = cache
    return g @ w, g.T @ x, g.sum(0)


@pytest.mark.parametrize("function", [tuple_of, dict_of])
def test_a_backward_takes_inputs_and_cotangents(function: Any) -> None:
    values, found = written(function)(ARGUMENTS, {"out": G})
    assert values == {}
    assert_right(found)


def test_what_is_left_out_is_not_there() -> None:
    _, found = written(dict_of)(ARGUMENTS, {"out": G})
    assert list(found) == ["w", "b"]


def test_a_pair_of_forward_and_backward_shares_a_cache() -> None:
    values, found = written((forward_and_cache, backward_of_cache))(ARGUMENTS, {"out": G})
    assert values["out"].tolist() == (X @ W.T + B).tolist()
    assert_right(found)


def test_a_layer_is_made_of_its_attributes() -> None:
    values, found = written(layer(Affine, w="w", b="b"))(ARGUMENTS, {"out": G})
    assert values["out"].tolist() == (X @ W.T + B).tolist()
    assert_right(found)


def test_the_gradient_of_one_number_is_weighed_with_its_cotangent() -> None:
    def loss_and_gradients(x: Any, w: Any, b: Any) -> Any:
        return np.float64(7.0), RIGHT

    for function in (loss_and_gradients, lambda x, w, b: RIGHT):
        _, found = written(function, is_scalar=True)(ARGUMENTS, {"out": np.array(-2.0)})
        assert_right(found, -2.0)


def test_a_function_of_another_number_of_arguments_is_told_what_is_wanted() -> None:
    with pytest.raises(UsageError, match=r"wanted f\(x, w, b, cotangent_of_out\) or a pair"):
        written(lambda x: x)
    with pytest.raises(UsageError, match=r"wanted f\(x, w, b\), f\(x, w, b, cotangent_of_out\)"):
        written(lambda: 0, is_scalar=True)


@pytest.mark.parametrize(
    ("returned", "complaint"),
    [
        ({"q": X}, "a derivative by 'q' returned; wanted x, w, b"),
        ((X,), "1 derivatives returned, wanted 3: x, w, b"),
        (X, "wanted 3 derivatives"),
    ],
)
def test_what_is_no_gradient_is_said(returned: Any, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        written(lambda x, w, b, g: returned)(ARGUMENTS, {"out": G})


def test_a_class_without_a_backward_is_no_layer() -> None:
    with pytest.raises(UsageError, match="has no method backward"):
        layer(type("Half", (), {"forward": lambda self, x: x}), w="w")
    with pytest.raises(UsageError, match="'q' is no argument"):
        written(layer(Affine, w="w", b="q"))


def test_outputs_are_matched_by_name_or_in_order() -> None:
    assert by_name((1, 2), ("a", "b")) == {"a": 1, "b": 2}
    assert by_name({"b": 2, "a": 1}, ("a", "b")) == {"a": 1, "b": 2}
    assert by_name([X], ("out",))["out"] is X
    with pytest.raises(UsageError, match="outputs c returned, wanted a, b"):
        by_name({"c": 1}, ("a", "b"))
    with pytest.raises(UsageError, match="wanted 2 outputs"):
        by_name(X, ("a", "b"))


def test_a_backward_in_a_librarys_arrays_says_so() -> None:
    assert backward(tuple_of).function is tuple_of


def test_a_function_class_of_pytorch_is_a_formula_by_its_forward() -> None:
    torch = pytest.importorskip("torch")

    class Squash(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            y = torch.tanh(x @ w)
            ctx.save_for_backward(x, w, y)
            return y

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, w, y = ctx.saved_tensors
            g = g * (1 - y * y)
            return g @ w.T, x.T @ g

    class Wrong(Squash):
        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, w, y = ctx.saved_tensors
            g = g * (1 - y)
            return g @ w.T, x.T @ g

    for formula in (Squash, Squash.apply):
        found = compare_functions(
            formula, "b i, i o", torch={"right": Squash, "wrong": Wrong}, cases=4
        )
        assert found.name == "Squash"
        assert [each.name for each in found.failures] == ["torch wrong"]
