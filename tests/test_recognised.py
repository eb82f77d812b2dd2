"""What is written out and is a known compound is recognised, and is the same function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from spellings import (
    OF_ONE,
    OF_ROWS,
    SPELLED,
    exp,
    largest,
    log,
    number,
    one,
    sigmoid,
    softmax,
    traced,
)

from crosscheck.frontends import verbs as v
from crosscheck.frontends.numpy_.trace import trace
from crosscheck.frontends.recognised import recognised
from crosscheck.frontends.traced import Comparison, Source, TracedFunction
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.model import Model
from crosscheck.program.derive import vjp
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import evaluate
from crosscheck.program.graph import Program, Var

FLOAT32 = FORMATS["float32"]


def _softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def _log_sum_exp(z: Any) -> Any:
    m = z.max(axis=1, keepdims=True)
    return m + np.log(np.exp(z - m).sum(axis=1, keepdims=True))


def _without_shift(z: Any) -> Any:
    return np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1))


def _largest_too(z: Any) -> Any:
    return _softmax(z) * z.max(axis=1, keepdims=True)


SHIFTED: dict[str, tuple[bool, Callable[..., Any]]] = {
    "softmax": (True, _softmax),
    "log_sum_exp": (True, _log_sum_exp),
    "it does not come back": (False, _without_shift),
    "it is wanted besides": (False, _largest_too),
    "no rows": (False, lambda z: np.tanh(z - z.max(axis=1, keepdims=True))),
}


def ops(program: Program, everywhere: bool = True) -> list[str]:
    """The primitives of a program and of the ways in it."""
    found = []
    for number_ in program.needed:
        node = program.nodes[number_]
        found.append(node.settings.get("function", node.op) if node.op == "elementary" else node.op)
        for way in node.settings.get("ways", ()) if everywhere else ():
            found += ops(way)
    return found


def gradient_of(function: TracedFunction) -> Program:
    return vjp(function.program, {"out": "g"}, list(function.program.inputs))


def enclosed(function: TracedFunction, arrays: dict[str, np.ndarray]) -> dict[str, Enclosure]:
    model = Model(FLOAT32)
    given = {name: Enclosure.of(model, array) for name, array in arrays.items()}
    with np.errstate(all="ignore"):
        return evaluate(gradient_of(function), OnEnclosures(model), given)


def some(seed: int, function: TracedFunction, count: int = 40) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    nodes, program = function.program.nodes, function.program
    shapes = {name: nodes[k].shape for name, k in program.inputs.items()}
    shapes["g"] = nodes[program.outputs["out"]].shape
    return {
        name: FLOAT32.round(rng.standard_normal((count, *shape))) for name, shape in shapes.items()
    }


@pytest.mark.parametrize("name", OF_ROWS)
def test_a_compound_of_rows_is_recognised_and_decides_nothing(name: str) -> None:
    found = recognised(traced(OF_ROWS[name], x=(2, 3)))
    assert name.split()[0] in ops(found.program)
    assert "max" not in ops(found.program)
    assert "largest" not in ops(gradient_of(found))


@pytest.mark.parametrize("name", OF_ONE)
def test_a_function_of_one_number_is_recognised(name: str) -> None:
    found = recognised(traced(OF_ONE[name], x=(2, 3)))
    assert name.split()[0] in ops(found.program)
    assert "select" not in ops(gradient_of(found), everywhere=False)


@pytest.mark.parametrize("name", [*SPELLED, *OF_ROWS, *OF_ONE])
def test_what_is_recognised_is_the_same_function_with_the_same_derivative(name: str) -> None:
    formula, shapes = SPELLED[name][:2] if name in SPELLED else ({**OF_ROWS, **OF_ONE}[name], None)
    before = traced(formula, **(shapes or {"x": (2, 3)}))
    after = recognised(before)
    assert after.program.outputs.keys() == before.program.outputs.keys()
    arrays = some(3, before)
    known = enclosed(before, arrays)
    for key, each in enclosed(after, arrays).items():
        apart = np.abs(each.high - known[key].high)
        assert (apart <= each.r + known[key].r + 2 * FLOAT32.unit_roundoff**2).all(), key
        assert np.isfinite(each.bound).all()


@pytest.mark.parametrize(
    ("name", "operator"),
    [
        ("layer norm", "derived"),
        ("batch norm", "derived"),
        ("attention", "softmax_product"),
        ("causal attention", "softmax_product"),
    ],
)
def test_what_is_a_layer_has_the_ways_of_the_layer(name: str, operator: str) -> None:
    formula, shapes, _ = SPELLED[name]
    assert operator in ops(recognised(traced(formula, **shapes)).program)


def test_targets_and_shares_are_subtracted_where_a_loss_is_recognised() -> None:
    formula, shapes, _ = SPELLED["cross-entropy"]
    assert "cross_entropy" in ops(recognised(traced(formula, **shapes)).program)
    for name in ("binary", "binary of logits"):
        formula, shapes, _ = SPELLED[name]
        assert "softplus" in ops(recognised(traced(formula, **shapes)).program)


def shifted_logarithm(x: Var) -> Var:
    return log(v.sum_along(exp(v.subtract(x, largest(x))), -1, True))


def foreign_powers(x: Var) -> Var:
    e = exp(v.subtract(x, largest(x)))
    return v.divide(e, v.sum_along(exp(v.multiply(x, x)), -1, True))


def half_a_row(x: Var) -> Var:
    e = exp(x)
    return v.divide(e, v.sum_along(v.moved(e, lambda places: places[:, :2]), -1, True))


def shifted_by_another_row(x: Var) -> Var:
    m = v.moved(largest(x), lambda places: places[::-1])
    d = v.subtract(x, m)
    return v.subtract(v.subtract(x, largest(x)), log(v.sum_along(exp(d), -1, True)))


def of_mean_squares(x: Var) -> Var:
    mean = v.mean(x, -1, True)
    variance = v.subtract(v.mean(v.multiply(x, x), -1, True), v.multiply(mean, mean))
    root = v.elementary("sqrt", v.add(variance, number(x, 1e-5)))
    return v.divide(v.subtract(x, mean), root)


@pytest.mark.parametrize(
    ("formula", "kept"),
    [
        (shifted_logarithm, "max"),
        (foreign_powers, "max"),
        (shifted_by_another_row, "max"),
        (of_mean_squares, "difference"),
        (half_a_row, "reciprocal"),
        (lambda x: log(v.add(softmax(x), number(x, 1e-12))), "log"),
        (lambda x: v.divide(one(x), v.add(number(x, 2.0), exp(x.times(-1)))), "reciprocal"),
        (lambda x: v.multiply(x, sigmoid(x.times(2))), "mul"),
    ],
)
def test_what_is_nearly_a_compound_stays_what_it_is(
    formula: Callable[[Var], Var], kept: str
) -> None:
    before = traced(formula, x=(2, 3))
    after = recognised(before)
    assert kept in ops(after.program, everywhere=False)
    arrays = some(5, before)
    known = enclosed(before, arrays)
    for key, each in enclosed(after, arrays).items():
        apart = np.abs(each.high - known[key].high)
        assert (apart <= each.r + known[key].r + 2 * FLOAT32.unit_roundoff**2).all(), key


def test_sources_and_comparisons_go_along() -> None:
    before = traced(lambda x: v.multiply(softmax(x), x), x=(2, 3))
    product = before.program.outputs["out"]
    quotient = before.program.nodes[product].inputs[0]
    source = Source("example.py", 3, "e / e.sum(-1, keepdims=True)")
    asked = Comparison(before.program.inputs["x"], None)
    after = recognised(
        TracedFunction(
            "f", before.program, ("out",), sources={quotient: source}, comparisons=(asked,)
        )
    )
    assert [each.node for each in after.comparisons] == [after.program.inputs["x"]]
    node = after.program.nodes[after.program.outputs["out"]]
    assert after.sources[node.inputs[0]] == source
    assert node.op == "mul"


def test_what_vanishes_is_held_where_the_largest_may_be_and_nowhere_else() -> None:
    model = Model(FLOAT32)
    a = Enclosure.of(model, np.array([[1.0, 1.0, 0.5]]))
    zero, e = np.zeros((1, 1)), np.full((1, 1), 0.25)
    found = OnEnclosures(model).vanishing(a, Enclosure(model, zero, zero, e))
    assert found.high.tolist() == [[0.0] * 3]
    assert found.e.tolist() == [[0.25, 0.25, 0.0]]
    unknown = OnEnclosures(model).vanishing(
        a, Enclosure(model, zero, zero, np.full((1, 1), np.inf))
    )
    assert np.isinf(unknown.bound).all()


def _maxima(function: TracedFunction) -> set[int]:
    program = function.program
    return {number_ for number_ in program.needed if program.nodes[number_].op == "max"}


@pytest.mark.parametrize("name", sorted(SHIFTED))
def test_a_maximum_is_a_shift_only_where_it_cancels_everywhere(name: str) -> None:
    is_shift, formula = SHIFTED[name]
    function = trace(formula, {"z": np.arange(6.0).reshape(2, 3)}, traced=["z"])
    assert len(_maxima(function)) == 1
    assert recognised(function).shifts == (_maxima(function) if is_shift else set())
