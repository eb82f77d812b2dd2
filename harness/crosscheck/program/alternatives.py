"""One function that may be computed in several ways, each with derivatives of its own.

What is known of the number is what is known of each way, and a framework may err as it may in any
of them. Whoever differentiates differentiates the way that was taken: so the derivative has as many
ways, and is again such a function.

    value       either P_1(x) or P_2(x) or …
    cotangents  of operand x_k: either of the P_a, each sent down by its own primitives
    tangent     either of the P_a, each carried up by its own primitives

The ways are one and the same function of the operands, whatever these are: one that takes another
operand for what it can be computed of would have other derivatives by each. A way is a program
(`crosscheck.program.graph`) whose inputs are the operands, under the names ``"0"``, ``"1"``, …, and
whose result is ``"y"``. It decides nothing. Equal ways are one object, so that nodes which are made
of them are equal; and what ways have in common, as derivatives of one function by several of its
operands do, is formed once where an arithmetic keeps account of it (``formed``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from crosscheck.program.graph import Graph, Node, Program, Var
from crosscheck.program.sweeps import Formed, Rules, carried_up, evaluated, sent_down

__all__ = ["DIFFERENTIATED", "WAYS", "differentiated", "rule", "rule_of_results", "ways"]

WAYS = "ways"
"""The primitive's name."""

DIFFERENTIATED = "differentiated"
"""The name of the primitive whose derivative is written out."""

Settings = Mapping[str, Any]
_RESULT = "y"

Formulas = Callable[[Var, Sequence[Var], Var], Sequence[Sequence[Var]]]
"""Of y, its operands and g: for each operand the ways to write what is sent to it."""


def ways(operands: Sequence[Var], *results: Var) -> Var:
    """A number that can be computed in several ways, and its derivative in as many.

    Args:
        operands: What it is a function of.
        results: The number, computed from the operands in each way.
    """
    known = list(dict.fromkeys(operands))
    return _applied([_cut_out(known, each) for each in results], known)


def differentiated(y: Var, operands: Sequence[Var], formulas: Formulas) -> Var:
    """A number whose derivative is written out, in one way or in several.

    Whatever y was computed by, what is sent to the operands is what the formulas say, of the y that
    was returned. People write backward passes so: σ (1 - σ) g of the σ that they have kept.

    Args:
        y: The number.
        operands: What it is a function of.
        formulas: For each operand the ways to write what is sent to it.
    """
    graph = Graph()
    leaves = [graph.leaf(str(k), each.shape) for k, each in enumerate((y, *operands, y))]
    own, *known, g = leaves
    written = formulas(own, known, g)
    sent = tuple(tuple(_cut_out(leaves, form) for form in forms) for forms in written)
    return y.graph.apply(DIFFERENTIATED, (y, *operands), y.shape, sent=sent)


