"""A network to first order around a point where pre-activations are zero, on rationals.

Its gradient for any gates there, and the linear forms by which pre-activations change with one
block of variables: all parameters, or the inputs of one row.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Place
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.exact import exact_forward, exact_gradients, rationals
from crosscheck.network.names import EntryName
from crosscheck.network.reference import Trace, loss_and_cotangent
from crosscheck.tools.budget import Budget, Exhausted

__all__ = ["MOST_NUMBERS", "Linearised", "Parameter", "TooMany", "reduced_forms", "some_rows"]

Parameter = tuple[str | int, ...]
"""A weight, ``("W2", unit, input)``, or a bias, ``("b1", unit)``."""

MOST_NUMBERS = 2**19
"""How many rationals are held at once, each of about 100 bytes."""


class TooMany(Exhausted):
    """The cells, or the numbers that they need, are too many."""


class Linearised:
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


def reduced_forms(forms: Sequence[Any], budget: Budget) -> list[list[Any]]:
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
