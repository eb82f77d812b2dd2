"""The one mistake that explains every failing case: planted ones are named, with their size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from crosscheck.frontends import verbs
from crosscheck.frontends.case import FunctionCase
from crosscheck.frontends.traced import Source, TracedFunction
from crosscheck.judge.causes.search import Failing, find_cause
from crosscheck.network.composed import Derivatives
from crosscheck.network.tree import LEFT_OUT
from crosscheck.program.graph import Graph, Var

Arrays = dict[str, Any]
WRT = ("x", "w", "b", "u")


def traced(rows: int, features: int, units: int) -> TracedFunction:
    """mean((relu(x wᵀ + b) uᵀ)²), as a frontend would trace it."""
    graph = Graph()
    shapes = {"x": (rows, features), "w": (units, features), "b": (units,), "u": (units, units)}
    leaves = {name: graph.leaf(name, shape) for name, shape in shapes.items()}
    sources: dict[int, Source] = {}

    def at(line: int, text: str, value: Var) -> Var:
        sources[value.number] = Source("net.py", line, text)
        return value

    zero = verbs.constant(graph, 0.0)
    assert zero is not None
    product = at(2, "x @ w.T", verbs.matmul(leaves["x"], verbs.transposed(leaves["w"])))
    z = at(2, "x @ w.T + b", verbs.add(product, leaves["b"]))
    a = at(3, "np.maximum(z, 0)", verbs.extreme(z, zero, 1))
    out = at(4, "a @ u.T", verbs.matmul(a, verbs.transposed(leaves["u"])))
    square = at(5, "o * o", verbs.multiply(out, out))
    mean = at(5, "(o * o).mean()", verbs.mean(square))
    return TracedFunction("f", graph.program(leaves, {"out": mean}), ("out",), {}, sources)


def case(seed: int, dtype: str) -> tuple[FunctionCase, dict[str, int]]:
    rng = np.random.default_rng(seed)
    rows, features, units = map(int, rng.integers(1, 6, 3))
    arrays = {
        "x": rng.standard_normal((rows, features)),
        "w": rng.standard_normal((units, features)),
        "b": rng.standard_normal(units),
        "u": rng.standard_normal((units, units)),
    }
    cotangent = {"out": rng.standard_normal(())}
    sizes = {"n": rows, "i": features, "h": units}
    function = traced(rows, features, units)
    return FunctionCase.at(function, arrays, cotangent, WRT, dtype=dtype), sizes


def backward(case: FunctionCase, change: Callable[[Arrays], None]) -> Derivatives:
    """By hand, in the case's dtype; ``change`` makes the mistake at one of its steps."""
    kind = np.dtype(case.dtype).type
    v: Arrays = {name: kind(array) for name, array in case.arguments().items()}
    v["z"] = v["x"] @ v["w"].T + v["b"]
    v["a"] = np.maximum(v["z"], kind(0))
    v["o"] = v["a"] @ v["u"].T
    v["go"] = 2 * v["o"] / kind(v["o"].size) * kind(case.cotangents()["out"])
    v["to_a"], v["mask"], v["kept"] = v["u"], v["z"] > 0, v["a"]
    change(v)
    v["ga"] = v["go"] @ v["to_a"]
    v["gz"] = v["ga"] * v["mask"]
    found = {
        "x": v["gz"] @ v["w"],
        "w": v["gz"].T @ v["x"],
        "b": v["gz"].sum(0) if "over" not in v else v["gz"].mean(0),
        "u": v["go"].T @ v["kept"],
    }
    arrays = {name: np.asarray(found[name], dtype=np.float64) for name in WRT}
    return Derivatives(LEFT_OUT, {"out": LEFT_OUT, **arrays})


def _cause(change: Callable[[Arrays], None], dtype: str, count: int = 8) -> Any:
    cases = [case(seed, dtype) for seed in range(count)]
    return find_cause([Failing(each, backward(each, change), sizes) for each, sizes in cases])


def _scaled(factor: Callable[[Arrays], Any]) -> Callable[[Arrays], None]:
    def change(v: Arrays) -> None:
        v["go"] = v["go"] * v["go"].dtype.type(factor(v))

    return change


def _masked(slope: float) -> Callable[[Arrays], None]:
    def change(v: Arrays) -> None:
        v["mask"] = np.where(v["z"] > 0, 1, slope).astype(v["z"].dtype)

    return change


MISTAKES: dict[str, tuple[Callable[[Arrays], None], tuple[str, str, str]]] = {
    "half": (_scaled(lambda v: 0.5), ("array", "", "1/2")),
    "minus": (_scaled(lambda v: -1), ("array", "", "-1")),
    "rows": (_scaled(lambda v: v["o"].shape[0]), ("array", "", "n")),
    "sum for mean": (_scaled(lambda v: v["o"].size), ("array", "", "h·n")),
    "transposed": (lambda v: v.update(to_a=v["u"].T), ("transposed", "a @ u.T", "")),
    "mask": (_masked(1.0), ("factor", "np.maximum(z, 0)", "")),
    "slope": (_masked(0.01), ("piece", "np.maximum(z, 0)", "0.01")),
    "exchanged": (lambda v: v.update(kept=v["z"]), ("exchanged", "a @ u.T", "")),
    "mask of another": (lambda v: v.update(mask=v["o"] > 0), ("exchanged", "np.maximum(z, 0)", "")),
    "mean over rows": (lambda v: v.update(over="rows"), ("array", "b", "1/n")),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_with_its_size(name: str, dtype: str) -> None:
    change, (kind, where, size) = MISTAKES[name]
    found = _cause(change, dtype)
    assert found is not None
    place = found.edit.op if kind == "array" else found.edit.source.text
    symbol = "" if found.factor is None else found.factor.symbol
    assert (found.edit.kind, place, symbol) == (kind, where, size)


def test_what_was_exchanged_is_named() -> None:
    for name, taken, other in (
        ("exchanged", "np.maximum(z, 0)", "x @ w.T + b"),
        ("mask of another", "x @ w.T + b", "a @ u.T"),
    ):
        found = _cause(MISTAKES[name][0], "float64")
        assert (found.edit.taken.text, found.edit.other.text) == (taken, other)


def test_two_mistakes_are_not_told_as_one() -> None:
    def both(v: Arrays) -> None:
        v["to_a"] = v["u"].T
        v["mask"] = np.ones_like(v["z"])
        v["go"] = v["go"] * v["go"].dtype.type(3.7)

    assert _cause(both, "float64") is None


def test_a_mistake_that_comes_and_goes_is_not_told() -> None:
    def sometimes(v: Arrays) -> None:
        if v["x"].shape[0] % 2:
            v["go"] = v["go"] * 2

    found = _cause(sometimes, "float64")
    assert found is None


def test_a_size_is_a_symbol_only_where_sizes_differ() -> None:
    one, sizes = case(4, "float64")
    factor = one.arguments()["x"].shape[0]
    found = find_cause([Failing(one, backward(one, _scaled(lambda v: factor)), sizes)])
    assert found is not None
    assert found.factor is not None
    assert found.factor.symbol == str(factor)
