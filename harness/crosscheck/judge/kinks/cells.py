"""The cells that touch a point where pre-activations are zero, and the loss's gradients there.

Near such a point the loss is pieced together from smooth functions, one for each *cell*: a set of
nearby points at which the signs of these pre-activations do not change. Cells are enumerated layer
by layer. Along a direction v of the variables the pre-activation of kink i changes by c_i · v to
first order, where c_i depends on the gates below, which the cell has fixed. If some v makes all
these changes strict, the cell touches the point: it is *certain*. If none does, the cell is left
out only where that proves that it is not there: with respect to the inputs, for which the network
is piecewise linear; in the first layer, which is linear in its parameters; and where a sum of
activations with weights of one sign has that sign. Elsewhere terms of higher order might make it;
it is kept as *possible*.

A pre-activation that is zero throughout a cell has no influence in it, whatever its gate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Place
from crosscheck.judge.kinks.linearised import Linearised, TooMany, reduced_forms
from crosscheck.numbers.linear_programs import strictly_feasible
from crosscheck.tools.budget import Budget

__all__ = [
    "MOST_CELLS",
    "Cell",
    "Point",
]

Vector = Any
Pattern = dict[Place, int]

MOST_CELLS = 64
"""How many cells are enumerated before the answer is "not decided"."""


@dataclass
class Cell:
    """A pattern of gates, while it is being completed from the bottom layer up."""

    pattern: Pattern = field(default_factory=dict)
    strict: list[Vector] = field(default_factory=list)  # forms that are to be positive
    certain: bool = True


class Point(Linearised):
    """The point, with the cells around it."""

    @cached_property
    def cells(self) -> list[Cell]:
        """The cells that touch the point: all of them, and perhaps some that only may.

        Raises:
            Exhausted: They are too many, or too much work.
        """
        found = []
        for cell in _cells(self):
            found.append(cell)
            self.hold(len(found) * self.variables)
            if len(found) > MOST_CELLS:
                raise TooMany(f"more than {MOST_CELLS} cells")
        return found


def _cells(point: Point) -> Iterator[Cell]:
    below = {row: point.start(row) for row in point.rows}
    by_layer: dict[int, list[Place]] = defaultdict(list)
    for place in point.kinks:
        by_layer[place.layer].append(place)
    yield from _complete(point, 1, Cell(), below, by_layer)


def _complete(
    point: Point,
    layer: int,
    cell: Cell,
    below: Mapping[int, tuple[Any, Any]],
    by_layer: Mapping[int, list[Place]],
) -> Iterator[Cell]:
    """All ways to complete ``cell`` from ``layer`` upwards."""
    if layer > max(by_layer):
        yield cell
        return
    forms = {row: point.forms(layer, row, tangent) for row, (tangent, _) in below.items()}
    for extended in _choose(point, layer, cell, below, forms, by_layer.get(layer, [])):
        above = {}
        for row, (_, vanishing) in below.items():
            z = point.pre_activation(layer, row)
            gate = (z > 0).astype(object)
            for place in by_layer.get(layer, []):
                if place.row == row:
                    gate[place.unit] = extended.pattern[place]
            nothing = _vanishes(point, layer, vanishing)
            above[row] = (forms[row] * gate[:, None], (gate == 0) | nothing)
        yield from _complete(point, layer + 1, extended, above, by_layer)


def _vanishes(point: Point, layer: int, vanishing: Any) -> Any:
    """Which pre-activations of a layer are zero throughout the cell."""
    weight, bias = point.case.weights[layer - 1], point.case.biases[layer - 1]
    if bias is not None:
        return np.zeros(len(weight), dtype=bool)
    fixed = np.zeros(weight.shape, dtype=bool) if point.row is None else weight == 0
    return (fixed | vanishing[None, :]).all(axis=1)


def _choose(
    point: Point,
    layer: int,
    cell: Cell,
    below: Mapping[int, tuple[Any, Any]],
    forms: Mapping[int, Any],
    places: Sequence[Place],
) -> Iterator[Cell]:
    """All ways to choose the gates of one layer's kinks."""
    if not places:
        yield cell
        return
    place, *rest = places
    row, unit = place.row, place.unit
    form = forms[row][unit]
    _, vanishing = below[row]
    if _vanishes(point, layer, vanishing)[unit] or (point.row is not None and not form.any()):
        without = Cell({**cell.pattern, place: 0}, cell.strict, cell.certain)
        yield from _choose(point, layer, without, below, forms, rest)
        return
    forced = _forced_sign(point, layer, row, unit, vanishing)
    for gate, sign in ((1, 1), (0, -1)):
        if forced is not None and forced != sign:
            continue
        strict = [*cell.strict, tuple(sign * form)]
        if form.any() and _has_direction(strict, point.budget):
            extended = Cell({**cell.pattern, place: gate}, strict, cell.certain)
        elif form.any() and (point.row is not None or layer == 1):
            continue  # linear in the variables, so that no strict direction means no cell
        else:
            extended = Cell({**cell.pattern, place: gate}, cell.strict, certain=False)
        yield from _choose(point, layer, extended, below, forms, rest)


def _has_direction(forms: Sequence[Vector], budget: Budget) -> bool:
    """Whether some direction makes all forms positive."""
    reduced = reduced_forms(forms, budget)
    # Independent forms take any values.
    return len(reduced[0]) == len(reduced) or strictly_feasible(reduced, budget) is not None


def _forced_sign(point: Point, layer: int, row: int, unit: int, vanishing: Any) -> int | None:
    """The sign of z = Σ w_j a_j where all w_j of activations that live have one sign.

    Only for sums without bias of activations that are zero at the point: those that do not
    vanish in the cell are positive there, and their weights keep their sign nearby.
    """
    if layer == 1 or point.case.biases[layer - 1] is not None:
        return None
    a = point.activation(layer - 1, row)
    alive = ~vanishing
    if (a[alive] != 0).any():
        return None
    signs = {
        (value > 0) - (value < 0) for value in point.case.weights[layer - 1][unit][alive].tolist()
    }
    return signs.pop() if len(signs) == 1 and 0 not in signs else None
