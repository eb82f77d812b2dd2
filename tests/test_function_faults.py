"""Wrong functions that what excuses others must not let pass; and differences told as such."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from scipy import special  # type: ignore[import-untyped]
from spellings import standardized
from spellings import traced as spelled
from test_causes import WRT, case

from crosscheck import compare_functions
from crosscheck.frontends.case import FunctionCase
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.verdict import Kind
from crosscheck.network.composed import Derivatives
from crosscheck.network.tree import LEFT_OUT
from crosscheck.run.functions.judged import FunctionJudge
from crosscheck.tools.errors import UsageError


def _cubes(x: Any, w: Any) -> Any:
    return (np.tanh(x @ w) ** 3).sum()


def _quotient(name: str, step: float, factor: float = 1.0) -> Any:
    def backward(x: Any, w: Any) -> Any:
        found = []
        for k in range(len(w)):
            move = np.zeros_like(w)
            move[k] = step
            if name == "central":
                found.append((_cubes(x, w + move) - _cubes(x, w - move)) / (2 * step))
            else:
                found.append((_cubes(x, w + move) - _cubes(x, w)) / step)
        return {"w": factor * np.array(found, dtype=w.dtype)}

    return backward


def _told(backward: Any) -> str:
    found = compare_functions(_cubes, "n i, i ->", by_hand=backward, cases=12)
    assert not found.passed
    return found.message


@pytest.mark.parametrize(
    ("name", "step", "told"),
    [("central", 2.0**-6, "1/64"), ("central", 1e-2, "1/100"), ("forward", 1e-3, "1/1000")],
)
def test_a_difference_is_named_with_its_step(name: str, step: float, told: str) -> None:
    message = _told(_quotient(name, step))
    assert f"∂w: a {name} difference with step {told}, off by its truncation" in message


def test_what_is_no_difference_is_not_told_as_one() -> None:
    assert "difference with step" not in _told(_quotient("central", 2.0**-6, factor=1.01))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("factor", [0.0, 2.0, -1.0, 0.5])
def test_in_few_digits_no_multiple_of_a_gradient_passes_as_another_way_of_writing_it(
    dtype: str, factor: float
) -> None:
    kinds = []
    for seed in range(8):
        one, _ = case(seed, dtype)
        judge = FunctionJudge(one)
        right = judge.judge.reference
        arrays = {name: right.arrays[name] * factor for name in WRT}
        given = Derivatives(LEFT_OUT, {"out": LEFT_OUT, **arrays})
        kinds.append(judge.verdict(given, "mine", "by hand").kind)
    assert Kind.DISAGREES in kinds
    if abs(factor - 1) >= 1:
        # It is off by the derivative at least, which the room for other ways must be less than.
        assert Kind.UNDECIDED not in kinds


def _sent_through(x: Any, g: Any, *, forgets: str = "", factor: float = 1.0) -> Any:
    d = x - x.mean(-1, keepdims=True)
    r = 1 / np.sqrt((d * d).mean(-1, keepdims=True) + x.dtype.type(1e-5))
    h = d * r
    of_mean = 0 if forgets == "mean" else g.mean(-1, keepdims=True)
    of_size = 0 if forgets == "size" else h * (g * h).mean(-1, keepdims=True)
    return {"x": x.dtype.type(factor) * r * (g - of_mean - of_size)}


@pytest.mark.parametrize("width", [3, 64])
def test_of_what_is_right_the_first_way_is_enclosed_and_of_what_is_wrong_all_are(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bounds of the first way alone are another way to pass, which no fault may take."""
    asked: list[bool] = []
    enclosed = ProgramJudge.enclosed

    def told(self: ProgramJudge, *arguments: Any, takes_first: bool = False) -> EnclosedProgram:
        asked.append(takes_first)
        return enclosed(self, *arguments, takes_first=takes_first)

    monkeypatch.setattr(ProgramJudge, "enclosed", told)
    rng = np.random.default_rng(width)
    x, g = rng.standard_normal((2, 2, width))
    function = spelled(functools.partial(standardized, axis=-1), x=x.shape)
    one = FunctionCase.at(function, {"x": x}, {"out": g}, ("x",), dtype="float32").recognised
    numbers = one.arguments()["x"], one.cotangents()["out"]

    def kind(**fault: Any) -> Kind:
        asked.clear()
        wrong = _sent_through(*(each.astype(np.float32) for each in numbers), **fault)
        given = Derivatives(LEFT_OUT, {"out": LEFT_OUT, **wrong})
        return FunctionJudge(one).verdict(given, "mine", "by hand").kind

    assert kind() is Kind.AGREES
    assert asked == [True]
    for fault in ({"forgets": "mean"}, {"forgets": "size"}, {"factor": 1 + 2.0**-12}):
        assert kind(**fault) is Kind.DISAGREES, fault
        assert not all(asked)


