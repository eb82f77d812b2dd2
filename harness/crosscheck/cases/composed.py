"""Networks of operators: drawn by Hypothesis or from seeds, away from breakpoints and on them.

Two plans, since frameworks compile for each network: two layers, and three with a residual sum. The
activation and the loss are drawn of the operators there are, or of those that are named. On a
breakpoint is a case in which one value, that something is decided upon, was put there exactly: by a
bias, or by a target.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crosscheck.cases.drawing import numbers
from crosscheck.network.composed import Composed
from crosscheck.network.steps import Step, step
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.operators.registry import first_of, known, operator_of
from crosscheck.program.evaluate import values_of
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Node, Program, Shape
from crosscheck.tools.errors import UsageError

__all__ = [
    "STACK",
    "Plan",
    "aimed",
    "aims",
    "composed_boundary_cases",
    "composed_cases",
    "plans",
    "seeded_composed",
    "seeded_stack",
]

_FEATURES, _WIDTH, _OUTPUTS, _ROWS = 2, 3, 2, 3

STACK = 256
"""Cases in each stack of a sweep."""


@dataclass(frozen=True)
class Plan:
    """A network without its numbers.

    Attributes:
        steps: The steps.
        parameters: Name to shape.
        inputs: Name to shape.
    """

    steps: tuple[Step, ...]
    parameters: Mapping[str, Shape]
    inputs: Mapping[str, Shape]

    def case(self, arrays: Mapping[str, Array], dtype: str, count: int | None = None) -> Composed:
        """The case with these numbers, rounded to ``dtype``."""
        return Composed.of(
            self.steps,
            {name: arrays[name] for name in self.parameters},
            {name: arrays[name] for name in self.inputs},
            dtype=dtype,
            count=count,
        )


def plans(
    operators: Sequence[str] | None = None, *, rows: int = _ROWS, width: int = _WIDTH
) -> list[Plan]:
    """Networks with each activation and each loss in turn.

    Args:
        operators: Names of activations and losses; those that are drawn by default. Where there is
            no activation, or no loss, among them, the default ones are taken.
        rows: Of inputs and targets.
        width: Of hidden layers.

    Raises:
        UsageError: There is no such operator, or one that is neither activation nor loss.
    """
    chosen = [operator_of(name) for name in operators or ()]
    odd = [each.name for each in chosen if each.role not in ("activation", "loss")]
    if odd:
        raise UsageError(f"operators: {odd[0]!r} given, wanted activations and losses")
    usual = [each for each in known().values() if each.is_drawn]
    kinds = {}
    for role in ("activation", "loss"):
        own = [each for each in chosen if each.role == role]
        kinds[role] = own or [each for each in usual if each.role == role]
    activations = [pair for each in kinds["activation"] for pair in _variants(each)]
    losses = [pair for each in kinds["loss"] for pair in _variants(each)]
    count = max(len(activations), len(losses))
    found = []
    for number in range(count):
        activation, loss = activations[number % len(activations)], losses[number % len(losses)]
        found.append(_plan(activation, loss, rows, width, residual=number % 2 == 1))
    return found


def _variants(operator: Operator) -> Iterator[tuple[Operator, Mapping[str, Attribute]]]:
    yield operator, {}
    for attributes in operator.variants:
        yield operator, attributes


def _plan(
    activation: tuple[Operator, Mapping[str, Attribute]],
    loss: tuple[Operator, Mapping[str, Attribute]],
    rows: int,
    width: int,
    *,
    residual: bool,
) -> Plan:
    """Dense layers with an activation between them, and a loss."""
    layer, join = first_of("layer"), first_of("join")
    steps: list[Step] = []
    parameters: dict[str, Shape] = {}

    def apply(name: str, operator: Operator, below: str, units: int, **attributes: Any) -> str:
        own = operator.parameters((rows, _FEATURES if below == "x" else width), units)
        operands: list[str | None] = [below]
        for operand in operator.operands[1:]:
            called = f"{operand}_{name}"
            parameters[called] = own[operand]
            operands.append(called)
        steps.append(step(name, operator.name, *operands, **attributes))
        return name

    below = apply("z1", layer, "x", width)
    below = apply("a1", activation[0], below, width, **activation[1])
    if residual:
        inner = apply("z2", layer, below, width)
        steps.append(step("sum2", join.name, inner, below))
        below = apply("a2", activation[0], "sum2", width, **activation[1])
    output = apply("out", layer, below, _OUTPUTS)
    steps.append(step("loss", loss[0].name, output, "y", **loss[1]))
    return Plan(tuple(steps), parameters, {"x": (rows, _FEATURES), "y": (rows, _OUTPUTS)})


def _networks(dtype: str, operators: Sequence[str] | None, plan: Plan | None) -> Sequence[Plan]:
    """What cases are drawn of; refuses an unknown dtype at the call, not at the first example."""
    format_of(dtype)
    return plans(operators) if plan is None else [plan]


def composed_cases(
    *,
    dtype: str = "float64",
    operators: Sequence[str] | None = None,
    plan: Plan | None = None,
) -> st.SearchStrategy[Composed]:
    """Single cases with numbers of any moderate kind.

    Args:
        dtype: A name of `crosscheck.numbers.formats.FORMATS`.
        operators: As of `plans`.
        plan: A network of one's own, for whose arrays numbers are drawn.
    """
    networks = _networks(dtype, operators, plan)

    @st.composite
    def draw_case(draw: st.DrawFn) -> Composed:
        chosen = draw(st.sampled_from(networks))
        return chosen.case(_drawn(draw, chosen, numbers(dtype)), dtype)

    return draw_case()


def composed_boundary_cases(
    *,
    dtype: str = "float64",
    operators: Sequence[str] | None = None,
    plan: Plan | None = None,
) -> st.SearchStrategy[Composed]:
    """Single cases with one value, or several, exactly at a breakpoint.

    Args:
        dtype: A name of `crosscheck.numbers.formats.FORMATS`.
        operators: As of `plans`.
        plan: A network of one's own, for whose arrays numbers are drawn.
    """
    networks = _networks(dtype, operators, plan)
    halves = st.integers(-4, 4).map(lambda number: number / 2)

    @st.composite
    @in_ieee_arithmetic
    def draw_case(draw: st.DrawFn) -> Composed:
        chosen = draw(st.sampled_from(networks))
        case = chosen.case(_drawn(draw, chosen, halves), dtype)
        for site, index, point in aims(case):
            if draw(st.booleans()):
                case = aimed(case, site, draw(st.sampled_from(index)), draw(st.sampled_from(point)))
        return case

    return draw_case()


def _drawn(draw: st.DrawFn, plan: Plan, values: st.SearchStrategy[float]) -> dict[str, Array]:
    return {
        name: draw(hnp.arrays(np.float64, shape, elements=values))
        for name, shape in (*plan.parameters.items(), *plan.inputs.items())
    }


def seeded_composed(
    seed: int, plan: Plan, count: int, dtype: str, *, boundary: bool = False
) -> Composed:
    """A stack of cases with Gaussian numbers, or with small halves, from one integer.

    Args:
        seed: Of NumPy's Philox generator.
        plan: The network.
        count: How many.
        dtype: Of the cases.
        boundary: Whether numbers are halves, so that values meet breakpoints by themselves.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    arrays = {}
    for name, shape in (*plan.parameters.items(), *plan.inputs.items()):
        whole = (count, *shape)
        arrays[name] = rng.integers(-4, 5, whole) / 2.0 if boundary else rng.standard_normal(whole)
    return plan.case(arrays, dtype, count)


