"""The gradient of a network of operators as forward mode computes it: a pass for each entry.

With a one-hot tangent of one entry of an array θ, 1 there and 0 elsewhere, the tangents of all
values are a program (`crosscheck.program.derive.jvp`), and J̇ = ∂J/∂θ is its result (Griewank and
Walther, *Evaluating Derivatives*, 2nd ed., 3.1). Its rounding errors are bounded by the rules of
the primitives that it is made of, as those of any program.

*Tangents that are zero.* The arrays that do not move have none: a framework that is given zeros for
them adds zeros, and multiplies by zeros, which is exact for finite numbers. 0 · ∞ is NaN; so no
entry has a bound where any value, or any factor that any tangent would be multiplied by, may
overflow.

*Decisions* are those of reverse mode, at the same values: the slope that a tangent is multiplied by
is that which a cotangent is, and the exact gradient is one and the same function of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.enclosed import joined
from crosscheck.network.composed import Composed
from crosscheck.network.names import LOSS
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.program.derive import jvp
from crosscheck.program.enclosures import OnEnclosures, moved
from crosscheck.program.evaluate import values_of
from crosscheck.program.graph import Program, Shape

__all__ = ["ALONG", "DOT", "along", "derivatives_by_tangents", "passes", "without_bounds"]

ALONG = "∂"
"""What the inputs for tangents begin with: no array's name does."""

DOT = f"{LOSS}."
"""The tangent of J."""

_AT_ONCE = 2**20
"""Of so many numbers the tangents are held at the same time."""


@lru_cache(maxsize=512)
def along(program: Program, name: str) -> Program:
    """J̇ along an array, with `ALONG` in front of its name for the tangent."""
    found = jvp(program, {name: ALONG + name})
    number = found.outputs.get(DOT)
    return Program(found.nodes, found.inputs, {} if number is None else {DOT: number})


@lru_cache(maxsize=256)
def _still(program: Program, names: tuple[str, ...]) -> Program:
    """The values, and the factors of all tangents: what does not move with any of them."""
    whole = jvp(program, {name: ALONG + name for name in names})
    moving = {whole.inputs[ALONG + name] for name in names}
    for number in whole.needed:
        if moving & set(whole.nodes[number].inputs):
            moving.add(number)
    still = [number for number in whole.needed if number not in moving]
    return Program(whole.nodes, whole.inputs, {str(number): number for number in still})


def without_bounds(
    case: Composed, arithmetic: OnEnclosures, arrays: Mapping[str, Any], known: Mapping[int, Any]
) -> NDArray[np.bool_]:
    """In which cases a zero may become NaN; of shape ([C]).

    Args:
        case: A case or a stack.
        arithmetic: Of the enclosures.
        arrays: Its arrays on them.
        known: The values of its program.
    """
    program = _still(case.program, case.wanted)
    values = values_of(program, arithmetic, arrays, known)
    found = np.zeros(() if case.count is None else (case.count,), dtype=bool)
    for number in program.outputs.values():
        free = np.isinf(values[number].e)
        own = len(program.nodes[number].shape)
        found |= free.any(axis=tuple(range(free.ndim - own, free.ndim)))
    return found


def passes(shape: Shape, start: int, stop: int) -> NDArray[np.float64]:
    """One-hot tangents of the entries from ``start`` to ``stop`` of an array, (K, *shape)."""
    return np.eye(stop - start, math.prod(shape), start).reshape(-1, *shape)


def derivatives_by_tangents(
    case: Composed, arithmetic: OnEnclosures, arrays: Mapping[str, Any], known: Mapping[int, Any]
) -> dict[str, Enclosure]:
    """∂J/∂θ of each array of shape ([C,] *shape), as forward mode rounds it.

    Args:
        case: A case or a stack.
        arithmetic: Of the enclosures, with the decisions that are taken.
        arrays: Its arrays on them.
        known: The values of its program.
    """
    found = {}
    cases = () if case.count is None else (case.count,)
    for name in case.wanted:
        shape, program = case.shapes[name], along(case.program, name)
        if not program.outputs:
            found[name] = arithmetic.filled(0.0, (*cases, *shape))
            continue
        numbers = sum(math.prod(program.nodes[number].shape) for number in program.needed)
        size, step = math.prod(shape), max(1, _AT_ONCE // (numbers * math.prod(cases)))
        parts: list[Enclosure] = []
        for start in range(0, size, step):
            one_hot = passes(shape, start, min(start + step, size))
            one_hot = one_hot.reshape(len(one_hot), *(1 for _ in cases), *shape)
            given = {**arrays, ALONG + name: Enclosure.of(arithmetic.model, one_hot)}
            dot = values_of(program, arithmetic, given, known)[program.outputs[DOT]]
            dot = Enclosure(dot.model, dot.c, dot.r, dot.e)
            parts.append(arithmetic.broadcast(dot, (len(one_hot), *cases)))
        found[name] = _shaped(joined(parts), (*cases, *shape))
    return found


def _shaped(entries: Enclosure, shape: Sequence[int]) -> Enclosure:
    """(P, [C]) as ([C,] *shape)."""
    return moved(entries, lambda array: np.moveaxis(array, 0, -1).reshape(shape))
