"""One step as a program: its result, and what its derivative sends to each operand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from crosscheck.judge.local.record import Record
from crosscheck.network.steps import Step
from crosscheck.operators.registry import operator_of
from crosscheck.program.derive import vjp
from crosscheck.program.graph import Graph, Program, Shape

__all__ = ["COTANGENT", "RESULT", "program_of", "shapes_of"]

RESULT = "result"
"""What the step's value is called."""

COTANGENT = "cotangent"
"""What the input is called that holds the cotangent of the result."""


def shapes_of(record: Record, stacked: bool) -> tuple[tuple[str, Shape], ...]:
    """Name of each operand to its shape in one case."""
    lead = 1 if stacked else 0
    return tuple((name, array.shape[lead:]) for name, array in record.operands.items())


def program_of(step: Step, shapes: tuple[tuple[str, Shape], ...]) -> Program:
    """The program of ``step``: of its operands, by name, and of `COTANGENT`.

    Its results are `RESULT`, and under the name of each operand that something is differentiated
    by what goes down to it.
    """
    return _program(step.op, step.attributes, shapes)


@lru_cache(maxsize=512)
def _program(
    op: str, attributes: tuple[tuple[str, object], ...], shapes: tuple[tuple[str, Shape], ...]
) -> Program:
    operator = operator_of(op)
    graph = Graph()
    operands = {name: graph.leaf(name, shape) for name, shape in shapes}
    settings: Mapping[str, object] = dict(attributes)
    result = operator.expand(**operands, **settings)
    value = graph.program(operands, {RESULT: result})
    wanted = [name for name, _ in shapes if name not in operator.targets]
    return vjp(value, {RESULT: COTANGENT}, wanted)
