"""What the steps of a gradient say of a whole network: its decisions, and which arrays are checked.

A step decides at numbers of its own; in the network's program they are those of a node, the same
for each step that takes them. Where λ was read, or the weights of a tie, that is what the framework
had there. Where nothing depends on it, since nothing came or since no member of a tie can matter,
the decision is listed as without effect; the rest is too small to read, or not decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from crosscheck.judge.decisions import Effect, GateClass, GateReading, Place
from crosscheck.judge.local.check import Check
from crosscheck.judge.local.programs import RESULT
from crosscheck.judge.local.record import AnyRecord
from crosscheck.judge.local.step import OpenPlace, Part, StepBounds
from crosscheck.judge.vacuity import vacuous
from crosscheck.network.composed import Composed
from crosscheck.numbers.scaling import nearest
from crosscheck.program.graph import Node, Program

__all__ = ["arrays_checked_of", "readings_of"]


def readings_of(check: Check, case: Composed) -> tuple[GateReading, ...]:
    """The open decisions of a single case, in the order of places.

    Args:
        check: Of its steps.
        case: The case.
    """
    found: list[GateReading] = []
    for record, bounds in check.steps:
        nodes = _nodes_of(case, record, bounds)
        for place in bounds.decided:
            found += _at(record, bounds, place, nodes[place.site])
    return tuple(sorted(found, key=lambda each: each.place))


def _at(
    record: AnyRecord, bounds: StepBounds, place: OpenPlace, node: int
) -> Iterator[GateReading]:
    """The decisions at one site of a step."""
    slopes, values = bounds.slopes.get(place.site), bounds.value(place.site)
    is_read, is_idle = bounds.is_read(place), bounds.is_idle(place)
    is_free = bounds.is_free(place)
    best = None if place.functions else values.max(axis=-1)
    for index in map(tuple, np.argwhere(place.is_open).tolist()):
        effect = Effect.NOT_DECIDED if is_free[index] else Effect.TOO_SMALL
        if is_idle[index]:
            effect = Effect.NONE
        elif is_read[index]:
            effect = Effect.READ
        value = float(values[index])
        if best is None:
            point, sides = _breakpoint(place, value)
        else:
            point, sides = float(best[index[:-1]]), (0.0, 1.0)
        yield GateReading(
            Place(node, index),
            GateClass.KINK if place.is_exact[index] else GateClass.UNDECIDED,
            value,
            float(slopes[index]) if slopes is not None and effect is Effect.READ else None,
            effect=effect,
            step=record.step.id,
            operator=record.step.op,
            breakpoint=point,
            slopes=sides,
        )


def _breakpoint(place: OpenPlace, value: float) -> tuple[float, tuple[float, float]]:
    """The nearest breakpoint, and the slopes on its sides."""
    found = 0.0, (0.0, 1.0)
    best: Fraction | None = None
    for function in place.functions:
        for point in function.kinks:
            distance = abs(point - Fraction(value))
            if best is None or distance < best:
                left, right = function.slopes(nearest(point))
                best, found = distance, (nearest(point), (float(left), float(right)))
    return found


def _nodes_of(case: Composed, record: AnyRecord, bounds: StepBounds) -> dict[int, int]:
    """Where a step's program decides, to the node of the network's program that it is."""
    program = bounds.program
    value = Program(program.nodes, program.inputs, {RESULT: program.outputs[RESULT]})
    own = _sites([program.nodes[number] for number in value.needed])
    nodes = case.program.nodes
    made = [nodes[number] for number, each in case.step_of.items() if each == record.step.id]
    there = _sites(made)
    if len(own) != len(there):  # an equal step came before, and made its nodes
        there = [case.results[record.step.id]] * len(own)
    return dict(zip(own, there, strict=True))


def _sites(nodes: Sequence[Node]) -> list[int]:
    found = (each.inputs[0] for each in nodes if each.op in ("piecewise", "max", "smaller"))
    return list(dict.fromkeys(found))


def arrays_checked_of(check: Check, case: Composed) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The arrays of a gradient that steps check, and those they do not.

    An array is the sum of what is sent to its uses. It is checked if what is sent to one of them
    is, as an array is (`crosscheck.judge.vacuity`), by the first arithmetic that was tried.

    Args:
        check: Of a single case's steps.
        case: The case.
    """
    parts = {
        (each.step, each.parts[0].name): each.parts[0]
        for each in check.comparisons
        if each.parts and each.operator
    }
    checked: dict[str, bool] = dict.fromkeys(case.wanted, False)
    for record, _ in check.steps:
        for name, source in record.step.inputs:
            if source in checked and name in record.sent:
                checked[source] |= _is_checked(parts[record.step.id, name])
    return (
        tuple(name for name, is_checked in checked.items() if is_checked),
        tuple(name for name, is_checked in checked.items() if not is_checked),
    )


def _is_checked(part: Part) -> bool:
    with np.errstate(invalid="ignore"):
        telling = np.abs(part.bound.high) > part.bound.bound
    return bool(telling.any() or not vacuous(part.bound).any())
