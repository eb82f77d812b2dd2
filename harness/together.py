"""Verdicts on many cases at once, each of which has at most one open gate or is not finite.

Nearly all that a sweep leaves to be looked at by itself is of this kind. `harness.compare.Judge`
spends milliseconds on each such case, most of them on calling NumPy for a handful of numbers. Here
the same formulas run on the whole stack:

    forward pass on enclosures, signs           once for each case
    backward pass, down to the open gate        once for each case, with gate 0 there
    slopes that each gradient shows             `harness.slopes`: mostly one
    backward pass, from there on                once for each case and slope
    is every entry of the gradient contained?   for the first such slope, that is the verdict

What this does not explain is not judged here, but left to `Judge`: there may be another slope, or
another arithmetic, or it is wrong. What it does explain has the verdict that `Judge` gives. Of
cases that hold NaN or infinity the gradient's classes of numbers are told, and nothing is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.arithmetic.double_double import DoubleDouble
from harness.arithmetic.enclosure import Enclosure, Model, OpenSum, distance
from harness.arithmetic.exact import exact_at, exact_first_layer, exact_forward
from harness.clarke import input_validity, parameter_validity
from harness.compare import classes_of, kind_of, ratio_of, reading_of
from harness.enclosed import Enclosed
from harness.formats import format_of
from harness.gates import OpenGate, open_gate
from harness.network import Array, Case, Gradients
from harness.reference import Trace, backward_layer, gradients
from harness.slopes import Equations, likely_slopes
from harness.verdict import Entry, GateClass, Kind, Validity, Verdict

__all__ = ["Judged", "judged_together"]

Indices = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Judged:
    """What is said of one case.

    Attributes:
        verdicts: Of each framework, without names; ``None`` where it is to be asked of `Judge`.
        reference: The reference's gradient in float64, as `Judge.reference`.
        smooth: Whether the case is finite and has no open gate, so that where there is no verdict
            gradual underflow does not explain the gradient.
    """

    verdicts: tuple[Verdict | None, ...]
    reference: Gradients
    smooth: bool


def judged_together(case: Case, given: Sequence[Gradients]) -> list[Judged | None]:
    """What `Judge.verdict` says of the cases of a stack, but for those with several open gates.

    Args:
        case: A stack of C cases.
        given: Of each framework, losses and gradients of all of them as it computes them in
            reverse mode, in float64 or what they can be converted to without loss.

    Returns:
        One answer for each case; ``None`` where it is finite and has several open gates.
    """
    with np.errstate(all="ignore"):
        stack = _Stack(case)
        answers = _Answers.of(stack, given)
        stack.descend(answers)
        verdicts: list[list[Verdict | None]] = [[] for _ in range(len(case.x))]
        found = _explained(stack, answers) | _not_finite(stack, answers)
        for framework in answers.number:
            for index, number in enumerate(framework):
                verdicts[index].append(found.get(number))
        smooth = (stack.ours & (stack.layers == 0)).tolist()
        return [
            Judged(tuple(verdicts[index]), stack.reference(index), smooth[index])
            if is_ours
            else None
            for index, is_ours in enumerate((stack.ours | ~stack.finite).tolist())
        ]


@dataclass(eq=False)
class _Answers:
    """The gradients to be explained; what several frameworks return to the bit is there once.

    Attributes:
        case: Whose each is, (A,).
        values: Loss and gradient side by side, in the order of `Gradients.entries`, (A, entries).
        number: Of each framework and case the position here; -1 where there is nothing to explain.
        slopes: The slopes at the case's open gate that each may have, the likeliest first; 0, which
            has no meaning, where there is no open gate. Of a case that is not finite none.
        told: Whether any other slope would not do as well, (A,).
    """

    case: Indices
    values: Array
    number: list[list[int]]
    slopes: list[list[float]]
    told: Any

    @classmethod
    def of(cls, stack: _Stack, given: Sequence[Gradients]) -> _Answers:
        """What frameworks returned for the cases that are judged here."""
        wanted = [(name, (len(stack.layers), *shape)) for name, _, shape in stack.places]
        judged = np.flatnonzero(stack.ours | ~stack.finite).tolist()
        finite = stack.finite.tolist()
        positions: dict[tuple[int, bytes], int] = {}
        values: list[Array] = []
        cases: list[int] = []
        number: list[list[int]] = []
        for each in given:
            number.append([-1] * len(stack.layers))
            if [(name, np.shape(value)) for name, value in each.entries()] != wanted:
                continue
            flat = _side_by_side([np.asarray(value) for _, value in each.entries()])
            for index in judged:
                row = flat[index]
                at = positions.setdefault((index, row.tobytes()), len(positions))
                number[-1][index] = at
                if at == len(values):
                    values.append(row)
                    cases.append(index)
        return cls(
            np.array(cases, dtype=np.intp),
            np.stack(values) if values else np.empty((0, 0)),
            number,
            [[0.0] if finite[index] else [] for index in cases],
            np.ones(len(values), dtype=bool),
        )


class _Stack:
    """The cases on enclosures, each with gate 0 where it is open, and again with other slopes.

    Args:
        case: A stack.

    Attributes:
        finite: Which cases hold no NaN and no infinity, (C,).
        ours: Which of them are judged here, (C,).
        layers: The layer of each case's one open gate, (C,); 0 where there is none, or several.
        rows: The row of that gate, (C,).
        units: Its unit, (C,).
        places: Name, first entry and shape of each array of a gradient, all entries side by side.
        case: The case of each branch, (S,): 0 … C - 1 with gate 0, then those with other slopes.
        slopes: The slope of each branch, (S,).
    """

    def __init__(self, case: Case) -> None:
        self.enclosed = Enclosed(case, Model(format_of(case.dtype)))
        self.places = list(_places(case))
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
        self._exact: dict[int, tuple[Case, Trace]] = {}
        self.found: list[Enclosure] = [self.enclosed.loss]  # each of the branches of its time

    def descend(self, answers: _Answers) -> None:
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

    def _read(self, layer: int, cotangent: Enclosure, answers: _Answers, asked: Indices) -> None:
        """Sets the slopes of the answers ``asked``, whose open gates are in ``layer``.

        As `harness.kink` does for one case; that the unit's own entries fit is not tested before
        all entries are.
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
        ranges = zip(
            asked.tolist(), silent.tolist(), lowest.tolist(), highest.tolist(), strict=True
        )
        for answer, is_silent, low, high in ranges:
            likely = [0.0] if is_silent else [*likely_slopes(low, high)]
            answers.slopes[answer] = likely[:-1] or likely  # the middle if no convention fits
        answers.told[asked] = ~(silent | ((lowest == 0.0) & (highest == 1.0)))

    def _own_entries(self, layer: int, units: Indices) -> Indices:
        """Where the entries of units stand, weights before the bias, of shape (units, entries)."""
        start = {name: first for name, first, _ in self.places}
        inputs = self.enclosed.case.network.widths[layer - 1]
        entries = start[f"W{layer}"] + units[:, None] * inputs + np.arange(inputs)
        if f"b{layer}" in start:
            entries = np.append(entries, start[f"b{layer}"] + units[:, None], axis=1)
        return entries

    def _branch(self, answers: _Answers, asked: Indices) -> Indices:
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

    def attempts(self, answers: _Answers) -> tuple[Indices, Indices]:
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

    def gates(self, indices: Sequence[int]) -> dict[int, OpenGate]:
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
                layer, row, unit = (
                    int(self.layers[index]),
                    int(self.rows[index]),
                    int(self.units[index]),
                )
                value = values[index] if layer == 1 else self._value(index)
                exact = self.enclosed.trace.pre_activations[layer - 1].exact[index, row, unit]
                found[index] = open_gate(layer, row, unit, value, bool(exact))
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

    def validity(self, gate: OpenGate, index: int, slope: float | None) -> tuple[Validity, ...]:
        """As of `Judge`: whether the gradient is a generalised derivative, if it is at a kink."""
        if gate.gate is GateClass.UNDECIDED:
            return ()
        if index not in self._exact:
            case = self.enclosed.case[index]
            self._exact[index] = case, exact_forward(case)
        slopes = {(gate.layer, gate.row, gate.unit): slope}
        at = *self._exact[index], slopes
        return parameter_validity(*at), input_validity(*at)

    def bounds(self, branches: Indices) -> Enclosure:
        """The gradients of ``branches``, entries side by side, (branches, entries)."""
        found = []
        for each in self.found:
            count = len(each.high)  # of branches, at the time; those that came later are as 0 is
            at = np.where(branches < count, branches, self.case[branches])
            # Bounds of sums are formed when they are first used, so not for other branches.
            found.append(each.map(itemgetter(at)) if isinstance(each, OpenSum) else each[at])
        low = [each.c.low for each in found if isinstance(each.c, DoubleDouble)]
        high = _side_by_side([each.high for each in found])
        return Enclosure(
            self.enclosed.model,
            DoubleDouble(high, _side_by_side(low)) if low else high,
            _side_by_side([each.r for each in found]),
            _side_by_side([each.e for each in found]),
        )

    def reference(self, index: int) -> Gradients:
        """The values of the branch with gate 0 of case ``index``, as `Judge.reference`."""
        if not self.finite[index]:
            return gradients(self.enclosed.case[index])
        high = {
            name: each.high[index]
            for (name, _, _), each in zip(self.places, self.found, strict=True)
        }
        layers = range(1, self.enclosed.case.network.depth + 1)
        return Gradients(
            high["J"],
            tuple(high[f"W{layer}"] for layer in layers),
            tuple(high.get(f"b{layer}") for layer in layers),
            high["x"],
        )