def test_a_function_whose_cases_all_hold_an_open_comparison_does_not_pass() -> None:
    def jump(x: Any) -> Any:
        return np.where(x > 0, x + 1, x).sum()

    def wrong(x: Any) -> Any:
        return {"x": 7 * np.ones_like(x)}

    with pytest.raises(UsageError, match=r"not compared on any case.*np\.where\(x > 0, x \+ 1"):
        compare_functions(jump, "n ->", by_hand=wrong, inputs={"x": [0.0, 0.0]}, cases=4)


def test_a_number_that_is_taken_from_a_sorted_array_with_ties_is_compared() -> None:
    def smallest(x: Any) -> Any:
        return np.sort(x)[0] * x[0]

    def backward(x: Any) -> Any:
        return {"x": 5 * np.ones_like(x)}

    found = compare_functions(smallest, "n ->", by_hand=backward, inputs={"x": [1.0, 1.0]}, cases=4)
    assert found.failures[0].wrong == ("x",)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d, w: 2 * d * w, "∂x: twice what it must be"),
        (lambda d, w: d, "a factor of x.max(axis=1) * w is missing"),
    ],
    ids=["twice", "factor"],
)
def test_a_mistake_behind_a_maximum_is_named_where_it_is_tied(change: Any, told: str) -> None:
    def formula(x: Any, w: Any) -> Any:
        return (x.max(axis=1) * w).sum()

    def backward(x: Any, w: Any) -> Any:
        largest = (x == x.max(axis=1, keepdims=True)).astype(x.dtype)
        return {"x": change(largest / largest.sum(axis=1, keepdims=True), w[:, None])}

    tied = {"x": [[1.0, 1.0, 0.5], [2.0, -1.0, 2.0]], "w": [3.0, -0.75]}
    found = compare_functions(
        formula, "n k, n ->", by_hand=backward, cases=6, dtypes=("float64",), examples=[tied]
    )
    assert not found.passed
    assert told in found.message


def _several(x: Any, w: Any) -> Any:
    h = x @ w
    return {"mean": h.mean(0), "gate": special.expit(h), "size": np.log1p(h * h)}


def _sent_down(x: Any, w: Any, mean: Any, gate: Any, size: Any, *, forgets: str) -> Any:
    h = x @ w
    s = special.expit(h)
    parts = {
        "mean": np.broadcast_to(mean / len(h), h.shape),
        "gate": gate * s * (1 - s),
        "size": size * 2 * h / (1 + h * h),
    }
    g = np.sum([part for name, part in parts.items() if name != forgets], axis=0)
    return g @ w.T, x.T @ g


@pytest.mark.parametrize("forgets", ["", "mean", "gate", "size"])
def test_each_of_several_outputs_is_looked_at(forgets: str) -> None:
    def backward(x: Any, w: Any, mean: Any, gate: Any, size: Any) -> Any:
        return _sent_down(x, w, mean, gate, size, forgets=forgets)

    found = compare_functions(_several, "b i, i o", by_hand=backward, cases=12)
    assert found.passed is not bool(forgets)
    if forgets:
        assert "∂x, ∂w" in found.message


def test_values_that_are_wrong_are_named_among_several() -> None:
    def values(x: Any, w: Any) -> Any:
        h = x @ w
        return {"mean": h.sum(0), "gate": special.expit(h), "size": np.log1p(h * h)}, (x, w)

    def backward(mean: Any, gate: Any, size: Any, cache: Any) -> Any:
        x, w = cache
        return _sent_down(x, w, mean, gate, size, forgets="")

    found = compare_functions(_several, "b i, i o", by_hand=(values, backward), cases=12)
    assert not found.passed
    assert "wrong  mean" in found.message
    assert "gate, size" in found.message
