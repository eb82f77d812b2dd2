"""The one text of a forward pass: a loss as source in a framework, made of the operators' lines."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from crosscheck.network.steps import Step
from crosscheck.operators.operator import Line, Use
from crosscheck.operators.registry import operator_of
from crosscheck.program.graph import Shape
from crosscheck.tools.errors import UnsupportedError, UsageError

__all__ = ["WATCH", "function_of", "statements", "watched_statements"]

WATCH = "__watch"
"""What a forward pass that is watched calls; its first argument."""


def statements(
    steps: Sequence[Step],
    shapes: Mapping[str, Shape],
    framework: str,
    sources: Mapping[str, Line],
    spelt: Callable[[str], str] = lambda name: name,
    *,
    stacked: bool = False,
) -> list[str]:
    """The assignments that end in ``J = …``.

    Args:
        steps: The network.
        shapes: Name of each array, and of each result, to its shape in one case.
        framework: Whose lines.
        sources: Name of an operator to its line, if not the first of the framework's.
        spelt: How an array that is given is written.
        stacked: Whether arrays have an axis over cases in front.

    Raises:
        UnsupportedError: An operator has no line there.
    """
    lines, known = [], {each.id for each in steps}
    for each in steps:
        operands = {
            name: source if source in known else spelt(source) for name, source in each.inputs
        }
        text = _line(each, operands, shapes, framework, sources, stacked)
        lines.append(f"{'J' if each is steps[-1] else each.id} = {text}")
    return lines


def watched_statements(
    steps: Sequence[Step],
    shapes: Mapping[str, Shape],
    framework: str,
    sources: Mapping[str, Line],
    names: Collection[str],
    *,
    stacked: bool = False,
) -> list[str]:
    """The same assignments, with all that goes into a step or comes out of it put through `WATCH`.

    ``watch(step, operand, array)`` returns an array in its place; ``operand`` is empty for what
    the step returns. So each use of an array has a name of its own.

    Args:
        steps: As of `statements`, like what follows.
        shapes: Likewise.
        framework: Likewise.
        sources: Likewise.
        names: Of the arrays.
        stacked: As of `statements`.

    Raises:
        UnsupportedError: An operator has no line there.
    """
    lines: list[str] = []
    taken = {*names, *(each.id for each in steps)}
    fresh = (name for number in itertools.count() if (name := f"_{number}") not in taken)
    for each in steps:
        operands = dict(zip(each.operands, fresh, strict=False))
        for name, source in each.inputs:
            lines.append(f"{operands[name]} = {WATCH}({each.id!r}, {name!r}, {source})")
        text = _line(each, operands, shapes, framework, sources, stacked)
        target = "J" if each is steps[-1] else each.id
        lines.append(f"{target} = {WATCH}({each.id!r}, '', {text})")
    return lines


def _line(
    each: Step,
    operands: Mapping[str, str],
    shapes: Mapping[str, Shape],
    framework: str,
    sources: Mapping[str, Line],
    stacked: bool,
) -> str:
    """A step's operator as source."""
    inner = {name: shapes[source] for name, source in each.inputs if source in shapes}
    use = Use(operands, each.settings, inner)
    operator = operator_of(each.op)
    try:
        text = operator.line(framework, use, sources.get(each.op))
    except UsageError as error:
        raise UnsupportedError(str(error)) from None
    if not (stacked and operator.takes_one_case(framework, sources.get(each.op))):
        return text
    if framework not in _OVER_CASES:
        raise UnsupportedError(f"{each.op}: no stacks of cases in {framework}")
    names = list(dict.fromkeys(operands.values()))
    return _OVER_CASES[framework].format(names=", ".join(names), line=text, first=names[0])


_OVER_CASES = MappingProxyType(
    {
        "torch": "torch.func.vmap(lambda {names}: {line})({names})",
        "tensorflow": "tf.map_fn(lambda each: (lambda {names}: {line})(*each), ({names},), "
        "fn_output_signature={first}.dtype)",
        "jax": "jax.vmap(lambda {names}: {line})({names})",
    }
)
"""How a line of one case is put to those of a stack."""


def function_of(setup: str, names: Iterable[str], lines: Sequence[str]) -> Callable[..., Any]:
    """The function of arrays, in the order of ``names``, that the lines compute J of."""
    body = "\n    ".join([*lines, "return J"])
    found: dict[str, Any] = {}
    # The lines that people are shown are the lines that run: those of operators, and no others.
    exec(f"{setup}\n\ndef loss({', '.join(names)}):\n    {body}\n", found)
    function: Callable[..., Any] = found["loss"]
    return function
