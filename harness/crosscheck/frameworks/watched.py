"""A forward pass that shows what goes into each step and comes out of it, and the records made so.

Each array is put through a mark at each of its *uses*: an identity, a view or a copy, which has a
cotangent of its own. So the framework's differentiation runs as it always does, between the marks
and through them, and its sums of cotangents are its own.

Their order is, but for one case. Let z go to a step whose line takes it several times, as a norm in
two passes does, and to another step, as the residual sum around a norm that comes first does. What
the line sends comes in parts p₁, p₂, …; with c from the other step the plain gradient has

    (c + p₁) + p₂,    through a mark    c + (p₁ + p₂),

which are rounded differently. Parts are no numbers of a step as its operator has them, and
TensorFlow and JAX show no cotangent but at an array, so no mark keeps that order: where a bit
differs the record is discarded, and that is said. A line that takes z once, as PyTorch's own
`F.layer_norm`, has one part, and c + p₁ is the same both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from crosscheck.frameworks.leaves import steps_of
from crosscheck.judge.local.record import Record, Recorded
from crosscheck.network.composed import AnyCase, AnyGradients
from crosscheck.network.steps import Step, differentiated
from crosscheck.numbers.arrays import Array

__all__ = ["Mark", "marks_of", "records_of"]

Mark: TypeAlias = tuple[str, str]
"""A step, and the name of an operand; of what the step returns, an empty one."""


def marks_of(steps: tuple[Step, ...]) -> list[Mark]:
    """The marks that have a cotangent."""
    operands = differentiated(steps)
    return [(each.id, name) for each in steps for name in (*operands[each.id], "")]


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
