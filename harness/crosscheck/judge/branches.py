"""The backward pass of many cases at once, in branches: one for each slope at a case's open gate.

What `crosscheck.judge.together` makes verdicts of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Decision, Effect, GateClass, Place
from crosscheck.judge.enclosed import Enclosed
from crosscheck.judge.gates import open_decision
from crosscheck.judge.kinks.clarke import Around, Subdifferential
from crosscheck.judge.kinks.slopes import Equations, likely_slopes
from crosscheck.judge.returned import Answers, Indices, Part, side_by_side
from crosscheck.judge.verdict import Validity
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.exact import exact_at, exact_first_layer
from crosscheck.network.names import array_name
from crosscheck.network.reference import backward_layer, gradients
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure, OpenSum
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model

__all__ = ["Stack"]


class Stack:
    """The cases on enclosures, each with gate 0 where it is open, and again with other slopes.

    Args:
        case: A stack.

    Attributes:
        finite: Which cases hold no NaN and no infinity, (C,).
        ours: Which of them are judged here, (C,).
        layers: The layer of each case's one open gate, (C,); 0 where there is none, or several.
        rows: The row of that gate, (C,).
        units: Its unit, (C,).
        parts: Of each array of a gradient.
        case: The case of each branch, (S,): 0 … C - 1 with gate 0, then those with other slopes.
        slopes: The slope of each branch, (S,).
    """

    def __init__(self, case: Case) -> None:
        self.enclosed = Enclosed(case, Model(format_of(case.dtype)))
        self.parts = list(_parts(case))
        counts = sum(
            (sign == 0).sum(axis=(1, 2)) for sign in self.enclosed.signs if sign is not None
        )
        self.finite = case.are_finite
        self.ours = self.finite & (counts <= 1)
        single = self.ours & (counts == 1)
        self.layers, self.rows, self.units = np.zeros((3, len(single)), dtype=np.intp)
        for layer, sign in enumerate(self.enclosed.signs, start=1):
            if sign is not None:
                index, row, unit = np.nonzero((sign == 0) & single[:, None, None])
                self.layers[index], self.rows[index], self.units[index] = layer, row, unit
        self.case: Indices = np.arange(len(single))
        self.slopes = np.zeros(len(single))
        self._subdifferentials: dict[int, Subdifferential] = {}
        self.found: list[Enclosure] = [self.enclosed.loss]  # each of the branches of its time

    def descend(self, answers: Answers) -> None:
        """The backward pass, for every slope that the answers show."""
        enclosed, cotangent = self.enclosed, self.enclosed.cotangent
        for layer in range(enclosed.case.network.depth, 0, -1):
            asked = np.flatnonzero(self.layers[answers.case] == layer)
            if len(asked):
                self._read(layer, cotangent, answers, asked)
                more = self._branch(answers, asked)
                if len(more) > len(cotangent.r):
                    cotangent = cotangent[more]
            weight = self._of_branches(enclosed.weights[layer - 1])
            activation = self._of_branches(enclosed.trace.activations[layer - 1])
            bias, gate = enclosed.biases[layer - 1], enclosed.certain_gates[layer - 1]
            if gate is not None:
                gate = gate[self.case]
                mine = np.flatnonzero(self.layers[self.case] == layer)
                case = self.case[mine]
                gate[mine, self.rows[case], self.units[case]] = self.slopes[mine]
            for_weight, for_bias, cotangent = backward_layer(
                weight, bias, activation, cotangent, gate
            )
            self.found += [for_weight] if for_bias is None else [for_weight, for_bias]
        self.found.append(cotangent)

    def _of_branches(self, part: Enclosure) -> Enclosure:
        return part if len(self.case) == len(self.layers) else part[self.case]

    def _read(self, layer: int, cotangent: Enclosure, answers: Answers, asked: Indices) -> None:
        """Sets the slopes of the answers ``asked``, whose open gates are in ``layer``.

        As `crosscheck.judge.kinks.explanation` does for one case; that the unit's own entries fit
        is not tested before all entries are. Where the cotangent may be zero, or nearly so, or the
        layer's own entries do not show what passes the gate, or where they leave several
        conventions, it is left to `crosscheck.judge.kinks.readings` to say what the slope does.
        """
        case, which = np.unique(answers.case[asked], return_inverse=True)
        enclosed, at, every = self.enclosed, layer - 1, np.arange(len(case))
        rows, units = self.rows[case], self.units[case]
        gate = enclosed.certain_gates[at]
        assert gate is not None
        column = cotangent[case, :, units][..., None]  # the first C branches are the cases
        shut = gate[case, :, units][..., None]
        opened = np.zeros_like(shut)
        opened[every, rows] = 1.0
        activation = enclosed.trace.activations[at][case]
        equations = Equations.of(enclosed.biases[at], activation, column, shut, opened[None])
        observed = answers.values[asked[:, None], self._own_entries(layer, units)[which]]
        lowest, highest = equations[which].with_given(observed).interval()
        silent = (column.reach[every, rows, 0] == 0)[which]
        heard = np.abs(column.high[every, rows, 0]) > column.margin[every, rows, 0]
        heard = (heard & self._shows(layer, case))[which]
        ranges = zip(
            *(each.tolist() for each in (asked, silent, heard, lowest, highest)), strict=True
        )
        for answer, is_silent, is_heard, low, high in ranges:
            likely = [0.0] if is_silent else [*likely_slopes(low, high)] if is_heard else []
            # The last is the middle, for when no convention fits.
            answers.slopes[answer] = [] if len(likely) > 2 else likely[:1]
            answers.effect[answer] = Effect.NONE if is_silent else Effect.READ

    def _shows(self, layer: int, case: Indices) -> Any:
        """Of which cases the layer's own entries show what passes the open gate, for certain."""
        if self.enclosed.case.biases[layer - 1] is not None:
            return np.ones(len(case), dtype=bool)
        if layer == 1:
            return self.enclosed.case.x[case, self.rows[case]].any(axis=-1)
        below = self.enclosed.signs[layer - 2]
        assert below is not None  # hidden layers end in a ReLU
        return (below[case, self.rows[case]] > 0).any(axis=-1)

    def _own_entries(self, layer: int, units: Indices) -> Indices:
        """Where the entries of units stand, weights before the bias, of shape (units, entries)."""
        start = {name: first for name, first, _ in self.parts}
        inputs = self.enclosed.case.network.widths[layer - 1]
        entries = start[array_name("W", layer)] + units[:, None] * inputs + np.arange(inputs)
        if array_name("b", layer) in start:
            entries = np.append(entries, start[array_name("b", layer)] + units[:, None], axis=1)
        return entries

    def _branch(self, answers: Answers, asked: Indices) -> Indices:
        """Adds a branch for each case and slope other than 0; the former branch of each branch."""
        wanted = {
            (case, slope): None
            for answer, case in zip(asked.tolist(), answers.case[asked].tolist(), strict=True)
            for slope in answers.slopes[answer]
            if slope != 0.0
        }
        parents = np.arange(len(self.case))
        if wanted:
            case, slope = zip(*wanted, strict=True)
            self.case = np.append(self.case, case)
            self.slopes = np.append(self.slopes, slope)
            parents = np.append(parents, case)
        return parents

    def attempts(self, answers: Answers) -> tuple[Indices, Indices]:
        """Answers and the branches that they may be explained by, in the order to try them."""
        pairs = zip(self.case.tolist(), self.slopes.tolist(), strict=True)
        branch = {pair: at for at, pair in enumerate(pairs)}
        found = [
            (answer, branch[case, slope])
            for answer, case in enumerate(answers.case.tolist())
            for slope in answers.slopes[answer]
        ]
        answer, at = np.array(found, dtype=np.intp).reshape(-1, 2).T
        return answer, at

    def gates(self, indices: Sequence[int]) -> dict[int, Decision]:
        """The open gates of those of the cases ``indices`` that have one, by exact arithmetic."""
        case, found = self.enclosed.case, {}
        first = [index for index in indices if self.layers[index] == 1]
        rows, units = self.rows[first], self.units[first]
        bias = case.biases[0]
        values = dict(
            zip(
                first,
                exact_first_layer(
                    case.weights[0][first, units],
                    None if bias is None else bias[first, units],
                    case.x[first, rows],
                ),
                strict=True,
            )
        )
        for index in indices:
            if self.layers[index]:
                columns = self.layers, self.rows, self.units
                place = Place.of_gate(*(int(column[index]) for column in columns))
                value = values[index] if place.layer == 1 else self._value(index)
                z = self.enclosed.trace.pre_activations[place.layer - 1]
                exact = bool(z.exact[(index, *place.index)])
                found[index] = open_decision(place, value, exact)
        return found

    def _value(self, index: int) -> Any:
        """The exact pre-activation at the open gate of case ``index``."""
        case, layer, row = self.enclosed.case, self.layers[index], self.rows[index]
        below = self.enclosed.signs[: layer - 1]  # with ReLU, and without other open gates
        return exact_at(
            case.network,
            [weight[index] for weight in case.weights[:layer]],
            [None if bias is None else bias[index] for bias in case.biases[:layer]],
            case.x[index, row],
            [sign[index, row] > 0 for sign in below if sign is not None],
            self.units[index],
        )

    def validity(
        self, gate: Decision, index: int, slope: float, effect: Effect, values: Array, widths: Array
    ) -> tuple[Validity, ...]:
        """As of `Judge`: whether the gradient is a generalised derivative, if it is at a kink.

        Args:
            gate: The open gate of case ``index``.
            index: Of the case.
            slope: λ that was tested there.
            effect: What is known of it.
            values: What was returned, entries side by side.
            widths: Their bounds.
        """
        if gate.gate is GateClass.UNDECIDED:
            return ()
        if index not in self._subdifferentials:
            self._subdifferentials[index] = Subdifferential(self.enclosed.case[index], [gate.place])
        known, slopes = self._subdifferentials[index], {gate.place: slope}

        def around() -> Around:
            return Around(self._gradients(values), self._gradients(widths))

        free = [gate.place] if effect is Effect.NONE else []
        return known.parameters(slopes, around, free), known.inputs(slopes, around)

    def _gradients(self, values: Array) -> Gradients:
        """Entries side by side as arrays."""
        found = {
            name: values[start : start + int(np.prod(shape))].reshape(shape)
            for name, start, shape in self.parts
        }
        return Gradients.named(found)

    def bounds(self, branches: Indices) -> Enclosure:
        """The gradients of ``branches``, entries side by side, (branches, entries)."""
        found = []
        for each in self.found:
            count = len(each.high)  # of branches, at the time; those that came later are as 0 is
            at = np.where(branches < count, branches, self.case[branches])
            # Bounds of sums are formed when they are first used, so not for other branches.
            found.append(each.map(itemgetter(at)) if isinstance(each, OpenSum) else each[at])
        low = [each.c.low for each in found if isinstance(each.c, DoubleDouble)]
        high = side_by_side([each.high for each in found])
        return Enclosure(
            self.enclosed.model,
            DoubleDouble(high, side_by_side(low)) if low else high,
            side_by_side([each.r for each in found]),
            side_by_side([each.e for each in found]),
        )

    def reference(self, index: int) -> Gradients:
        """The values of the branch with gate 0 of case ``index``, as `Judge.reference`."""
        if not self.finite[index]:
            return gradients(self.enclosed.case[index])
        high = {
            name: each.high[index]
            for (name, _, _), each in zip(self.parts, self.found, strict=True)
        }
        return Gradients.named(high)


def _parts(case: Case) -> Iterator[Part]:
    """Name, first entry and shape of each array of a gradient of one case of a stack."""
    start = 0
    shapes = Gradients(np.empty(case.x.shape[0]), case.weights, case.biases, case.x)
    for name, array in shapes.entries():
        yield name, start, array.shape[1:]
        start += int(np.prod(array.shape[1:]))
