"""Functions as their users write them: the right ones pass, of the wrong ones it is said why."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

from crosscheck import compare_functions, integers

CASES = 12


def module(name: str) -> Any:
    return importlib.import_module(f"examples.{name}")


def compared(name: str, formula: str, *, cases: int = CASES, **arguments: Any) -> Any:
    """A formula of an example with some of its functions, which are given by name."""
    example = module(name)
    functions: dict[str, Any] = {
        role: {each: getattr(example, each) for each in names}
        for role, names in arguments.items()
        if role in ("by_hand", "torch", "tensorflow", "jax")
    }
    rest = {key: value for key, value in arguments.items() if key not in functions}
    shapes = rest.pop("shapes", example.SHAPES)
    return compare_functions(getattr(example, formula), shapes, cases=cases, **functions, **rest)


RIGHT: dict[str, dict[str, Any]] = {
    "a_two_layer": {"formula": "loss", "by_hand": ["gradients"]},
    "b_mse": {
        "formula": "mse",
        "torch": ["torch_mse"],
        "tensorflow": ["tensorflow_mse"],
        "jax": ["jax_mse"],
        "sizes": {"n": [1, 3], "k": [1, 2]},
        "cases": 8,
    },
    "c_layer_norm": {"formula": "layer_norm", "torch": ["Norm"]},
    "d_softmax": {"formula": "softmax", "jax": ["right"], "sizes": {"n": [1, 2], "k": [1, 3]}},
    "e_attention": {"formula": "attention", "by_hand": ["backward"], "cases": 6},
    "f_course": {
        "formula": "loss",
        "by_hand": ["gradients"],
        "inputs": {"y": integers(0, "c")},
    },
    "g_batches": {"formula": "loss", "by_hand": ["accumulated"]},
    "h_recurrence": {"formula": "rnn", "by_hand": ["through_time"]},
    "i_leaky": {
        "formula": "leaky",
        "by_hand": ["backward"],
        "torch": ["torch_leaky"],
        "jax": ["jax_leaky"],
    },
    "k_bias_gelu": {
        "formula": "bias_gelu",
        "torch": ["BiasGelu"],
        "precision": "bfloat16, inside float32",
        "sizes": {"n": [1, 3], "k": [1, 2]},
        "cases": 8,
    },
}


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_passes(name: str) -> None:
    found = compared(name, **RIGHT[name])
    assert found.passed, found.message


# What is wrong, and words of what is said of it: the step, the cause, the smallest case.
WRONG: list[tuple[str, dict[str, Any], list[str]]] = [
    (
        "a_two_layer",
        {"formula": "loss", "by_hand": ["forgot_mask"]},
        [
            "the mask of np.maximum(x @ w1.T + b1, 0) is missing",
            "a_two_layer.py:7",
            "wrong  ∂w1, ∂b1      right  ∂w2, ∂b2",
            "must be exactly",
        ],
    ),
    (
        "b_mse",
        {"formula": "mse", "jax": ["jax_half"]},
        ["jax jax_half: the values and the gradient are wrong", "half of what they must be"],
    ),
    (
        "c_layer_norm",
        {"formula": "layer_norm", "torch": ["WithoutMean"]},
        ["x.mean(axis=-1, keepdims=True) is missing in x - mean", "held constant"],
    ),
    (
        "c_layer_norm",
        {"formula": "layer_norm", "torch": ["WithoutVariance"]},
        ["the term through np.sqrt(var + 1e-5) is missing", "held constant"],
    ),
    (
        "c_layer_norm",
        {"formula": "layer_norm", "torch": ["WithoutGain"]},
        ["a factor of (x - mean) / np.sqrt(var + 1e-5) * w is missing"],
    ),
    (
        "c_layer_norm",
        {"formula": "layer_norm", "torch": ["WithoutRoot"]},
        ["∂x: the factor 1 / (np.sqrt(var + 1e-5)) of the whole derivative is missing"],
    ),
    (
        "c_layer_norm",
        {"formula": "layer_norm", "torch": ["MeanOverRows"]},
        ["∂b: 1/n times what it must be", "multiply by n"],
    ),
    (
        "c_layer_norm",
        {"formula": "layer_norm", "torch": ["OfInput"]},
        [
            "∂w: formed with x in place of (x - mean) / np.sqrt(var + 1e-5)",
            "wrong  ∂w      right  the values, ∂x, ∂b",
        ],
    ),
    (
        "d_softmax",
        {"formula": "softmax", "jax": ["without_jacobian"], "sizes": {"n": [1, 2], "k": [1, 3]}},
        [
            "the term through e.sum(axis=-1, keepdims=True) is missing",
            "d_softmax.py:10   e / e.sum(axis=-1, keepdims=True)",
            "right  the values",
        ],
    ),
    (
        "e_attention",
        {"formula": "attention", "by_hand": ["without_scale"]},
        ["a factor of q @ k.T / np.sqrt(q.shape[-1]) is missing", "right  ∂v"],
    ),
    (
        "f_course",
        {"formula": "loss", "by_hand": ["without_rows"], "inputs": {"y": integers(0, "c")}},
        ["n times what they must be, in every case", "divide by n"],
    ),
    (
        "g_batches",
        {"formula": "loss", "by_hand": ["means_added"]},
        ["∂w1, ∂w2: twice what they must be", "divide by 2"],
    ),
    (
        "h_recurrence",
        {"formula": "rnn", "by_hand": ["transposed"]},
        ["transposed in the backward of h @ u.T", "h_recurrence.py:8", "must be exactly"],
    ),
    (
        "i_leaky",
        {"formula": "leaky", "by_hand": ["other_slope"]},
        ["another slope: on one side of np.where(x > 0, x, 0.2 * x) it is 0.01"],
    ),
    (
        "i_leaky",
        {"formula": "leaky", "torch": ["torch_default"]},
        ["the values and the gradient are wrong", "it is 0.01"],
    ),
    (
        "i_leaky",
        {"formula": "leaky", "by_hand": ["zero_at_zero"], "cases": 24},
        ["the slope 0 was taken, λ = -0.25, outside [0, 1]"],
    ),
]


@pytest.mark.parametrize(
    ("name", "arguments", "words"), WRONG, ids=[f"{name}-{k}" for k, (name, *_) in enumerate(WRONG)]
)
def test_of_what_is_wrong_it_is_said_why(
    name: str, arguments: dict[str, Any], words: list[str]
) -> None:
    found = compared(name, **arguments)
    assert not found.passed
    missing = [each for each in words if each not in found.message]
    assert not missing, found.message


def test_at_a_kink_a_difference_takes_the_middle_and_a_mask_one_side() -> None:
    inputs = {"x": [[1.0]], "w": [0.0]}
    found = compared(
        "j_difference", "hinge", by_hand=["analytic", "difference"], inputs=inputs, wrt=["w"]
    )
    assert found.passed, found.message
    slopes = {name: slope for name, _, slope in found.boundary}
    assert slopes == {"by_hand analytic (by hand)": "0", "by_hand difference (by hand)": "1/2"}


def test_a_sum_in_bfloat16_breaks_the_contract_and_is_named() -> None:
    inputs = {"x": [[8.0]] * 258, "b": [0.0]}
    found = compared(
        "k_bias_gelu",
        "bias_gelu",
        torch=["BiasGelu", "InBfloat16"],
        precision="bfloat16, inside float32",
        inputs=inputs,
        cotangents="ones",
    )
    (failure,) = found.failures
    assert failure.name == "torch InBfloat16"
    assert failure.wrong == ("b",)
    assert "∂b was summed in bfloat16: 258 terms that make 258 come to 256" in found.message
    assert "k_bias_gelu.py:8   x + b" in found.message


def _summed(x: Any, w: Any) -> Any:
    return np.tanh(x @ w).sum()


@pytest.mark.parametrize("width", [2, 64])
@pytest.mark.parametrize("factor", [0.0, 2.0, -1.0, 1.01])
def test_no_share_of_a_gradient_is_excused_as_another_way_of_writing_it(
    factor: float, width: int
) -> None:
    def backward(x: Any, w: Any) -> Any:
        slope = 1 - np.tanh(x @ w) ** 2
        return {"x": np.outer(slope, w), "w": (slope @ x) * x.dtype.type(factor)}

    sizes = {"i": width, "n": [1, 2]}
    found = compare_functions(
        _summed, "n i, i ->", by_hand=backward, sizes=sizes, dtypes=("float32",), cases=6
    )
    (failure,) = found.failures
    assert failure.wrong == ("w",)
