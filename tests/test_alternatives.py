"""One function in several ways: its derivatives are in as many, and parts are formed once."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from crosscheck.network.exact import rational_of, rationals
from crosscheck.numbers.balls import Ball
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.model import Model
from crosscheck.program.alternatives import ways
from crosscheck.program.balls import OnBalls
from crosscheck.program.derive import gradient
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.evaluate import evaluate, values_of
from crosscheck.program.exact import OnExact
from crosscheck.program.graph import Graph, Program, Var
from crosscheck.program.second import WAYS, Way, hessian_product


def cubes(a: Var, b: Var) -> Var:
    """a³ - b³."""
    return ways((a, b), (a - b) * (a * a + a * b + b * b), a * a * a - b * b * b)


def twice(way: Way) -> Program:
    """H v of Σ (a³ - b³): 6 a v, -6 b w."""
    graph = Graph()
    a, b = graph.leaf("a", (3,)), graph.leaf("b", (3,))
    program = graph.program({"a": a, "b": b}, {"J": cubes(a, b).sum()})
    return hessian_product(gradient(program, "J", ("a", "b")), {"a": "v", "b": "w"}, way)


@pytest.mark.parametrize("way", WAYS)
def test_derivatives_of_derivatives_are_in_as_many_ways(way: Way) -> None:
    program = twice(way)
    arrays = {name: np.array([1.0, -2.0, 3.0]) + at for at, name in enumerate("abvw")}
    found = evaluate(program, OnExact(rational_of), {k: rationals(v) for k, v in arrays.items()})
    assert [float(each) for each in found["a"]] == list(6 * arrays["a"] * arrays["v"])
    assert [float(each) for each in found["b"]] == list(-6 * arrays["b"] * arrays["w"])
    several = [node for node in map(program.nodes.__getitem__, program.needed) if node.op == "ways"]
    assert several
    assert all(len(node.settings["ways"]) == 2 for node in several)


@pytest.mark.parametrize("way", WAYS)
def test_the_bound_of_a_second_derivative_holds_what_rounds_more_on_another_way(way: Way) -> None:
    """The first way's H v, in float32, has terms of the size of 1 that cancel beside 6 a v."""
    form = FORMATS["float32"]
    rng = np.random.default_rng(0)
    a, v, w = (form.round(rng.random(3) * scale) for scale in (2.0**-9, 1.0, 1.0))
    b = np.ones(3)
    model = Model(form)
    arrays = {"a": a, "b": b, "v": v, "w": w}
    given = {name: Enclosure.of(model, array) for name, array in arrays.items()}
    bound = evaluate(twice(way), OnEnclosures(model), given)["a"]
    # (a - b)(a² + a b + b²) twice by a: 2 (2 a + b) v + 2 (a - b) v; by a and b nothing.
    a32, b32, v32 = (np.float32(each) for each in (a, b, v))
    first = np.float64(2 * (2 * a32 + b32) * v32 + 2 * (a32 - b32) * v32)
    second = np.float64(6 * a32 * v32)
    for got in (first, second):
        assert (np.abs(got - 6 * a * v) <= bound.bound).all()
    assert (np.abs(first - 6 * a * v) > 2 * model.roundoff * np.abs(6 * a * v)).any()


def test_equal_ways_are_one_node() -> None:
    graph = Graph()
    a, b = graph.leaf("a", (3,)), graph.leaf("b", (3,))
    assert cubes(a, b) == cubes(a, b)


def test_parts_in_common_are_formed_once() -> None:
    graph = Graph()
    a = graph.leaf("a", (3,))
    two = ways((a,), (a * a) * a, a * (a * a)) + ways((a,), (a * a) - a, a * (a * a))
    arithmetic = OnEnclosures(Model(FORMATS["float32"]))
    given = {"a": Enclosure.of(arithmetic.model, np.ones(3))}
    values_of(graph.program({"a": a}, {"y": two}), arithmetic, given)
    assert [key[0] for key in arithmetic.formed].count("mul") == 3


def test_balls_hold_the_largest_and_what_updates_form() -> None:
    rng = np.random.default_rng(1)
    c, r = rng.standard_normal((4, 5)), rng.random((4, 5)) / 8
    numbers = OnBalls(lambda site, function: Ball(c, r), lambda site: Ball(c, r))
    for _ in range(20):
        q = c + r * rng.uniform(-1, 1, c.shape)
        exact = [[Fraction(each) for each in row] for row in q.tolist()]
        means = [sum(row, Fraction(0)) / 5 for row in exact]
        squares = [
            sum(((z - m) ** 2 for z in row), Fraction(0))
            for row, m in zip(exact, means, strict=True)
        ]
        pairs: list[tuple[list[Fraction], Ball]] = [
            ([max(row) for row in exact], numbers.maximum(Ball(c, r))),
            (means, numbers.updated(Ball(c, r), -1, 1)),
            (squares, numbers.updated(Ball(c, r), -1, 2)),
        ]
        for wanted, ball in pairs:
            for value, middle, radius in zip(wanted, ball.c.flat, ball.r.flat, strict=True):
                assert abs(value - Fraction(float(middle))) <= Fraction(float(radius))