def rule_of_results() -> tuple[str, Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """As `rule`, of `differentiated`: tangents go through y as it was computed."""

    def vjp(g: Var, y: Var, x: Sequence[Var], s: Settings) -> Sequence[Var | None]:
        given = (*x, g.broadcast(y.shape))
        return [None, *(_applied(forms, given) for forms in s["sent"])]

    return DIFFERENTIATED, lambda n, node, x: x[0], vjp, lambda t, y, x, s: t[0]


def rule(rule_of: Rules) -> tuple[str, Callable[..., Any], Callable[..., Any], Callable[..., Any]]:
    """Name, value, cotangents and tangent; see `crosscheck.program.rules.Rule`."""

    def value(n: Any, node: Node, x: Sequence[Any]) -> Any:
        found: Any = None
        formed: Formed | None = getattr(n, "formed", None)
        taken = 1 if getattr(n, "takes_first", False) else None
        for way in node.settings["ways"][:taken]:
            known = {way.inputs[str(k)]: each for k, each in enumerate(x)}
            one = evaluated(way, n, known, rule_of, formed)[way.outputs[_RESULT]]
            found = one if found is None else n.either(found, one)
        return found

    def vjp(g: Var, y: Var, x: Sequence[Var], s: Settings) -> Sequence[Var | None]:
        g = g.broadcast(y.shape)
        return [
            _together([_cotangent(way, k, rule_of) for way in s["ways"]], (*x, g))
            for k in range(len(x))
        ]

    def jvp(t: Sequence[Var | None], y: Var, x: Sequence[Var], s: Settings) -> Var | None:
        moving = tuple(k for k, each in enumerate(t) if each is not None)
        operands = (*x, *(each for each in t if each is not None))
        return _together([_tangent(way, moving, rule_of) for way in s["ways"]], operands)

    return WAYS, value, vjp, jvp


def _together(each: Sequence[Program | None], operands: Sequence[Var]) -> Var | None:
    """A derivative in several ways; ``None`` if it is zero."""
    found = [way for way in each if way is not None]
    return _applied(found, operands) if len(found) == len(each) else None


def _applied(each: Sequence[Program], operands: Sequence[Var]) -> Var:
    found = tuple(dict.fromkeys(each))
    shape = found[0].nodes[found[0].outputs[_RESULT]].shape
    return operands[0].graph.apply(WAYS, operands, shape, ways=found)


def _cut_out(operands: Sequence[Var], result: Var) -> Program:
    """What leads from operands to a result."""
    graph = Graph()
    known = {each.number: graph.leaf(str(k), each.shape).number for k, each in enumerate(operands)}
    inputs = tuple(known.values())
    whole = Program(tuple(result.graph.nodes), {}, {_RESULT: result.number})
    for number in _between(whole, known):
        node = replace(
            whole.nodes[number], inputs=tuple(known[k] for k in whole.nodes[number].inputs)
        )
        known[number] = len(graph.nodes)
        graph.nodes.append(node)
    return _one(tuple(graph.nodes), inputs, known[result.number])


def _between(program: Program, border: Mapping[int, int]) -> list[int]:
    """The nodes that the result depends on otherwise than through the border, in order."""
    found: set[int] = set()
    waiting = [number for number in program.outputs.values() if number not in border]
    while waiting:
        number = waiting.pop()
        if number not in found:
            found.add(number)
            waiting += [each for each in program.nodes[number].inputs if each not in border]
    return sorted(found)


@lru_cache(maxsize=4096)
def _one(nodes: tuple[Node, ...], inputs: tuple[int, ...], result: int) -> Program:
    names = {str(k): number for k, number in enumerate(inputs)}
    return Program(nodes, names, {_RESULT: result})


def _begun(way: Program) -> tuple[Graph, list[Var]]:
    graph = Graph.of(way)
    return graph, [Var(graph, number) for number in way.inputs.values()]


@lru_cache(maxsize=4096)
def _cotangent(way: Program, k: int, rule_of: Rules) -> Program | None:
    """What a way sends down to operand ``k``, of the operands and a cotangent."""
    graph, inputs = _begun(way)
    number = way.outputs[_RESULT]
    seed = graph.leaf(str(len(inputs)), way.nodes[number].shape)
    nodes = {_RESULT: way.inputs[str(k)]}
    found = sent_down(graph, {number: seed}, way, nodes, rule_of)[_RESULT]
    return None if found.node.op == "zeros" else _cut_out([*inputs, seed], found)


@lru_cache(maxsize=4096)
def _tangent(way: Program, moving: tuple[int, ...], rule_of: Rules) -> Program | None:
    """The tangent of a way's result, of the operands and the tangents of some of them."""
    graph, inputs = _begun(way)
    along: dict[int, Var] = {}
    for k in moving:
        number = way.inputs[str(k)]
        along[number] = graph.leaf(str(len(inputs) + len(along)), way.nodes[number].shape)
    found = carried_up(graph, along, way, rule_of).get(way.outputs[_RESULT])
    return None if found is None else _cut_out([*inputs, *along.values()], found)
