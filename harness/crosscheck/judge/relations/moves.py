"""What a node's value says of the node that it is a rearrangement of.

∂J/∂b of one row is the cotangent of the layer with an axis less; ∂J/∂W is a product the other way
round. Such nodes hold the same numbers, so that one is known where the other is. A node that is
another one times powers of two holds the same digits: it may only have lost

    Σ over the constants of τ Π max(1, |c|),

since each of them may come before those that enlarge what it has lost.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import TINY
from crosscheck.numbers.rounding import up
from crosscheck.numbers.scaling import nearest
from crosscheck.program.graph import Node, Program

__all__ = ["SAME", "sources"]

SAME = ("transpose", "squeeze", "expand")
"""Primitives that only rearrange."""

_GIVEN = ("input", "ones", "zeros")


def sources(program: Program, number: int, value: Enclosure) -> Iterator[tuple[int, Enclosure]]:
    """A node with its value, then the node that it is a rearrangement of, and so on.

    Args:
        program: The program.
        number: The node.
        value: A single case's.
    """
    yield number, value
    node = program.nodes[number]
    if len(node.inputs) != 1 or program.nodes[node.inputs[0]].op in _GIVEN:
        return
    operand = program.nodes[node.inputs[0]]
    if node.op == "transpose":
        found = value.swapaxes(-1, -2)
    elif node.op in SAME or (node.op == "sum" and _is_of_one(operand, node)):
        found = value.rearranged(lambda array: array.reshape(operand.shape))
    elif node.op == "times_constants" and all(map(_is_power, node.settings["constants"])):
        found = _divided(value, node.settings["constants"])
    else:
        return
    yield from sources(program, node.inputs[0], found)


def _is_of_one(operand: Node, node: Node) -> bool:
    """Whether each sum has one term."""
    return math.prod(operand.shape) == math.prod(node.shape)


def _is_power(constant: Fraction) -> bool:
    """Whether a constant is a power of two that float64 holds, or minus one."""
    size = abs(constant)
    low = min(size.numerator, size.denominator)
    high = max(size.numerator, size.denominator)
    return low == 1 and high & (high - 1) == 0 and high < 2**64


def _divided(value: Enclosure, constants: tuple[Fraction, ...]) -> Enclosure:
    factor = nearest(math.prod(constants, start=Fraction(1)))
    grown = nearest(math.prod((max(Fraction(1), abs(c)) for c in constants), start=Fraction(1)))
    lost = len(constants) * float(value.model.lost(1)) * grown
    e: Array = up((value.e + value.r + lost) / abs(factor), 6) + 2.0 * TINY
    return Enclosure(value.model, value.high / factor, np.zeros_like(e), e)
