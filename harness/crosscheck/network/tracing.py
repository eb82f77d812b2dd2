"""A network of steps as a program: its loss in primitives, and the gradient of that."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from crosscheck.network.names import LOSS
from crosscheck.network.steps import Step
from crosscheck.operators.operator import exact
from crosscheck.operators.registry import operator_of
from crosscheck.program.derive import gradient
from crosscheck.program.graph import Graph, Program, Shape, Var
from crosscheck.tools.errors import UsageError

__all__ = ["Traced", "traced", "wanted"]


@dataclass(frozen=True)
class Traced:
    """What becomes of a network's steps.

    Attributes:
        program: The loss in primitives.
        gradient: The loss and its derivatives in primitives.
        step_of: Node of ``gradient`` to the id of the step whose result, or part of it, it is.
        results: Id of each step to the node of ``program`` that is its result.
        result_shapes: Id of each step to the shape of its result in one case.
    """

    program: Program
    gradient: Program
    step_of: Mapping[int, str]
    results: Mapping[str, int]
    result_shapes: Mapping[str, Shape]


@lru_cache(maxsize=256)
def traced(steps: tuple[Step, ...], shapes: tuple[tuple[str, Shape], ...]) -> Traced:
    """The network of ``steps`` on arrays of ``shapes``, name by name, in primitives.

    Raises:
        UsageError: The steps do not fit together, or do not fit the shapes.
    """
    graph, nodes = Graph(), {}
    inputs: dict[str, Var] = {name: graph.leaf(name, shape) for name, shape in shapes}
    values = dict(inputs)
    if not steps:
        raise UsageError("program: no steps, wanted at least a loss")
    used: set[str] = set()
    for each in steps:
        operator = operator_of(each.op)
        _check_step(each, values)
        operands = {name: values[source] for name, source in each.inputs}
        before = len(graph.nodes)
        try:
            found = operator.expand(**operands, **each.settings)
        except UsageError as error:
            raise UsageError(f"step {each.id!r}: {error}") from None
        for number in range(before, len(graph.nodes)):
            nodes[number] = each.id
        values[each.id] = found
        used |= set(each.operands.values())
    last = steps[-1]
    if operator_of(last.op).role != "loss" or values[last.id].shape != ():
        raise UsageError(f"step {last.id!r}: {last.op}, wanted a loss at the end")
    unused = [name for name in values if name not in used and name != last.id]
    if unused:
        raise UsageError(f"{unused[0]!r} is used by no step, wanted every array and result used")
    program = graph.program(inputs, {LOSS: values[last.id]})
    derived = gradient(program, LOSS, wanted(steps, tuple(inputs)))
    shapes_of = {each.id: values[each.id].shape for each in steps}
    results = {each.id: values[each.id].number for each in steps}
    return Traced(program, derived, nodes, results, shapes_of)


def _check_step(each: Step, values: Mapping[str, Any]) -> None:
    if not each.id.isidentifier() or keyword.iskeyword(each.id) or each.id in (*values, LOSS):
        raise UsageError(f"step {each.id!r}: wanted an id of letters and digits, used once, not J")
    for name, source in each.inputs:
        if source not in values:
            raise UsageError(
                f"step {each.id!r}: {name} is {source!r}, wanted an array or an earlier step: "
                f"{', '.join(values)}"
            )
    for value in each.settings.values():
        if not isinstance(value, str):
            exact(value)


def wanted(steps: tuple[Step, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``names`` that the loss is differentiated by: all but targets."""
    differentiated = {
        source
        for each in steps
        for operand, source in each.inputs
        if operand not in operator_of(each.op).targets
    }
    return tuple(name for name in names if name in differentiated)
