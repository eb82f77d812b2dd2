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
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Place
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.exact import exact_forward, exact_gradients, rationals
from crosscheck.network.names import EntryName
from crosscheck.network.reference import Trace, loss_and_cotangent
from crosscheck.numbers.linear_programs import strictly_feasible
from crosscheck.tools.budget import Budget, Exhausted

__all__ = [
    "MOST_CELLS",
    "MOST_NUMBERS",
    "Cell",
    "Parameter",
    "Point",
    "TooMany",
    "reduced_forms",
    "some_rows",
]

Parameter = tuple[str | int, ...]
"""A weight, ``("W2", unit, input)``, or a bias, ``("b1", unit)``."""

Vector = Any
Pattern = dict[Place, int]

MOST_CELLS = 64
"""How many cells are enumerated before the answer is "not decided"."""

MOST_NUMBERS = 2**19
"""How many rationals are held at once, each of about 100 bytes."""


@dataclass
class Cell:
    """A pattern of gates, while it is being completed from the bottom layer up."""

    pattern: Pattern = field(default_factory=dict)
    strict: list[Vector] = field(default_factory=list)  # forms that are to be positive
    certain: bool = True


class TooMany(Exhausted):
    """The cells, or the numbers that they need, are too many."""


class Point:
    """The point, with one block of variables: all parameters, or the inputs of one row.

    Args:
        case: A finite single case.
        kinks: The gates whose pre-activation is exactly zero.
        row: The row whose inputs are the variables; ``None`` for the parameters.
        shared: Groups of parameters that are one variable.
        budget: What may be spent on it.

    Attributes:
        case: The rows that have kinks, or the one row, of the case; their losses added up. What
            other rows add to a gradient is the same in every cell.
        kinks: Those that matter for this block.
        row: As given.
    """

    def __init__(
        self,
        case: Case,
        kinks: Collection[Place],
        row: int | None,
        budget: Budget,
        shared: Sequence[Collection[Parameter]] = (),
    ) -> None:
        self.kinks = sorted(place for place in kinks if row is None or place.row == row)
        self.rows = sorted({place.row for place in self.kinks})
        self.case = some_rows(case, self.rows)
        self.row, self.budget = row, budget
        self._at = {each: at for at, each in enumerate(self.rows)}
        self._gradients: dict[frozenset[tuple[Place, float]], tuple[Any, ...]] = {}
        self.zero: Any = rationals(np.zeros(1))[0]
        self._size = sum(weight.size for weight in case.weights)
        if row is None:
            sizes = [w.size + (0 if b is None else b.size) for w, b in self._layers()]
            self.offsets: list[int] = [0, *np.cumsum(sizes).tolist()]
            self.variables = self.offsets[-1]
            self.groups = [[self._position(each) for each in group] for group in shared]
        else:
            self.variables = case.network.widths[0]

    @cached_property
    def weights(self) -> list[Any]:
        """W_1 … W_L on rationals."""
        self.hold(self._size)
        return [rationals(weight) for weight in self.case.weights]

    @cached_property
    def trace(self) -> Trace:
        """The forward pass of the rows on rationals."""
        self.hold(self._size)
        self.budget.spend(len(self.rows) * self._size)
        return exact_forward(self.case)

    def pre_activation(self, layer: int, row: int) -> Any:
        """z_l of a row."""
        return self.trace.pre_activations[layer - 1][self._at[row]]

    def activation(self, layer: int, row: int) -> Any:
        """a_l of a row."""
        return self.trace.activations[layer][self._at[row]]

    def hold(self, numbers: int) -> None:
        """Asks whether so many rationals may be held at once, before they are made.

        Raises:
            TooMany: They may not.
        """
        if numbers > MOST_NUMBERS:
            raise TooMany(f"more than {MOST_NUMBERS:,} rational numbers at once")

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

    def _position(self, parameter: Parameter) -> int:
        """Where a parameter stands among all: layer by layer, weights before biases."""
        name, *index = parameter
        array = EntryName.of(str(name), index)
        assert array.layer is not None
        units, inputs = (int(size) for size in self.case.weights[array.layer - 1].shape)
        start = self.offsets[array.layer - 1]
        if array.letter == "b":
            return start + units * inputs + array.index[0]
        return start + array.index[0] * inputs + array.index[1]

    def add_shared(self, values: Any) -> Any:
        """A vector (or rows) over the variables, with the entries of each group added up."""
        for group in self.groups if self.row is None else ():
            total = sum((values[..., at] for at in group[1:]), values[..., group[0]])
            for at in group:
                values[..., at] = self.zero
            values[..., group[0]] = total
        return values

    def _layers(self) -> list[tuple[Any, Any]]:
        return list(zip(self.case.weights, self.case.biases, strict=True))

    def gradient(self, gates: Mapping[Place, float]) -> tuple[Any, ...]:
        """The exact gradient with respect to the block, for these gates at the kinks."""
        key = frozenset(gates.items())
        if key not in self._gradients:
            self.budget.spend(len(self.rows) * self._size)
            found = self._of_parameters(gates) if self.row is None else self._of_inputs(gates)
            self._gradients[key] = found
        return self._gradients[key]

    def _of_parameters(self, gates: Mapping[Place, float]) -> tuple[Any, ...]:
        arrays: list[Any] = []
        for layer, z in enumerate(self.trace.pre_activations, start=1):
            arrays.append((z > 0).astype(np.float64) if self.case.network.has_relu(layer) else None)
        for place, gate in gates.items():
            arrays[place.layer - 1][self._at[place.row], place.unit] = gate
        found = exact_gradients(self.case, self.trace, arrays, self.weights)
        return tuple(self.of_parameters(found))

    def of_parameters(self, found: Gradients) -> Any:
        """The entries of a gradient with respect to the parameters, side by side."""
        values: list[Any] = []
        for weight, bias in zip(found.weights, found.biases, strict=True):
            values += [*weight.flat, *([] if bias is None else bias.flat)]
        return self.add_shared(np.array(values, dtype=object))

    def _of_inputs(self, gates: Mapping[Place, float]) -> tuple[Any, ...]:
        """∂J/∂x of the row, without the gradients of parameters on the way down to it."""
        cotangent = self._cotangent
        for layer in range(len(self.weights), 0, -1):
            here = {place.unit: gate for place, gate in gates.items() if place.layer == layer}
            if self.case.network.has_relu(layer):
                active = self.trace.pre_activations[layer - 1][0] > 0
                active[list(here)] = True
                cotangent = np.where(active, cotangent, self.zero)
            for unit, gate in here.items():
                cotangent[unit] = rationals(np.array(float(gate)))[()] * cotangent[unit]
            cotangent = cotangent @ self.weights[layer - 1]
        return tuple(cotangent)

    @cached_property
    def _cotangent(self) -> Any:
        """∂J/∂a_L of the row."""
        network, output = self.case.network, self.trace.activations[-1]
        return loss_and_cotangent(network, output, rationals(self.case.y))[1][0]

    def start(self, row: int) -> tuple[Any, Any]:
        """∂a_0/∂variables of a row, and which a_0 are zero throughout any neighbourhood."""
        width = self.case.network.widths[0]
        self.hold(len(self.rows) * width * self.variables)
        tangent = np.full((width, self.variables), self.zero, dtype=object)
        if self.row is None:
            return tangent, self.activation(0, row) == 0
        tangent[np.arange(width), np.arange(width)] = self.zero + 1
        return tangent, np.zeros(width, dtype=bool)

    def forms(self, layer: int, row: int, below: Any) -> Any:
        """∂z_l/∂variables of a row, given ∂a_{l-1}/∂variables."""
        self.hold(len(self.rows) * len(self.case.weights[layer - 1]) * self.variables)
        self.budget.spend(self.case.weights[layer - 1].size * self.variables)
        weight, bias = self.weights[layer - 1], self.case.biases[layer - 1]
        result = weight @ below
        if self.row is None:
            a = self.activation(layer - 1, row)
            units, inputs = weight.shape
            start = self.offsets[layer - 1]
            for unit in range(units):
                result[unit, start + unit * inputs : start + (unit + 1) * inputs] += a
                if bias is not None:
                    result[unit, start + units * inputs + unit] += 1
            return self.add_shared(result)
        return result


def some_rows(case: Case, rows: Sequence[int]) -> Case:
    """Some rows of a case, with the sum of their losses."""
    found = object.__new__(Case)  # whose numbers have been looked at
    network = replace(case.network, reduction="sum")
    vars(found).update({**vars(case), "network": network, "x": case.x[rows], "y": case.y[rows]})
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


def reduced_forms(forms: Sequence[Vector], budget: Budget) -> list[list[Any]]:
    """The same forms on as few variables as have the same rank: what they can do is the same."""
    rows = [list(form) for form in forms]
    used: list[int] = []
    work = [list(row) for row in rows]
    for column in range(len(work[0])):
        pivot = next((i for i in range(len(used), len(work)) if work[i][column] != 0), None)
        if pivot is None:
            continue
        here = len(used)
        work[here], work[pivot] = work[pivot], work[here]
        for i in range(here + 1, len(work)):
            factor = work[i][column] / work[here][column]
            if factor != 0:
                budget.spend(len(work[i]))
                work[i] = [a - factor * b for a, b in zip(work[i], work[here], strict=True)]
        used.append(column)
        if len(used) == len(work):
            break
    return [[row[column] for column in used] for row in rows]
