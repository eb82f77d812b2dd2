"""Derivatives of programs, which are programs: cotangents, tangents, and one after the other."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from crosscheck.program.graph import Graph, Program, Var
from crosscheck.program.rules import rule_of
from crosscheck.tools.errors import UsageError

__all__ = ["Use", "cotangents", "gradient", "jvp", "shares", "vjp"]

Use = tuple[int, int]
"""A node, and at which of its operands."""


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
    along: dict[int, Var | None] = {}
    for name, tangent in tangents.items():
        if name not in program.inputs or tangent in program.inputs:
            raise UsageError(f"jvp: {name!r} is no input, or {tangent!r} is one already")
        number = program.inputs[name]
        inputs[tangent] = along[number] = graph.leaf(tangent, program.nodes[number].shape)
    for number in program.needed:
        node = program.nodes[number]
        if number in along or not any(along.get(each) is not None for each in node.inputs):
            continue
        operands = [Var(graph, each) for each in node.inputs]
        moving = [along.get(each) for each in node.inputs]
        y = Var(graph, number)
        along[number] = rule_of(node.op).jvp(moving, y, operands, node.settings)
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
    return graph.program(_inputs(graph, program), _sent_down(graph, seeds, program, nodes))


def shares(
    program: Program, seeds: Mapping[str, str], nodes: Collection[int]
) -> tuple[Program, Mapping[Use, int]]:
    """The derivatives of `vjp` by values in between, use by use.

    The derivative by a value is the sum of what all its uses send down; the cotangent of a result
    is not among them.

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
    _sent_down(graph, given, program, {str(number): number for number in nodes}, uses)
    results = {f"{consumer}.{operand}": share for (consumer, operand), share in uses.items()}
    return graph.program(inputs, results), {use: share.number for use, share in uses.items()}


def _cotangents(
    graph: Graph, given: Mapping[int, Var], program: Program, wrt: Sequence[str]
) -> dict[str, Var]:
    """The derivative by each of ``wrt``."""
    unknown = [name for name in wrt if name not in program.inputs]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no input; there are {', '.join(program.inputs)}")
    return _sent_down(graph, given, program, {name: program.inputs[name] for name in wrt})


def _sent_down(
    graph: Graph,
    given: Mapping[int, Var],
    program: Program,
    nodes: Mapping[str, int],
    uses: dict[Use, Var] | None = None,
    until: Collection[int] = (),
) -> dict[str, Var]:
    """The derivative by each of some nodes: all that its consumers send down, added up.

    What each use sends down is noted in ``uses``; nothing is sent on from the nodes of ``until``.
    """
    leads = set(nodes.values())  # the nodes through which any of them is reached
    for number in program.needed:
        if leads & set(program.nodes[number].inputs):
            leads.add(number)
    found: dict[int, Var] = dict(given)
    for number in reversed(program.needed):
        node = program.nodes[number]
        if number not in found or number not in leads or not node.inputs or number in until:
            continue
        contributions = _contributions(graph, found[number], number)
        for at, (each, sent) in enumerate(zip(node.inputs, contributions, strict=True)):
            if sent is not None and each in leads:
                if uses is not None:
                    uses[number, at] = sent
                found[each] = found[each] + sent if each in found else sent
    return {
        name: found[number] if number in found else graph.zeros(program.nodes[number].shape)
        for name, number in nodes.items()
    }


def _contributions(graph: Graph, g: Var, number: int) -> Sequence[Var | None]:
    """What a node sends down to each of its inputs.

    A number that is computed in several ways sends to its operands what any of these would send.
    """
    node = graph.nodes[number]
    inputs = [Var(graph, each) for each in node.inputs]
    if node.op != "ways":
        return rule_of(node.op).vjp(g, Var(graph, number), inputs, node.settings)
    count = node.settings["count"]
    operands = {str(each.number): each.number for each in inputs[count:]}
    sent: dict[str, Var] = {}
    for way in inputs[:count]:
        program = Program(tuple(graph.nodes), {}, {"": way.number})
        found = _sent_down(graph, {way.number: g}, program, operands, None, operands.values())
        sent = {name: sent[name].either(each) if sent else each for name, each in found.items()}
    return [*[None] * count, *sent.values()]