def _explained(stack: _Stack, answers: _Answers) -> dict[int, Verdict]:
    """The verdicts on the answers that lie within all bounds, by position."""
    answer, branch = stack.attempts(answers)
    if not len(answer):
        return {}
    used, branch = np.unique(branch, return_inverse=True)
    bounds, values = stack.bounds(used), answers.values[answer]
    errors, rooms = distance(values, bounds.c[branch]), bounds.bound[branch]
    endless = np.isinf(bounds.bound).any(axis=1)[branch]
    contained = (errors <= rooms).all(axis=1)
    contained[endless] = ((errors <= rooms) | np.isinf(rooms))[endless].all(axis=1)
    explained, which = np.unique(answer[contained], return_index=True)  # by the first attempt
    which = np.flatnonzero(contained)[which]
    if len(which) < len(answer):  # seldom
        kept = (each[which] for each in (branch, values, errors, rooms, endless))
        branch, values, errors, rooms, endless = kept
    ratios, every = ratio_of(errors, rooms), np.arange(len(which))
    worst = ratios.argmax(axis=1)
    reference, error = bounds.high[branch, worst], errors[every, worst]
    form = stack.enclosed.model.format
    columns = (
        values[every, worst],
        reference,
        error,
        rooms[every, worst],
        ratios[every, worst],
        error / form.ulp(np.minimum(np.abs(reference), form.largest)),
    )
    bounded = [
        not is_endless or _is_bounded(stack, *row)
        for is_endless, *row in zip(endless.tolist(), ratios, rooms, strict=True)
    ]
    entries = zip(worst.tolist(), *(column.tolist() for column in columns), strict=True)
    slopes = stack.slopes[used[branch]].tolist()
    gates = stack.gates(np.unique(answers.case[explained]).tolist())
    validities: dict[tuple[int, float | None], tuple[Validity, ...]] = {}
    found = {}
    for at, slope, (place, *entry), is_bounded in zip(
        explained.tolist(), slopes, entries, bounded, strict=True
    ):
        index = int(answers.case[at])
        key = index, slope if answers.told[at] else None
        if key not in validities:
            validities[key] = stack.validity(gates[index], *key) if index in gates else ()
        readings = (reading_of(gates[index], key[1]),) if index in gates else ()
        found[at] = Verdict(
            "",
            "",
            "",
            kind_of(readings) if is_bounded else Kind.NONFINITE,
            worst=Entry(_label(stack.places, place), *entry),
            gates=readings,
            validity=validities[key],
            detail="" if is_bounded else _classes(stack, answers.values[at]),
        )
    return found