def seeded_stack(
    plan: Plan, seed: int, number: int, count: int, dtype: str
) -> tuple[Composed, Literal["smooth", "boundary"]]:
    """Stack ``number`` of a sweep, and what it is: every fourth meets breakpoints.

    Args:
        plan: The network.
        seed: Of the sweep.
        number: From 0.
        count: How many cases; the numbers of a case do not depend on it.
        dtype: Of the cases.
    """
    boundary = number % 4 == 3
    own = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])
    whole = seeded_composed(own, plan, STACK, dtype, boundary=boundary)
    part: Literal["smooth", "boundary"] = "boundary" if boundary else "smooth"
    if count == STACK:
        return whole, part
    arrays = {name: array[:count] for name, array in whole.entries()}
    return plan.case(arrays, dtype, count), part


Aim = tuple[int, list[tuple[int, ...]], list[Fraction]]


def aims(case: Composed) -> list[Aim]:
    """Nodes at whose values something is decided and that an array can be aimed at, lowest first.

    With their indices, and the breakpoints that are numbers of the dtype.
    """
    program, form = case.program, format_of(case.dtype)
    found = []
    for number in program.needed:
        points = {
            point
            for node in program.nodes
            if node.op == "piecewise" and node.inputs == (number,)
            for point in node.settings["function"].kinks
            if Fraction(float(form.round(np.array(float(point))))) == point
        }
        node = program.nodes[number]
        if points and _handle(program, node) is not None:
            found.append((number, list(np.ndindex(*node.shape)), sorted(points)))
    return found


def _handle(program: Program, node: Node) -> tuple[str, float] | None:
    """The array that is added to a node, or taken from it, by itself, and its sign."""
    names = {number: name for name, number in program.inputs.items()}
    if node.op == "difference" and node.inputs[1] in names:
        return names[node.inputs[1]], -1.0
    if node.op == "add":
        for number in node.inputs:
            while program.nodes[number].op in ("expand", "broadcast"):
                (number,) = program.nodes[number].inputs
            if number in names:
                return names[number], 1.0
    return None


def aimed(case: Composed, site: int, index: tuple[int, ...], point: Fraction) -> Composed:
    """The case with one entry of an array changed so that a value is at a breakpoint.

    Args:
        case: A single case.
        site: A node of its program, of `aims`.
        index: In that node's value.
        point: The breakpoint.
    """
    program = case.program
    handle = _handle(program, program.nodes[site])
    assert handle is not None
    name, sign = handle
    with np.errstate(all="ignore"):
        value = values_of(program, OnFloats(), dict(case.entries()))[site][index]
    array = dict(case.entries())[name].copy()
    at = index if array.ndim == len(index) else index[len(index) - array.ndim :]
    array[at] += sign * (float(point) - value)
    return case.replaced(name, format_of(case.dtype).round(array))
