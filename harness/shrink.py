"""Making a failing case small enough for a person to read, while it keeps failing.

Hypothesis shrinks what it drew itself. A case that was picked out of a seeded stack, or given
by the user, was not drawn number by number, so it is shrunk here: greedily, rows first, then
units, then the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from harness.formats import format_of
from harness.network import Array, Case, Network

__all__ = ["shrink"]


def shrink(case: Case, fails: Callable[[Case], bool], *, attempts: int = 400) -> Case:
    """A smaller case that still fails.

    Args:
        case: A single case with ``fails(case)`` true.
        fails: The property to keep. Called at most ``attempts`` times.
        attempts: When to be content with what has been found.
    """
    left = attempts
    improved = True
    while improved and left > 0:
        improved = False
        for candidate in _smaller(case):
            if left == 0:
                break
            left -= 1
            if fails(candidate):
                case, improved = candidate, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Simpler neighbours of ``case``, the boldest first."""
    for row in range(case.rows if case.rows > 1 else 0):
        yield _with(case, x=np.delete(case.x, row, axis=0), y=np.delete(case.y, row, axis=0))
    yield from _narrower(case)
    arrays = [array for _, array in case.arrays()]
    for position, array in enumerate(arrays):
        if array.any():
            yield _rebuilt(case, arrays, position, np.zeros_like(array))
    for position, array in enumerate(arrays):
        simpler = format_of(case.dtype).round(np.rint(array))
        if not np.array_equal(simpler, array):
            yield _rebuilt(case, arrays, position, simpler)
    for position, array in enumerate(arrays):
        for index, value in np.ndenumerate(array):
            for number in _simpler_numbers(float(value)):
                changed = array.copy()
                changed[index] = number
                yield _rebuilt(case, arrays, position, changed)


def _simpler_numbers(value: float) -> Iterator[float]:
    """Numbers simpler than ``value``: 0, 1, whole, then fewer significant bits."""
    if value == 0.0:
        return
    yield 0.0
    if value == 1.0 or not np.isfinite(value):
        return
    yield 1.0
    if value != np.rint(value):
        yield float(np.rint(value))
    significand, exponent = np.frexp(value)
    for bits in (1, 4, 10):
        coarse = float(np.ldexp(np.rint(np.ldexp(significand, bits)), exponent - bits))
        if coarse != value:
            yield coarse


def _narrower(case: Case) -> Iterator[Case]:
    """The case with one unit, input or output less."""
    widths = case.network.widths
    for layer, width in enumerate(widths):
        for unit in range(width if width > 1 else 0):
            weights, biases = list(case.weights), list(case.biases)
            x, y = case.x, case.y
            if layer > 0:
                weights[layer - 1] = np.delete(weights[layer - 1], unit, axis=0)
                bias = biases[layer - 1]
                biases[layer - 1] = None if bias is None else np.delete(bias, unit)
            else:
                x = np.delete(x, unit, axis=1)
            if layer < len(widths) - 1:
                weights[layer] = np.delete(weights[layer], unit, axis=1)
            else:
                y = np.delete(y, unit, axis=1)
            narrower = (*widths[:layer], width - 1, *widths[layer + 1 :])
            network = Network(narrower, case.network.output, case.network.reduction)
            yield Case(network, tuple(weights), tuple(biases), x, y, case.dtype)


def _with(case: Case, *, x: Array, y: Array) -> Case:
    return Case(case.network, case.weights, case.biases, x, y, case.dtype)


def _rebuilt(case: Case, arrays: Sequence[Array], position: int, array: Array) -> Case:
    """The case with one of its arrays, numbered as `Case.arrays` does, replaced."""
    numbers = iter([*arrays[:position], array, *arrays[position + 1 :]])
    weights, biases = [], []
    for bias in case.biases:
        weights.append(next(numbers))
        biases.append(None if bias is None else next(numbers))
    return Case(
        case.network, tuple(weights), tuple(biases), next(numbers), next(numbers), case.dtype
    )