def _is_bounded(stack: _Stack, ratios: Array, rooms: Array) -> bool:
    """Whether the worst entry of each array but the loss has a bound, as `Judge` asks.

    Args:
        stack: For its places.
        ratios: error / bound of one gradient, (entries,).
        rooms: Its bounds, (entries,).
    """
    starts = [start for _, start, _ in stack.places[1:]]
    worst = [each.argmax() for each in np.split(ratios, starts)[1:]]
    return bool(np.isfinite(rooms[np.add(starts, worst)]).all())


def _not_finite(stack: _Stack, answers: _Answers) -> dict[int, Verdict]:
    """The verdicts on the answers for cases that hold NaN or infinity, by position."""
    return {
        at: Verdict("", "", "", Kind.NONFINITE, detail=_classes(stack, answers.values[at]))
        for at in np.flatnonzero(~stack.finite[answers.case]).tolist()
    }


def _classes(stack: _Stack, values: Array) -> str:
    """`classes_of` a gradient with its entries side by side."""
    names, starts, _ = zip(*stack.places, strict=True)
    return classes_of(zip(names, np.split(values, starts[1:]), strict=True))


def _places(case: Case) -> Iterator[tuple[str, int, tuple[int, ...]]]:
    """Name, first entry and shape of each array of a gradient of one case of a stack."""
    start = 0
    shapes = Gradients(np.empty(case.x.shape[0]), case.weights, case.biases, case.x)
    for name, array in shapes.entries():
        yield name, start, array.shape[1:]
        start += int(np.prod(array.shape[1:]))


def _label(places: Sequence[tuple[str, int, tuple[int, ...]]], entry: int) -> str:
    """The name of an entry, as in `Entry`."""
    name, start, shape = next(place for place in reversed(places) if place[1] <= entry)
    index = np.unravel_index(entry - start, shape)
    return f"{name}[{','.join(map(str, index))}]" if index else name


def _side_by_side(arrays: Sequence[Any]) -> Array:
    """The entries of several arrays of stacks, of shape (stack, entries), as float64."""
    return np.concatenate(
        [array.reshape(len(array), -1) for array in arrays], axis=1, dtype=np.float64
    )
