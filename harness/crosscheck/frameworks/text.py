"""The one text of a forward pass: a loss as source in a framework, made of the operators' lines."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from crosscheck.network.steps import Step
from crosscheck.operators.operator import Line, Use
from crosscheck.operators.registry import operator_of
from crosscheck.program.graph import Shape
from crosscheck.tools.errors import UnsupportedError, UsageError

__all__ = ["function_of", "statements"]


def statements(
    steps: Sequence[Step],
    shapes: Mapping[str, Shape],
    framework: str,
    sources: Mapping[str, Line],
    spelt: Callable[[str], str] = lambda name: name,
) -> list[str]:
    """The assignments that end in ``J = …``.

    Args:
        steps: The network.
        shapes: Name of each array, and of each result, to its shape in one case.
        framework: Whose lines.
        sources: Name of an operator to its line, if not the first of the framework's.
        spelt: How an array that is given is written.

    Raises:
        UnsupportedError: An operator has no line there.
    """
    lines, known = [], {each.id for each in steps}
    for each in steps:
        operands = {
            name: source if source in known else spelt(source) for name, source in each.inputs
        }
        inner = {name: shapes[source] for name, source in each.inputs if source in shapes}
        use = Use(operands, each.settings, inner)
        operator = operator_of(each.op)
        try:
            text = operator.line(framework, use, sources.get(each.op))
        except UsageError as error:
            raise UnsupportedError(str(error)) from None
        target = "J" if each is steps[-1] else each.id
        lines.append(f"{target} = {text}")
    return lines


def function_of(setup: str, names: Iterable[str], lines: Sequence[str]) -> Callable[..., Any]:
    """The function of arrays, in the order of ``names``, that the lines compute J of."""
    body = "\n    ".join([*lines, "return J"])
    found: dict[str, Any] = {}
    # The lines that people are shown are the lines that run: those of operators, and no others.
    exec(f"{setup}\n\ndef loss({', '.join(names)}):\n    {body}\n", found)
    function: Callable[..., Any] = found["loss"]
    return function
