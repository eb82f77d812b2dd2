"""Derivatives of programs, which are programs: cotangents, tangents, and one after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from crosscheck.program.graph import Graph, Program, Var
from crosscheck.program.rules import Rule, rule_of
from crosscheck.program.sweeps import Use, carried_up, sent_down
from crosscheck.tools.errors import UsageError

__all__ = ["Use", "cotangents", "gradient", "jvp", "shares", "vjp"]


def gradient(program: Program, output: str, wrt: Sequence[str]) -> Program:
    """The gradient of a scalar result: the result, and its derivative by each array.

    Args:
        program: The program.
        output: Name of a result of shape ().
        wrt: Names of inputs.

    Returns:
        A program with the same inputs and nodes; its results are ``output`` and ``wrt``.

    Raises:
        UsageError: The result has another shape, or a name is unknown.
    """
    if output not in program.outputs or program.nodes[program.outputs[output]].shape != ():
        raise UsageError(f"gradient: {output!r} is no result of shape (), wanted one")
    graph = Graph.of(program)
    found = _cotangents(graph, {program.outputs[output]: graph.ones(())}, program, wrt)
    top = Var(graph, program.outputs[output])
    return graph.program(_inputs(graph, program), {output: top, **found})


def vjp(program: Program, seeds: Mapping[str, str], wrt: Sequence[str]) -> Program:
    """The sum of the results' gradients, each weighed with a cotangent that is an input.

    Args:
        program: The program.
        seeds: Name of each result to that of the input for its cotangent.
        wrt: Names of inputs.

    Returns:
        A program with one more input for each seed; its results are those of ``program``, then
        the derivatives by name.

    Raises:
        UsageError: A name is unknown, or one of a seed is taken.
    """
    graph = Graph.of(program)
    inputs, given = _seeded(graph, program, seeds)
    found = _cotangents(graph, given, program, wrt)
    results = {name: Var(graph, number) for name, number in program.outputs.items()}
    return graph.program(inputs, {**results, **found})


def jvp(program: Program, tangents: Mapping[str, str]) -> Program:
    """The results' derivatives along tangents of the inputs.

    Args:
        program: The program.
        tangents: Name of each input that moves to that of the input for its tangent.

    Returns:
        A program with one more input for each tangent; its results are those of ``program``, then
        their tangents under the same names with a dot, ``"J."``. What does not move has none.
    """
    graph = Graph.of(program)
    inputs = _inputs(graph, program)
    given: dict[int, Var] = {}
    for name, tangent in tangents.items():
        if name not in program.inputs or tangent in program.inputs:
            raise UsageError(f"jvp: {name!r} is no input, or {tangent!r} is one already")
        number = program.inputs[name]
        inputs[tangent] = given[number] = graph.leaf(tangent, program.nodes[number].shape)
    along = carried_up(graph, given, program, rule_of)
    results = {name: Var(graph, number) for name, number in program.outputs.items()}
    for name, number in program.outputs.items():
        moved = along.get(number)
        if moved is not None:
            results[f"{name}."] = moved
    return graph.program(inputs, results)


def _inputs(graph: Graph, program: Program) -> dict[str, Var]:
    return {name: Var(graph, number) for name, number in program.inputs.items()}


def _seeded(
    graph: Graph, program: Program, seeds: Mapping[str, str]
) -> tuple[dict[str, Var], dict[int, Var]]:
    """The inputs with those for cotangents, and the cotangents by node."""
    given: dict[int, Var] = {}
    inputs = _inputs(graph, program)
    for name, seed in seeds.items():
        if name not in program.outputs or seed in program.inputs:
            raise UsageError(f"vjp: {name!r} is no result, or {seed!r} is an input already")
        number = program.outputs[name]
        inputs[seed] = leaf = graph.leaf(seed, program.nodes[number].shape)
        given[number] = given[number] + leaf if number in given else leaf
    return inputs, given


def cotangents(program: Program, output: str, nodes: Mapping[str, int]) -> Program:
    """The derivative of a scalar result by values in between.

    Args:
        program: The program.
        output: Name of a result of shape ().
        nodes: What each derivative is to be called, to the node of ``program`` that it is by.

    Returns:
        A program with the same inputs and nodes, whose results are these derivatives.
    """
    graph = Graph.of(program)
    seeds = {program.outputs[output]: graph.ones(())}
    return graph.program(_inputs(graph, program), sent_down(graph, seeds, program, nodes, rule_of))


def shares(
    program: Program, seeds: Mapping[str, str], nodes: Collection[int]
) -> tuple[Program, Mapping[Use, int]]:
    """The derivatives of `vjp` by values in between, use by use, of results as functions of values.

    The derivative by a value is the sum of what all its uses send down; the cotangent of a result
    is not among them. What is held is sent what its consumers send: an error of a value changes
    the results, whether or not anybody differentiates by it.

    Args:
        program: The program.
        seeds: As of `vjp`.
        nodes: The nodes of ``program`` that are asked about.

    Returns:
        A program with one more input for each seed and the same nodes, whose results are what
        each use sends down of them, and of the nodes on the way there; and the node of each.
    """
    graph = Graph.of(program)
    inputs, given = _seeded(graph, program, seeds)
    uses: dict[Use, Var] = {}
    sent_down(graph, given, program, {str(number): number for number in nodes}, _felt, uses)
    results = {f"{consumer}.{operand}": share for (consumer, operand), share in uses.items()}
    return graph.program(inputs, results), {use: share.number for use, share in uses.items()}


def _felt(op: str) -> Rule:
    """The rule by which errors go down: what is held passes them on."""
    rule = rule_of(op)
    return replace(rule, vjp=lambda g, y, x, s: (g,)) if op == "held" else rule


def _cotangents(
    graph: Graph, given: Mapping[int, Var], program: Program, wrt: Sequence[str]
) -> dict[str, Var]:
    """The derivative by each of ``wrt``."""
    unknown = [name for name in wrt if name not in program.inputs]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no input; there are {', '.join(program.inputs)}")
    nodes = {name: program.inputs[name] for name in wrt}
    return sent_down(graph, given, program, nodes, rule_of)
