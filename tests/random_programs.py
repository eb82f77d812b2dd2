"""Random programs and networks, and their gradients in simulated arithmetic."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from toy import Toy
from toy_programs import OnToy, given

from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.network.composed import Composed
from crosscheck.network.steps import Step, step
from crosscheck.numbers.piecewise import Piecewise, piecewise
from crosscheck.operators import huber, leaky_relu
from crosscheck.program.evaluate import values_of
from crosscheck.program.graph import Graph, Program, Var
from crosscheck.program.rules import rule_of

FUNCTIONS = [
    piecewise("relu", "", "0", "0", "0 1"),
    piecewise("abs", "", "0", "0 -1", "0 1"),
    piecewise("hardtanh", "", "-1 1", "-1", "0 1", "1"),
    piecewise("cubic", "", "-1 1/3", "0 1/3 1 -1", "1 2 1/2", "0 5 0 -2/7 1"),
    huber._function("7/5"),
    leaky_relu._function(0.01),
]

OPERATORS = [each for each in FUNCTIONS if each.name != "cubic"]


def random_program(rng: random.Random, functions: Sequence[Piecewise] = FUNCTIONS) -> Program:
    """A scalar of three arrays, through every primitive in turn."""
    graph = Graph()
    inputs = {
        "A": graph.leaf("A", (2, 3)),
        "B": graph.leaf("B", (3, 2)),
        "r": graph.leaf("r", (1, 3)),
        "s": graph.leaf("s", (1, 1)),
        "v": graph.leaf("v", (3,)),
    }
    pool = [*inputs.values()]
    pool.append(inputs["v"].expand(-2))
    matrices = [each for each in pool if len(each.shape) == 2]

    def pick() -> Var:
        return rng.choice(matrices[-6:] if rng.random() < 0.7 else matrices)

    for _ in range(rng.randint(5, 11)):
        one, other = pick(), pick()
        kind = rng.randrange(13)
        fits = all(
            1 in pair or pair[0] == pair[1] for pair in zip(one.shape, other.shape, strict=True)
        )
        if kind < 3 and fits:
            found = [one + other, one - other, one * other][kind]
        elif kind == 3:
            found = one.times(Fraction(rng.randint(1, 5), rng.randint(1, 3)), -1)
        elif kind < 6:
            found = one @ (other if one.shape[-1] == other.shape[-2] else one.transposed)
        elif kind == 6:
            found = one.sum(*rng.choice([(-1,), (-2,), (-2, -1)]), keep=True)
        elif kind == 7:
            flat = one.sum(*rng.choice([(-1,), (-2,)]))
            found = flat.expand(rng.choice([-1, -2]))
        elif kind == 8:
            size = one.shape[0] * one.shape[1]
            found = one.take([rng.randrange(-1, size) for _ in range(4)], (2, 2))
        elif kind == 9:
            size = one.shape[0] * one.shape[1]
            found = one.scatter([rng.randrange(-1, 6) for _ in range(size)], (2, 3))
        elif kind == 10:
            found = one.maximum().expand(-1)
        elif kind == 11 and 1 in one.shape:
            rows, columns = one.shape
            found = one.broadcast((rows if rows > 1 else 2, columns if columns > 1 else 3))
        else:
            found = one.piecewise(rng.choice(functions))
        matrices.append(found)
    total = pick().sum()
    for each in matrices[-3:]:
        total = total + (each * each.times(Fraction(1, 2))).sum()
    scalar = total * matrices[-1].sum()  # a scalar that is multiplied, so that sums are no ends
    return graph.program(inputs, {"J": scalar, "M": matrices[-1]})


ACTIVATIONS: list[tuple[str, dict[str, Any]]] = [
    ("relu", {}),
    ("abs", {}),
    ("relu6", {}),
    ("hardtanh", {}),
    ("clip", {"low": -0.3, "high": 0.7}),
    ("leaky_relu", {"slope": 0.01}),
    ("leaky_relu", {"slope": -0.5}),
    ("hard_sigmoid", {}),
    ("prelu", {}),
]
LOSSES: list[tuple[str, dict[str, Any]]] = [
    ("squared_error", {}),
    ("squared_error", {"factor": 3.0, "reduction": "mean"}),
    ("absolute_error", {"factor": "1/3"}),
    ("huber", {"delta": 0.3, "reduction": "mean"}),
    ("huber", {"delta": 1.0, "factor": 2.0}),
    ("hinge", {"reduction": "rows"}),
]


def random_network(rng: random.Random, dtype: str, count: int | None = None) -> Composed:
    """Dense layers, activations and residual sums, with weights that may be shared; a loss."""
    rows, width = rng.randint(1, 2), rng.randint(1, 3)
    kinks, scale = rng.random() < 0.7, 2.0 ** rng.choice([0, 0, 1, -1, -3])
    lead = () if count is None else (count,)
    dice = np.random.default_rng(rng.getrandbits(32))

    def draw(*shape: int) -> Any:
        whole = (*lead, *shape)
        return dice.integers(-1, 2, whole) * 1.0 if kinks else scale * dice.standard_normal(whole)

    steps: list[Step] = []
    parameters: dict[str, Any] = {}
    below, results = "x", ["x"]
    for at in range(rng.randint(2, 5)):
        op, settings = rng.choice(ACTIVATIONS)
        kind = rng.randrange(4)
        if kind < 2:
            weight = rng.choice([f"W{at}", *(name for name in parameters if name[0] == "W")])
            parameters.setdefault(weight, draw(width, width))
            bias = f"b{at}" if rng.random() < 0.5 else None
            if bias:
                parameters[bias] = draw(width)
            steps.append(step(f"s{at}", "dense", below, weight, bias))
        elif kind == 2 or len(results) < 2:
            more = [f"alpha{at}"] if op == "prelu" else []
            parameters |= {name: draw(width) for name in more}
            steps.append(step(f"s{at}", op, below, *more, **settings))
        else:
            steps.append(step(f"s{at}", "add", below, rng.choice(results)))
        below = f"s{at}"
        results.append(below)
    used = {name for each in steps for name in each.operands.values()}
    for at, name in enumerate(results[:-1]):
        if name not in used:
            steps.append(step(f"j{at}", "add", below, name))
            below = f"j{at}"
    loss, settings = rng.choice(LOSSES)
    steps.append(step("loss", loss, below, "y", **settings))
    inputs = {"x": draw(rows, width), "y": draw(rows, width)}
    return Composed.of(steps, parameters, inputs, dtype=dtype, count=count)


def toy_gradients(
    case: Composed, toy: Toy, enclosed: EnclosedProgram, slopes: Any, *, anew: bool = False
) -> Any:
    """The gradient as a toy computes it, with the values between it ``anew`` for each use."""
    decisions: dict[int, Any] = {}
    for place, value in slopes.items():
        whole = decisions.setdefault(place.node, np.zeros(enclosed._forward[place.node].shape))
        whole[place.index] = value
    arithmetic = OnToy(toy, decisions, enclosed._forward)
    arrays = {name: given(toy, array) for name, array in case.entries()}
    if anew:
        return results_anew(case.gradient, arithmetic, arrays)
    found = values_of(case.gradient, arithmetic, arrays)
    return {name: found[number].closed for name, number in case.gradient.outputs.items()}


def results_anew(program: Program, arithmetic: OnToy, arrays: Mapping[str, Any]) -> Any:
    """The results, with every value computed anew for each use, from operands of its own."""
    names = {number: name for name, number in program.inputs.items()}
    operands: dict[int, list[Any]] = {}

    def use(number: int) -> Any:
        node = program.nodes[number]
        if node.op == "input":
            return arrays[names[number]]
        if number not in operands:
            operands[number] = [use(each) for each in node.inputs]
        return rule_of(node.op).value(arithmetic, node, operands[number])

    return {name: use(number).closed for name, number in program.outputs.items()}
