"""Sums that were formed in too coarse a format: which one it was.

A sum of more than 2^p equal terms, added up one after the other in a format of p bits, stops where
one more term is half a unit in the last place or less. That is executed here, sum by sum: the
reference's gradient with one of its sums formed in that way, in the order of the entries, forwards
or backwards, and then rounded; what was returned has to be that, bit for bit, in whatever it was
given for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.frontends.case import FunctionCase
from crosscheck.frontends.traced import Source
from crosscheck.network.composed import Derivatives
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format
from crosscheck.program.evaluate import values_of
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Node
from crosscheck.program.rules import rule_of

__all__ = ["CoarseSum", "coarse_sum"]


@dataclass(frozen=True)
class CoarseSum:
    """A sum that was formed in a coarse format.

    Attributes:
        names: The derivatives, or outputs, that it makes wrong.
        terms: How many terms it has.
        format: The format.
        source: The step that it belongs to, if that is known.
        stopped: What it came to, and what it should be, in one entry.
    """

    names: tuple[str, ...]
    terms: int
    format: str
    source: Source | None
    stopped: tuple[float, float]


def coarse_sum(
    case: FunctionCase, given: Derivatives, coarse: Format, result: Format
) -> CoarseSum | None:
    """The one sum whose forming in ``coarse`` makes what was given.

    Args:
        case: A case, of the function as it was traced.
        given: What was returned.
        coarse: The format of which it is suspected.
        result: What results are rounded to.
    """
    program = case.gradient
    returned = {
        name: np.asarray(value, dtype=np.float64)
        for name, value in given.arrays.items()
        if not isinstance(value, LeftOut)
    }
    with np.errstate(all="ignore"):
        right = values_of(program, OnFloats(), dict(case.entries()))
        for number in program.needed:
            node = program.nodes[number]
            terms = _terms(node, program.nodes)
            if terms < 3:
                continue
            for backwards in (False, True):
                wrong = _summed(node, [right[each] for each in node.inputs], coarse, backwards)
                if np.array_equal(wrong, right[number]):
                    continue
                values = _from(case, right, number, wrong)
                names = _differing(case, right, values, result)
                if names and all(
                    np.array_equal(result.round(values[program.outputs[name]]), each)
                    for name, each in returned.items()
                ):
                    at = np.unravel_index(
                        int(np.argmax(np.abs(wrong - right[number]))), wrong.shape
                    )
                    stopped = float(wrong[at]), float(right[number][at])
                    return CoarseSum(names, terms, coarse.name, _source(case, number), stopped)
    return None


def _terms(node: Node, nodes: tuple[Node, ...]) -> int:
    """How many terms a sum has; 0 for what is none."""
    if node.op == "sum":
        shape = nodes[node.inputs[0]].shape
        return int(np.prod([shape[axis] for axis in node.settings["axes"]]))
    if node.op == "contract":
        return nodes[node.inputs[0]].shape[-1]
    return 0


def _summed(node: Node, x: list[Array], coarse: Format, backwards: bool) -> Array:
    """The sum, one term after the other, each result rounded."""
    if node.op == "sum":
        axes = node.settings["axes"]
        moved = np.moveaxis(x[0], axes, range(len(axes)))
        terms = moved.reshape(-1, *moved.shape[len(axes) :])
    else:
        terms = np.moveaxis(x[0][..., :, :, None] * x[1][..., None, :, :], -2, 0)
    total = np.zeros(terms.shape[1:])
    for term in terms[::-1] if backwards else terms:
        total = coarse.round(total + coarse.round(term))
    if node.op == "sum" and node.settings["keep"]:
        for axis in reversed(node.settings["axes"]):
            total = np.expand_dims(total, axis)
    return np.asarray(total).reshape(node.shape)


def _from(
    case: FunctionCase, right: Mapping[int, Any], changed: int, value: Array
) -> dict[int, Any]:
    """All values, with one changed and what follows from it."""
    program = case.gradient
    found = dict(right)
    found[changed] = value
    moved = {changed}
    for number in program.needed:
        node = program.nodes[number]
        if number != changed and moved & set(node.inputs):
            moved.add(number)
            operands = [found[each] for each in node.inputs]
            found[number] = rule_of(node.op).value(OnFloats(), node, operands)
    return found


def _differing(
    case: FunctionCase, right: Mapping[int, Any], values: Mapping[int, Any], result: Format
) -> tuple[str, ...]:
    return tuple(
        name
        for name in case.wanted
        if not np.array_equal(
            result.round(right[case.gradient.outputs[name]]),
            result.round(values[case.gradient.outputs[name]]),
        )
    )


def _source(case: FunctionCase, number: int) -> Source | None:
    """The step of the user's that a sum of the reverse sweep belongs to."""
    sources = case.traced_function.sources
    if number in sources:
        return sources[number]
    nodes = case.gradient.nodes
    # What is summed is a cotangent: the shape that it is summed to is that of the operand.
    for each, source in sources.items():
        if any(nodes[operand].shape == nodes[number].shape for operand in nodes[each].inputs):
            return source
    return None
