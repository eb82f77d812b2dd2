"""A relation between returned arrays in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from crosscheck.judge.relations.moves import SAME
from crosscheck.network.names import derivative
from crosscheck.program.graph import Node, Program

__all__ = ["gradient_name", "said_of"]


def gradient_name(name: str) -> str:
    """``dW2``, of what is returned as the derivative by W2; J is J."""
    return derivative(name).removeprefix("dJ/")


def said_of(
    program: Program, number: int, known: Mapping[int, str], results: Mapping[int, str]
) -> str:
    """What a node is computed as, of the nearest values that are known.

    Args:
        program: The gradient's.
        number: The node; it is looked into, known or not.
        known: Node to what it is called, of all that is known.
        results: Node to the id of the step whose result it is.
    """

    def of(number: int, outer: bool = True) -> str:
        if number in known:
            return known[number]
        node = program.nodes[number]
        if node.op in ("input", "ones", "zeros"):
            return str(node.settings.get("name", node.op))
        text = _words(program, node, of, results)
        return text if outer or _is_one(text) else f"({text})"

    return _words(program, program.nodes[number], of, results)


def _words(program: Program, node: Node, of: Callable[..., str], results: Mapping[int, str]) -> str:
    inputs = node.inputs
    if node.op in (*SAME, "broadcast") or (
        node.op == "sum" and math.prod(program.nodes[inputs[0]].shape) == math.prod(node.shape)
    ):
        return of(inputs[0])
    match node.op:
        case "contract":
            return _product(program, node, of)
        case "add":
            return f"{of(inputs[0])} + {of(inputs[1])}"
        case "difference":
            return f"{of(inputs[0])} − {of(inputs[1], False)}"
        case "mul" if inputs[0] == inputs[1]:
            return f"{of(inputs[0], False)}²"
        case "mul":
            return f"{of(inputs[0], False)} ∘ {of(inputs[1], False)}"
        case "times_constants":
            factor = math.prod(node.settings["constants"], start=Fraction(1))
            is_sum = program.nodes[inputs[0]].op == "sum"
            factors = {Fraction(1): "", Fraction(-1): "−", Fraction(1, 2): "½ "}
            return factors.get(factor, f"{factor} ") + of(inputs[0], factor == 1 or is_sum)
        case "sum":
            return f"Σ {of(inputs[0], False)}"
        case "piecewise":
            return f"{node.settings['function'].name}({of(inputs[0])})"
        case "select":
            of_step = f" of {results[inputs[0]]}" if inputs[0] in results else ""
            factor = of(inputs[1])
            bare = program.nodes[inputs[1]].op == "contract"
            return f"{factor if bare else of(inputs[1], False)} behind the gates{of_step}"
    return f"{node.op}({', '.join(map(of, inputs))})"


def _product(program: Program, node: Node, of: Callable[..., str]) -> str:
    """A product as one of columns: W a, Wᵀ δ, δ times a."""
    left, right = node.inputs
    nodes = program.nodes
    if nodes[right].op == "input":
        return f"{of(right)}ᵀ {of(left, False)}"
    if nodes[right].op == "transpose" and nodes[nodes[right].inputs[0]].op == "input":
        return f"{of(right)} {of(left, False)}"
    return f"{of(right, False)} times {of(left, False)}"


def _is_one(text: str) -> bool:
    """Whether there is no space outside of parentheses."""
    depth = 0
    for each in text:
        depth += (each == "(") - (each == ")")
        if each == " " and not depth:
            return False
    return True
