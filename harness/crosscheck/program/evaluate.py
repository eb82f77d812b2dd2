"""Running a program on numbers of some kind, node by node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crosscheck.program.arithmetic import Arithmetic
from crosscheck.program.graph import Program
from crosscheck.program.rules import rule_of
from crosscheck.program.sweeps import evaluated
from crosscheck.tools.errors import UsageError

__all__ = ["evaluate", "values_of"]


def values_of(
    program: Program,
    arithmetic: Arithmetic,
    arrays: Mapping[str, Any],
    known: Mapping[int, Any] | None = None,
) -> dict[int, Any]:
    """The value of each node that a result depends on.

    Args:
        program: The program.
        arithmetic: Of the numbers.
        arrays: The inputs by name, with or without an axis over cases in front.
        known: Values of nodes that need not be computed again.

    Raises:
        UsageError: An input is missing, or a primitive has no rule.
    """
    names = {number: name for name, number in program.inputs.items()}
    found = dict(known or {})
    for number in program.needed:
        node = program.nodes[number]
        if node.op == "input" and number not in found:
            if names.get(number) not in arrays:
                raise UsageError(f"input {node.settings['name']!r} is missing")
            found[number] = arrays[names[number]]
    return evaluated(program, arithmetic, found, rule_of)


def evaluate(program: Program, arithmetic: Arithmetic, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The results by name; arguments as of `values_of`."""
    found = values_of(program, arithmetic, arrays)
    return {name: found[number] for name, number in program.outputs.items()}
