"""One step as a program: its result, and what its derivative sends to each operand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from crosscheck.network.steps import Step
from crosscheck.numbers.arrays import Array
from crosscheck.operators.registry import operator_of
from crosscheck.program.derive import vjp
from crosscheck.program.graph import Graph, Program, Shape

__all__ = ["COTANGENT", "RESULT", "program_of", "shapes_of"]

RESULT = "result"
"""What the step's value is called."""

COTANGENT = "cotangent"
"""What the input is called that holds the cotangent of the result."""


def shapes_of(operands: Mapping[str, Array], stacked: bool) -> tuple[tuple[str, Shape], ...]:
    """Name of each operand to its shape in one case."""
    lead = 1 if stacked else 0
    return tuple((name, array.shape[lead:]) for name, array in operands.items())


def program_of(
    step: Step, shapes: tuple[tuple[str, Shape], ...], wanted: tuple[str, ...] | None = None
) -> Program:
    """The program of ``step``: of its operands, by name, and of `COTANGENT`.

    Its results are `RESULT`, and under the name of each operand in ``wanted``, by default all but
    targets, what goes down to it.
    """
    if wanted is None:
        targets = operator_of(step.op).targets
        wanted = tuple(name for name, _ in shapes if name not in targets)
    return _program(step.op, step.attributes, shapes, wanted)


@lru_cache(maxsize=512)
def _program(
    op: str,
    attributes: tuple[tuple[str, object], ...],
    shapes: tuple[tuple[str, Shape], ...],
    wanted: tuple[str, ...],
) -> Program:
    operator = operator_of(op)
    graph = Graph()
    operands = {name: graph.leaf(name, shape) for name, shape in shapes}
    settings: Mapping[str, object] = dict(attributes)
    result = operator.expand(**operands, **settings)
    value = graph.program(operands, {RESULT: result})
    return vjp(value, {RESULT: COTANGENT}, wanted)
