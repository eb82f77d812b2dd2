"""Which values in a program can matter: those whose cotangent gets anywhere.

What is sent to a value goes on to the arrays that are differentiated by, unless every way there
ends at a slope that is certainly zero, or at one that another entry was taken over. Such a value
is *dead*, whatever is sent to it. A choice between dead values changes nothing: the maximum of a
window in which every ReLU is shut has as many ways to be differentiated as there are entries, and
one gradient. Found going forwards, on booleans, for each case of a stack.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.numbers.sides import sides_of
from crosscheck.program.arithmetic import leading
from crosscheck.program.enclosures import OnEnclosures
from crosscheck.program.graph import Node, Program

__all__ = ["Alive", "live_values"]

Alive = NDArray[np.bool_]
"""Of a value's shape, or of one that broadcasts to it."""


def live_values(
    program: Program, values: Mapping[int, Enclosure], alive: Mapping[str, Alive]
) -> dict[int, Alive]:
    """Of each node that a result depends on, where its value can matter.

    Args:
        program: The program, of values: no derivative.
        values: Of each node, on enclosures.
        alive: Name of each input to where it can matter.
    """
    names = {number: name for name, number in program.inputs.items()}
    found: dict[int, Alive] = {}
    for number in program.needed:
        node = program.nodes[number]
        if node.op == "input":
            found[number] = alive[names[number]]
        else:
            found[number] = _live(node, [found[each] for each in node.inputs], values)
    return found


def _live(node: Node, x: list[Alive], values: Mapping[int, Enclosure]) -> Alive:
    settings = node.settings
    match node.op:
        case "ones" | "zeros" | "held":
            return np.zeros(node.shape, dtype=bool)
        case "add" | "difference" | "mul":
            return np.asarray(x[0] | x[1])
        case "times_constants":
            return x[0]
        case "contract":
            left, right = x[0].any(axis=-1, keepdims=True), x[1].any(axis=-2, keepdims=True)
            return np.asarray(left | right)
        case "sum":
            return np.asarray(x[0].any(axis=settings["axes"], keepdims=settings["keep"]))
        case "broadcast":
            return np.broadcast_to(x[0], (*leading(x[0], node.shape), *node.shape))
        case "expand":
            return np.expand_dims(x[0], settings["axis"])
        case "squeeze":
            return np.squeeze(x[0], settings["axis"])
        case "transpose":
            return np.swapaxes(x[0], -1, -2)
        case "take":
            return _taken(node, x[0], values[node.inputs[0]])
        case "piecewise":
            return x[0] & ~_is_shut(values[node.inputs[0]], settings["function"])
        case "smaller":
            return np.asarray(x[0].any(axis=-1))
        case "max":
            could = OnEnclosures.could_be_largest(values[node.inputs[0]])
            return np.asarray((x[0] & could).any(axis=-1))
    return np.ones(node.shape, dtype=bool)


def _taken(node: Node, x: Alive, value: Any) -> Alive:
    source, places = node.settings["source"], node.settings["indices"]
    lead = leading(value, source)
    flat = np.broadcast_to(x, (*lead, *source)).reshape(*lead, math.prod(source))
    found = flat[..., places.array]
    if places.is_there is not None:
        found = found & places.is_there
    return found.reshape((*lead, *node.shape))


def _is_shut(z: Enclosure, function: Piecewise) -> Alive:
    """Where the slope is zero on every piece that z can be in."""
    sides = sides_of(z, function)
    found = np.ones(z.shape, dtype=bool)
    for number, piece in enumerate(function.derivative.pieces):
        if any(piece):
            found &= (number < sides.first) | (sides.last < number)
    return found
