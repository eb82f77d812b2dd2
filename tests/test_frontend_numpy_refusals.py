"""What cannot be traced is refused with the user's line, and choices are functions with kinks."""

# mypy: disable-error-code="no-untyped-def, no-untyped-call"

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosscheck.frontends.numpy_.trace import trace
from crosscheck.tools.errors import CrosscheckError

X = np.array([1.0, -2.0, 3.0])
W = np.arange(12.0).reshape(3, 4)
PLAIN = np.ndarray


def branch(x):
    return x if x.sum() > 0 else -x


def by_float(x):
    return float(x[0]) * x


def by_int(x):
    return x[int(x[0])]


def by_math(x):
    return math.exp(x[0])


def by_random_numbers(x):
    return x * np.random.default_rng().random(3)


def by_singular_values(x):
    return np.linalg.svd(np.outer(x, x))[1]


def by_spectral_norm(x):
    return np.linalg.norm(np.outer(x, x), 2, axis=(0, 1))


def into_plain_array(x):
    buffer = PLAIN(3)
    buffer[:] = 0
    buffer[0] = x[0]
    return buffer


def as_integers(x):
    return x.astype(int) * 1.0


def method_of_captured(x):
    return W.T.dot(x)


def index_of_largest(x):
    return x[np.argmax(x)]


def larger_by_python(x):
    return max(x[0], x[1])


def caught(x):
    try:
        return x * float(x[0])
    except ValueError:
        return x


def unset(x):
    out = np.empty(3)
    out[0] = x[0]
    return out * x


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (branch, "a branch on the numbers"),
        (by_float, "become plain ones"),
        (by_int, "become integers"),
        (by_math, "become plain ones"),
        (by_random_numbers, "random"),
        (by_singular_values, r"np\.linalg\.svd is not understood"),
        (by_spectral_norm, r"np\.linalg\.norm with ord=2"),
        (into_plain_array, "become plain ones"),
        (as_integers, "becomes one of int"),
        (method_of_captured, "derivative would be lost"),
        (index_of_largest, "argmax of a differentiated array is used"),
        (larger_by_python, "a branch on the numbers"),
        (caught, "become plain ones"),
        (unset, "before they are set"),
    ],
)
def test_what_cannot_be_traced_is_one_line_with_its_place(
    function: Callable[..., Any], words: str
) -> None:
    zeros = np.zeros
    with pytest.raises(CrosscheckError, match=words) as caught_error:
        trace(function, {"x": X}, traced=["x"])
    line = str(caught_error.value)
    assert "\n" not in line
    place, number = line.split(": ")[0].rsplit(":", 1)
    first = function.__code__.co_firstlineno
    assert Path(place).name == Path(__file__).name
    assert first < int(number) <= first + 5
    assert np.zeros is zeros


def leaky_by_maximum(x):
    return np.maximum(x, 0.01 * x)


def leaky_by_where(x):
    return np.where(x > 0, x, 0.01 * x)


def leaky_by_product(x):
    return x * np.where(x >= 0, 1, 0.01)


def leaky_by_masks(x):
    return x * (x > 0) + 0.01 * x * (x <= 0)


def leaky_in_place(x):
    x[x < 0] *= 0.01
    return x


def leaky_by_parts(x):
    return np.maximum(x, 0) + 0.01 * np.minimum(x, 0)


@pytest.mark.parametrize(
    "function",
    [
        leaky_by_maximum,
        leaky_by_where,
        leaky_by_product,
        leaky_by_masks,
        leaky_in_place,
        leaky_by_parts,
    ],
)
def test_a_leaky_relu_in_any_spelling_is_one_function_with_a_kink(
    function: Callable[..., Any],
) -> None:
    found = trace(function, {"x": X}, traced=["x"])
    nodes = [found.program.nodes[number] for number in found.program.needed]
    assert [each.op for each in nodes] == ["input", "piecewise"]
    assert nodes[1].settings["function"].kinks == (0,)
    assert found.comparisons == ()
    assert X.tolist() == [1.0, -2.0, 3.0]


@pytest.mark.parametrize(
    "function",
    [lambda x: np.where(x > 0, x + 1, x), lambda x: (x > 0) * np.exp(x), lambda x: x[x > 0].sum()],
    ids=["jump", "gate", "selected"],
)
def test_what_jumps_or_is_selected_is_recorded(function: Callable[..., Any]) -> None:
    found = trace(function, {"x": X}, traced=["x"])
    assert [each.node for each in found.comparisons] == [found.program.inputs["x"]]


def test_of_what_is_fixed_nothing_is_recorded() -> None:
    def function(x, y):
        return y * (x > 0) if x[0] > 0 else y

    found = trace(function, {"x": X, "y": X}, traced=["x", "y"], fixed=["x"])
    assert found.comparisons == ()


def test_what_is_captured_or_left_out_is_noted() -> None:
    def function(x):
        return x @ W, np.argmax(x)

    found = trace(function, {"x": X}, traced=["x"])
    assert found.outputs == ("out0",)
    assert any(note == "captured: W (3 x 4), not differentiated" for note in found.notes)
    assert any("argmax" in note for note in found.notes)
