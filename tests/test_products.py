"""Which programs form products of matrices, and that others have no coarser arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crosscheck.frontends import verbs
from crosscheck.frontends.case import FunctionCase
from crosscheck.frontends.traced import TracedFunction
from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.verdict import Kind
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
from crosscheck.numbers.named import arithmetics_of
from crosscheck.program.alternatives import ways
from crosscheck.program.graph import Graph
from crosscheck.program.products import has_products


def test_a_product_is_found_within_the_ways_of_computing_something() -> None:
    graph = Graph()
    a, b = graph.leaf("a", (2, 3)), graph.leaf("b", (3, 2))
    product = ways((a, b), a @ b, (a @ b.times(3)).times(1))
    leaves = {"a": a, "b": b}
    assert has_products(graph.program(leaves, {"y": product}))
    assert has_products(graph.program(leaves, {"y": a.softmax_product(b)}))
    assert not has_products(graph.program(leaves, {"y": a * b.transposed}))


def _squares() -> FunctionCase:
    graph = Graph()
    x = graph.leaf("x", (5,))
    total = verbs.mean(verbs.multiply(x, x))
    function = TracedFunction("f", graph.program({"x": x}, {"out": total}), ("out",))
    numbers = np.random.default_rng(3).standard_normal(5)
    return FunctionCase.at(function, {"x": numbers}, {"out": 1.0}, ("x",), dtype="float32")


def test_without_products_every_named_arithmetic_has_the_bounds_of_the_dtype() -> None:
    judge = ProgramJudge(_squares())
    plain = Model(format_of("float32"), flush=True)
    right = judge.enclosed(plain).gradients()
    for arithmetic in arithmetics_of("float32"):
        named = judge.enclosed(replace(plain, arithmetic=arithmetic)).gradients()
        for name, bound in right.arrays.items():
            assert np.array_equal(bound.high, named.arrays[name].high)
            assert np.array_equal(bound.bound, named.arrays[name].bound)


def test_what_is_suspected_gets_the_same_verdict() -> None:
    judge = ProgramJudge(_squares())
    right = judge.reference
    tiny = 2.0**-130
    for given, kind in (
        (right, Kind.AGREES),
        (right.map_derivatives(lambda array: array * 1.01), Kind.DISAGREES),
        (right.map_derivatives(lambda array: array + tiny), Kind.AGREES),
    ):
        plain, suspect = (
            judge.verdict(given, framework="mine", is_suspect=each) for each in (False, True)
        )
        assert plain.kind is suspect.kind is kind
        assert plain.worst == suspect.worst
