"""Products of a Hessian with a vector: H v for the second derivatives H of a scalar result.

A gradient is a program, so it can be differentiated once more, in one of two ways:

    forward over reverse    H v = d/dt ∇J(θ + t v) at t = 0: tangents, carried up through the
                            program of the gradient
    reverse over reverse    H v = ∇ Σ ∇J ∘ v: cotangents, sent down through it, which begin with v

The numbers are the same; what is rounded on the way is not, and a framework is held to the way that
it goes. In both the derivative of a slope f'(z) is f''(z), and that of a jump is nowhere taken: at
a breakpoint there is no second derivative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

from crosscheck.program.derive import jvp, vjp
from crosscheck.program.graph import Graph, Program, Var
from crosscheck.tools.errors import UsageError

__all__ = ["WAYS", "Way", "hessian_product"]

Way: TypeAlias = Literal["forward over reverse", "reverse over reverse"]

WAYS: tuple[Way, ...] = ("forward over reverse", "reverse over reverse")


def hessian_product(gradient: Program, along: Mapping[str, str], way: Way) -> Program:
    """H v for the gradient of a scalar result by some arrays.

    Args:
        gradient: Of `crosscheck.program.derive.gradient`, by all arrays in ``along`` at least.
        along: Name of each array to that of the input for its part of v.
        way: How.

    Returns:
        A program with one more input for each part of v, whose results are the parts of H v, under
        the names of the arrays. It begins with the nodes of ``gradient``.

    Raises:
        UsageError: An array has no gradient, or a name is taken.
    """
    if missing := [name for name in along if name not in gradient.outputs]:
        raise UsageError(f"{missing[0]!r} has no gradient; there are {', '.join(gradient.outputs)}")
    whole = replace(gradient, outputs={name: gradient.outputs[name] for name in along})
    if way == "reverse over reverse":
        return vjp(whole, along, tuple(along))
    found = jvp(whole, along)
    graph = Graph.of(found)
    outputs = {
        name: Var(graph, found.outputs[f"{name}."])
        if f"{name}." in found.outputs
        else graph.zeros(found.nodes[found.inputs[name]].shape)
        for name in along
    }
    inputs = {name: Var(graph, number) for name, number in found.inputs.items()}
    return graph.program(inputs, outputs)
