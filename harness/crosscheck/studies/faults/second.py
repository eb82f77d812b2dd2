"""Wrong second derivatives, of right gradients: what is forgotten where those are differentiated.

A tangent is carried through the program of the gradient (`crosscheck.program.second`), in float64,
with one rule of `crosscheck.program.rules` replaced by a wrong one; the result is rounded to the
dtype. With the right rules it is a right answer.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.network.composed import Composed
from crosscheck.network.second import Direction, Products, arrays_of
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.program.alternatives import WAYS, rule
from crosscheck.program.evaluate import values_of
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Graph, Var
from crosscheck.program.rules import Rule, rule_of
from crosscheck.program.sweeps import carried_up

__all__ = ["SECOND_FAULTS", "SecondFault", "by_rules"]

Moving = list[Var | None]


@dataclass(frozen=True)
class SecondFault:
    """A way of differentiating a gradient wrongly.

    Attributes:
        name: A few words.
        says: What is wrong, in a line.
        held: The tangents of operands as they are taken instead: of them, the node's operation,
            which of its operands are cotangents, and its attributes.
        times: What the second derivatives of functions are multiplied by.
        doubled: Whether the derivative by every array but the first takes the part of v for the
            first one twice, so that blocks which should be each other's transposes are not.
    """

    name: str
    says: str
    held: Callable[[Moving, str, Sequence[bool], Any], Moving] = lambda t, op, late, s: t
    times: Fraction = Fraction(1)
    doubled: bool = False


def _without_root(t: Moving, op: str, late: Sequence[bool], s: Any) -> Moving:
    is_root = op == "elementary" and s["function"] in ("rsqrt", "sqrt")
    return [None] * len(t) if is_root else t


def _without_kept_sums(t: Moving, op: str, late: Sequence[bool], s: Any) -> Moving:
    return [None] * len(t) if op == "sum" and s["keep"] else t


def _without_shares(t: Moving, op: str, late: Sequence[bool], s: Any) -> Moving:
    return [*[None] * (len(t) - 1), t[-1]] if op == WAYS else t


def _without_cotangents(t: Moving, op: str, late: Sequence[bool], s: Any) -> Moving:
    return [None if is_late else each for each, is_late in zip(t, late, strict=True)]


def _without_values(t: Moving, op: str, late: Sequence[bool], s: Any) -> Moving:
    if op not in ("contract", "mul") or not any(late):
        return t
    return [each if is_late else None for each, is_late in zip(t, late, strict=True)]


def _without_slopes(t: Moving, op: str, late: Sequence[bool], s: Any) -> Moving:
    return [None] * len(t) if op == "elementary" and s["order"] else t


SECOND_FAULTS: tuple[SecondFault, ...] = (
    SecondFault("root detached", "one over the root of a variance is a constant", _without_root),
    SecondFault("mean detached", "means and sums that are kept are constants", _without_kept_sums),
    SecondFault("shares detached", "the shares of a softmax are constants", _without_shares),
    SecondFault("cotangents fixed", "what comes from above does not move", _without_cotangents),
    SecondFault("values fixed", "what cotangents are multiplied by does not move", _without_values),
    SecondFault("no second slope", "slopes of functions do not move", _without_slopes),
    SecondFault("f'' too large", "f'' is 2^-7 too large", times=Fraction(129, 128)),
    SecondFault("not symmetric", "one block of the Hessian counts twice", doubled=True),
)


@in_ieee_arithmetic
def by_rules(
    case: Composed,
    direction: Direction,
    fault: SecondFault | None = None,
) -> Products:
    """H v by tangents of the gradient in float64, with a fault or none.

    Args:
        case: A single case or a stack.
        direction: v.
        fault: What is wrong.
    """
    found = _carried(case, direction, fault)
    if fault is not None and fault.doubled:
        first = case.wanted[0]
        twice = direction.map_named(lambda name, array: array * 2 if name == first else array)
        whole = _carried(case, twice, None)
        found = found.map_named(lambda name, array: array if name == first else whole.arrays[name])
    return found.map(format_of(case.dtype).round)


@dataclass(frozen=True)
class _Rules:
    """The rules with a fault, within functions that are computed in several ways too.

    Attributes:
        fault: The fault; ``None`` for none.
        started: The first node that is not of the loss, but of its derivative.
    """

    fault: SecondFault | None
    started: int

    def __call__(self, op: str) -> Rule:
        fault = self.fault
        if fault is None:
            return rule_of(op)
        right = Rule(*rule(replace(self, started=sys.maxsize))) if op == WAYS else rule_of(op)

        def jvp(t: Sequence[Var | None], y: Var, x: Sequence[Var], s: Any) -> Var | None:
            held = fault.held(list(t), op, [each.number >= self.started for each in x], s)
            if all(each is None for each in held):
                return None
            moved = right.jvp(held, y, x, s)
            is_bent = op == "elementary" and s["order"] > 0
            return moved.times(fault.times) if is_bent and moved is not None else moved

        return replace(right, jvp=jvp)


def _carried(case: Composed, direction: Direction, fault: SecondFault | None) -> Products:
    gradient = case.gradient
    graph = Graph.of(gradient)
    along = {}
    inputs = {name: Var(graph, number) for name, number in gradient.inputs.items()}
    given = arrays_of(case, direction)
    for name, array in direction.entries():
        (key,) = (key for key, each in given.items() if each is array)
        leaf = graph.leaf(key, case.shapes[name])
        inputs[key] = along[gradient.inputs[name]] = leaf
    started = len(case.program.nodes)

    moved = carried_up(graph, along, gradient, _Rules(fault, started))
    outputs = {}
    for name in case.wanted:
        tangent = moved.get(gradient.outputs[name])
        outputs[name] = graph.zeros(case.shapes[name]) if tangent is None else tangent
    program = graph.program(inputs, outputs)
    with np.errstate(all="ignore"):
        values = values_of(program, OnFloats(), given)
    shapes = case.array_shapes
    return Products(
        {
            name: np.broadcast_to(values[number], shapes[name]).copy()
            for name, number in program.outputs.items()
        }
    )
