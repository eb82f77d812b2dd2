"""Wrong gradients of a network of operators: one node of the gradient's program made wrong.

The faults are those that hands make when they write a backward pass: a mask that is left out, a
slope's two sides exchanged, a factor of a loss forgotten or used twice, a contribution of two that
meet lost, a sum over rows that is a mean, a sign, and small factors. Each is planted at one node,
and what comes of it below is computed as always. A fault that changes no number of a case is not
counted there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.cases.composed import Plan, seeded_composed
from crosscheck.judge.door import Answer, judge
from crosscheck.judge.verdict import fails
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.names import LOSS
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Node
from crosscheck.program.rules import rule_of

__all__ = ["Caught", "Fault", "faults_of", "measure", "wrong_gradient"]

Change = Callable[[Node, list[Any], Any], Any]
"""From a node, its operands and its right value to a wrong one."""


@dataclass(frozen=True)
class Fault:
    """One node of the gradient made wrong.

    Attributes:
        step: The step whose backward pass it is in, as far as that is known.
        what: What is wrong, in words.
        node: Its number.
        change: What it makes of the right value.
    """

    step: str
    what: str
    node: int
    change: Change


@dataclass(frozen=True)
class Caught:
    """What was measured for one fault.

    Attributes:
        fault: The fault.
        caught: In how many cases the run would fail.
        cases: In how many it changed a number.
    """

    fault: Fault
    caught: int
    cases: int


def _right(node: Node, operands: list[Any]) -> Any:
    return rule_of(node.op).value(OnFloats(), node, operands)


def _scaled(factor: float) -> Change:
    return lambda node, operands, right: right * factor


_OF_OP: dict[str, tuple[tuple[str, Change], ...]] = {
    "select": (
        ("the mask is left out", lambda node, x, right: x[1] * np.ones_like(right)),
        ("the mask is that of the other side", lambda node, x, right: _right(node, [-x[0], x[1]])),
    ),
    "times_constants": (
        ("a constant is left out", lambda node, x, right: x[0] * np.ones_like(right)),
        ("a constant is used twice", lambda node, x, right: right * _ratio(right, x[0])),
    ),
    "add": (
        ("one of two that meet is lost", lambda node, x, right: x[0] * np.ones_like(right)),
        ("the other of two is lost", lambda node, x, right: x[1] * np.ones_like(right)),
    ),
    "sum": (("a sum is a mean", lambda node, x, right: right * (right.size / x[0].size)),),
    "mul": (("a factor is left out", lambda node, x, right: x[0] * np.ones_like(right)),),
    "largest": (
        ("each entry is sent all of it", lambda node, x, right: x[1] * np.ones_like(right)),
        ("it goes to the next entry", lambda node, x, right: np.roll(right, 1, axis=-1)),
    ),
    "take": (("places are off by one", lambda node, x, right: np.roll(right, 1, axis=-1)),),
    "scatter": (("places are off by one", lambda node, x, right: np.roll(right, 1, axis=-1)),),
    "contract": (
        ("its last term is lost", lambda node, x, right: x[0][..., :-1] @ x[1][..., :-1, :]),
    ),
}

_OF_ANY: tuple[tuple[str, Change], ...] = (
    ("it is zero", _scaled(0.0)),
    ("its sign is wrong", _scaled(-1.0)),
    ("it is twice what it should be", _scaled(2.0)),
    ("it is too large by 2^-8", _scaled(1.0 + 2.0**-8)),
)


def _ratio(right: Array, operand: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.where(operand == 0, 1.0, right / operand)


def faults_of(case: Composed) -> Iterator[Fault]:
    """Every fault of every node of the gradient that is no part of the loss."""
    program, forward = case.gradient, set(case.program.needed)
    for number in program.needed:
        node = program.nodes[number]
        if number in forward or not node.inputs:
            continue
        step = case.step_of.get(node.inputs[0], "") if node.op == "select" else ""
        for what, change in (*_OF_OP.get(node.op, ()), *_OF_ANY):
            yield Fault(step, f"{node.op}: {what}", number, change)


def wrong_gradient(case: Composed, fault: Fault | None) -> Derivatives:
    """The gradient in float64 with a fault in it, rounded to the case's dtype at the end.

    Args:
        case: A single case.
        fault: The fault; ``None`` for the right gradient.
    """
    program, arithmetic = case.gradient, OnFloats()
    names = {number: name for name, number in program.inputs.items()}
    arrays, values = dict(case.entries()), {}
    with np.errstate(all="ignore"):
        for number in program.needed:
            node = program.nodes[number]
            if node.op == "input":
                values[number] = arrays[names[number]]
                continue
            operands = [values[each] for each in node.inputs]
            values[number] = rule_of(node.op).value(arithmetic, node, operands)
            if fault is not None and number == fault.node:
                right = np.asarray(values[number])
                values[number] = np.broadcast_to(fault.change(node, operands, right), right.shape)
    form = format_of(case.dtype)
    found = {name: form.round(values[number]) for name, number in program.outputs.items()}
    return Derivatives(found.pop(LOSS), found)


def measure(plan: Plan, dtype: str, cases: int, seed: int) -> tuple[list[Caught], int]:
    """How many of each fault are caught, and how many right gradients are rejected.

    Args:
        plan: The network.
        dtype: Of the cases.
        cases: How many.
        seed: Of their numbers.
    """
    stack = seeded_composed(seed, plan, cases, dtype)
    singles = [stack[index] for index in range(cases)]
    questions = [judge(each) for each in singles]
    right = [wrong_gradient(each, None) for each in singles]
    rejected = sum(
        fails(question.another(Answer(given)))
        for question, given in zip(questions, right, strict=True)
    )
    found = []
    for fault in faults_of(singles[0]):
        caught = planted = 0
        for question, each, given in zip(questions, singles, right, strict=True):
            wrong = wrong_gradient(each, fault)
            if _same(wrong, given):
                continue
            planted += 1
            caught += fails(question.another(Answer(wrong)))
        found.append(Caught(fault, caught, planted))
    return found, rejected


def _same(one: Derivatives, other: Derivatives) -> bool:
    return all(
        np.array_equal(a, b, equal_nan=True)
        for (_, a), (_, b) in zip(one.entries(), other.entries(), strict=True)
    )
