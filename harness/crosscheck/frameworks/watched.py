"""A forward pass that shows what goes into each step and comes out of it, and the records made so.

Each array is put through a mark at each of its *uses*: an identity, a view or a copy, which has a
cotangent of its own. So the framework's differentiation runs as it always does, between the marks
and through them, and its sums of cotangents are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from crosscheck.frameworks.text import WATCH, function_of, watched_statements
from crosscheck.judge.local.record import Record, Recorded
from crosscheck.network.composed import AnyCase, AnyGradients, Composed
from crosscheck.network.steps import Step, dense_steps, differentiated
from crosscheck.numbers.arrays import Array
from crosscheck.operators.operator import Line
from crosscheck.program.graph import Shape

__all__ = ["Mark", "marks_of", "records_of", "steps_of", "watched_function"]

Mark: TypeAlias = tuple[str, str]
"""A step, and the name of an operand; of what the step returns, an empty one."""


def steps_of(case: AnyCase) -> tuple[Step, ...]:
    """The steps of a network, of whatever kind."""
    if isinstance(case, Composed):
        return case.steps
    return dense_steps(case.network, case.has_bias)


def marks_of(steps: tuple[Step, ...]) -> list[Mark]:
    """The marks that have a cotangent."""
    operands = differentiated(steps)
    return [(each.id, name) for each in steps for name in (*operands[each.id], "")]


def watched_function(
    case: AnyCase, framework: str, setup: str, sources: Mapping[str, Line]
) -> Callable[..., Any]:
    """J of ``watch``, then of `leaves_of` and `constants_of`, made of the operators' lines.

    Args:
        case: A single case or a stack.
        framework: Whose lines.
        setup: Its imports.
        sources: Operator to its line, if not the first of the framework's.

    Raises:
        UnsupportedError: An operator is not known there.
    """
    lead = 0 if case.count is None else 1
    shapes = {name: shape[lead:] for name, shape in case.array_shapes.items()}
    names = (*case.wanted, *(name for name in case.names if name not in case.wanted))
    steps = steps_of(case)
    if isinstance(case, Composed):
        shapes |= case.result_shapes
    else:
        shapes[steps[-2].id] = (case.rows, case.widths[-1])
    return _watched(steps, names, tuple(shapes.items()), framework, setup, tuple(sources.items()))


@lru_cache(maxsize=512)
def _watched(
    steps: tuple[Step, ...],
    names: tuple[str, ...],
    shapes: tuple[tuple[str, Shape], ...],
    framework: str,
    setup: str,
    sources: tuple[tuple[str, Line], ...],
) -> Callable[..., Any]:
    lines = watched_statements(steps, dict(shapes), framework, dict(sources), names)
    return function_of(setup, (WATCH, *names), lines)


def records_of(
    case: AnyCase,
    given: AnyGradients,
    values: Mapping[Mark, Array],
    cotangents: Mapping[Mark, Array | None],
    formulations: Mapping[str, str],
) -> Recorded:
    """What was seen at the marks, step by step.

    Args:
        case: The case.
        given: The gradient.
        values: What was held at each mark.
        cotangents: What belongs to it; ``None`` where nothing came, which is zero.
        formulations: Name of an operator to how it was written, if not in the first way.
    """

    def cotangent(mark: Mark) -> Array:
        found = cotangents.get(mark)
        return np.zeros_like(values[mark]) if found is None else found

    records, steps = [], steps_of(case)
    operands = differentiated(steps)
    for each in steps:
        records.append(
            Record(
                each,
                {name: values[each.id, name] for name in each.operands},
                values[each.id, ""],
                cotangent((each.id, "")),
                {name: cotangent((each.id, name)) for name in operands[each.id]},
                formulations.get(each.op, ""),
            )
        )
    return Recorded(given, tuple(records))
