"""Making a failing case small enough for a person to read, while it keeps failing.

Hypothesis shrinks what it drew itself. A case that was picked out of a seeded stack, or given
by the user, was not drawn number by number, so it is shrunk here: greedily, rows first, then
units, then the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crosscheck.network.composed import AnyCase, Composed
from crosscheck.network.dense import Case, Network
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of

__all__ = ["MANY", "Shrinking", "shrink", "simpler_numbers"]

MANY = 16
"""Numbers of an array that are worth leaving away by halves."""


def shrink(case: Any, fails: Callable[[Any], bool], *, attempts: int = 400) -> Any:
    """A smaller case that still fails.

    Rows, units and numbers are taken away in halves first, then in quarters and so on down to one,
    as in Zeller's delta debugging: so networks with many of them take few attempts, each of which a
    framework may have to compile for.

    Of a network of operators rows and numbers are taken away, and no steps.

    Args:
        case: A single case with ``fails(case)`` true, an `AnyCase`; the result is of its kind.
        fails: The property to keep. Called at most ``attempts`` times.
        attempts: When to be content with what has been found.
    """
    under_way = Shrinking(case, fails, attempts)
    before: AnyCase | None = None
    while before is not under_way.case and under_way.left > 0:
        before = under_way.case
        _fewer_rows(under_way)
        if isinstance(case, Case):
            for layer in range(len(case.network.widths)):
                _fewer_units(under_way, layer)
        _simpler_arrays(under_way)
        _fewer_numbers(under_way)
        _simpler_entries(under_way)
    return under_way.case


@dataclass
class Shrinking:
    """The smallest case so far, and how many attempts are left."""

    case: Any
    fails: Callable[[Any], bool]
    left: int

    def take(self, candidate: Any) -> bool:
        """Go on with ``candidate`` if it fails; whether it does."""
        if self.left == 0:
            return False
        self.left -= 1
        if not self.fails(candidate):
            return False
        self.case = candidate
        return True

    def halve(self, count: Callable[[], int], without: Callable[[slice], Any]) -> None:
        """Leave away halves, quarters … of things, as long as one is left.

        Args:
            count: How many there are in the case.
            without: The case without some of them.
        """
        size = count() // 2
        while size > 0:
            start = 0
            while start < count() > 1 and self.left > 0:
                part = slice(start, min(start + size, count()))
                whole = part.start == 0 and part.stop == count()
                if whole or not self.take(without(part)):
                    start = part.stop
            size //= 2


def _fewer_rows(search: Shrinking) -> None:
    def without(part: slice) -> AnyCase:
        case = search.case
        if isinstance(case, Composed):
            fewer = {name: np.delete(array, part, axis=0) for name, array in case.inputs.items()}
            return Composed(case.steps, case.parameters, fewer, case.dtype)
        x, y = (np.delete(array, part, axis=0) for array in (case.x, case.y))
        shorter: AnyCase = replace(case, x=x, y=y)
        return shorter

    search.halve(lambda: search.case.rows, without)


def _fewer_units(search: Shrinking, layer: int) -> None:
    """Fewer units of a layer, inputs (layer 0) or outputs."""

    def without(part: slice) -> Case:
        case, widths = search.case, search.case.network.widths
        weights, biases = list(case.weights), list(case.biases)
        x, y = case.x, case.y
        if layer > 0:
            weights[layer - 1] = np.delete(weights[layer - 1], part, axis=0)
            bias = biases[layer - 1]
            biases[layer - 1] = None if bias is None else np.delete(bias, part)
        else:
            x = np.delete(x, part, axis=1)
        if layer < len(widths) - 1:
            weights[layer] = np.delete(weights[layer], part, axis=1)
        else:
            y = np.delete(y, part, axis=1)
        width = widths[layer] - (part.stop - part.start)
        narrower = (*widths[:layer], width, *widths[layer + 1 :])
        network = Network(narrower, case.network.output, case.network.reduction)
        return Case(network, tuple(weights), tuple(biases), x, y, case.dtype)

    search.halve(lambda: search.case.network.widths[layer], without)


def _simpler_arrays(search: Shrinking) -> None:
    """Whole arrays of zeros, then of whole numbers."""
    form = format_of(search.case.dtype)
    for name, array in list(search.case.entries()):
        if array.any():
            search.take(search.case.replaced(name, np.zeros_like(array)))
    for name, array in list(search.case.entries()):
        simpler = form.round(np.rint(array))
        if not np.array_equal(simpler, array):
            search.take(search.case.replaced(name, simpler))


def _fewer_numbers(search: Shrinking) -> None:
    """Arrays of many numbers with zeros in place of some; a few are left to `_simpler_entries`."""
    for name, whole in list(search.case.entries()):
        if np.count_nonzero(whole) < MANY:
            continue

        def array(name: str = name) -> Array:
            return np.asarray(dict(search.case.entries())[name])

        def without(part: slice, name: str = name) -> AnyCase:
            changed = array(name).copy()
            flat = changed.reshape(-1)
            flat[np.flatnonzero(flat)[part]] = 0.0
            found: AnyCase = search.case.replaced(name, changed)
            return found

        search.halve(lambda array=array: int(np.count_nonzero(array())), without)  # type: ignore[misc]


def _simpler_entries(search: Shrinking) -> None:
    """Single numbers: 0, 1, whole ones, then ones of fewer significant bits."""
    for name, whole in list(search.case.entries()):
        for index in np.argwhere(whole != 0.0):
            if search.left == 0:
                return
            array = dict(search.case.entries())[name]
            for number in simpler_numbers(float(array[tuple(index)])):
                changed = array.copy()
                changed[tuple(index)] = number
                if search.take(search.case.replaced(name, changed)):
                    break


def simpler_numbers(value: float) -> Iterator[float]:
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
