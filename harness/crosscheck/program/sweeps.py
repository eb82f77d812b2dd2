"""Through a program node by node: values upwards, cotangents downwards, tangents upwards.

A rule is handed over as what it does (`crosscheck.program.rules` has the table), so that a rule may
itself be made of programs (`crosscheck.program.alternatives`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from crosscheck.program.graph import Graph, Program, Var

__all__ = ["Change", "Formed", "Rules", "Use", "carried_up", "evaluated", "sent_down"]

Rules = Callable[[str], Any]
"""The rule of a primitive, `crosscheck.program.rules.Rule`, by its name."""

Use = tuple[int, int]
"""A node, and at which of its operands."""


Change = Callable[[Use, Var, Var], Var | None]
"""Of a use, the cotangent of the node's result, and what is sent down: what is sent instead."""

Formed: TypeAlias = dict[tuple[Any, ...], tuple[Any, list[Any]]]
"""What was formed of which values, by the operation and by which objects these are."""


def evaluated(
    program: Program,
    arithmetic: Any,
    found: Mapping[int, Any],
    rule_of: Rules,
    formed: Formed | None = None,
) -> dict[int, Any]:
    """The value of each node that a result depends on.

    Args:
        program: The program.
        arithmetic: `crosscheck.program.arithmetic.Arithmetic`.
        found: Values that are known, those of all inputs among them.
        rule_of: The rules.
        formed: What was formed before, by programs that have parts in common; noted there.
    """
    values = dict(found)
    for number in program.needed:
        if number not in values:
            node = program.nodes[number]
            operands = [values[each] for each in node.inputs]
            key = node.op, node.attributes, node.shape, *map(id, operands)
            if formed is not None and key in formed:
                values[number], _ = formed[key]
                continue
            values[number] = rule_of(node.op).value(arithmetic, node, operands)
            if formed is not None:
                formed[key] = values[number], operands
    return values


def sent_down(
    graph: Graph,
    given: Mapping[int, Var],
    program: Program,
    nodes: Mapping[str, int],
    rule_of: Rules,
    uses: dict[Use, Var] | None = None,
    changed: Change | None = None,
) -> dict[str, Var]:
    """The derivative by each of some nodes: all that its consumers send down, added up.

    Args:
        graph: That begins with the nodes of ``program``.
        given: The cotangents of results, by node.
        program: The program.
        nodes: What each derivative is to be called, to the node that it is by.
        rule_of: The rules.
        uses: Where what each use sends down is noted.
        changed: What is sent down in place of what should be.
    """
    leads = set(nodes.values())  # the nodes through which any of them is reached
    for number in program.needed:
        if leads & set(program.nodes[number].inputs):
            leads.add(number)
    found: dict[int, Var] = dict(given)
    for number in reversed(program.needed):
        node = program.nodes[number]
        if number not in found or number not in leads or not node.inputs:
            continue
        operands = [Var(graph, each) for each in node.inputs]
        contributions = rule_of(node.op).vjp(
            found[number], Var(graph, number), operands, node.settings
        )
        for at, (each, right) in enumerate(zip(node.inputs, contributions, strict=True)):
            sent = right
            if changed is not None and right is not None:
                sent = changed((number, at), found[number], right)
            if sent is not None and each in leads:
                if uses is not None:
                    uses[number, at] = sent
                found[each] = found[each] + sent if each in found else sent
    return {
        name: found[number] if number in found else graph.zeros(program.nodes[number].shape)
        for name, number in nodes.items()
    }


def carried_up(
    graph: Graph, given: Mapping[int, Var], program: Program, rule_of: Rules
) -> dict[int, Var | None]:
    """The tangents of nodes: of those that move at all.

    Args:
        graph: That begins with the nodes of ``program``.
        given: The tangents of inputs, by node.
        program: The program.
        rule_of: The rules.
    """
    along: dict[int, Var | None] = dict(given)
    for number in program.needed:
        node = program.nodes[number]
        if number in along or not any(along.get(each) is not None for each in node.inputs):
            continue
        operands = [Var(graph, each) for each in node.inputs]
        moving = [along.get(each) for each in node.inputs]
        along[number] = rule_of(node.op).jvp(moving, Var(graph, number), operands, node.settings)
    return along
