"""Whether a gradient at a kink is a generalised derivative: membership in Clarke's subdifferential.

Near a point where k pre-activations are zero the loss J is pieced together from smooth functions,
one for each *cell*: a set of nearby points at which the signs of these pre-activations do not
change. Clarke's subdifferential is the convex hull of the gradients of the cells that touch the
point, each taken at the point (Clarke, *Optimization and Nonsmooth Analysis*, theorem 2.5.1). What
a framework returns is the gradient formula with slopes λ in place of the gates. It is inside if
it is a convex combination of the cells' gradients, and outside if a vector separates it from
them. All of this is decided in rationals.

**When every pattern of signs occurs** (with respect to the parameters). Let the kinks of each unit
lie in rows whose vectors (a_{l-1}[r], 1), without the 1 where there is no bias, are linearly
independent: for one row with a bias that always holds. Then the unit's own weights and bias can be
moved so that its kinks get any signs, at the scale ε_l. Take ε_1 ≪ ε_2 ≪ … ≪ ε_L: what the lower
layers' moves do to z_l is of the size ε_{l-1} and does not change these signs. So all 2^k cells
touch the point. And the gradient is affine in each gate alone (a path through the network meets
a gate once, and rows are added), so that its value at slopes λ in [0, 1] is the mean of the
cells' gradients over independent gates that are 1 with probability λ: a convex combination.
(Compare Lee, Park and Aiken, ICML 2023, and Park, Chun and Lee, ICLR 2024, theorems 1 and 4.)

**Otherwise the cells are enumerated**, layer by layer. Along a direction v of the variables the
pre-activation of kink i changes by c_i · v to first order, where c_i depends on the gates
below, which the cell has fixed. If some v makes all these changes strict, the cell touches the
point: it is *certain*. If none does, the cell is left out only where that proves that it is not
there: with respect to the inputs, for which the network is piecewise linear; in the first layer,
which is linear in its parameters; and where a sum of activations with weights of one sign has
that sign. Elsewhere terms of higher order might make it; it is kept as *possible*. So inside is
decided by the certain cells, outside by all, and what lies between is not decided.

A pre-activation that is zero throughout a cell has no influence in it, whatever its gate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from harness.arithmetic.exact import exact_gradients, rationals
from harness.exact_lp import solve, strictly_feasible
from harness.network import Case
from harness.reference import Trace, loss_and_cotangent
from harness.verdict import Validity

__all__ = ["MOST_CELLS", "Site", "input_validity", "parameter_validity"]

Site = tuple[int, int, int]
"""(layer, row, unit) of a gate."""

Parameter = tuple[str | int, ...]
"""A weight, ``("W2", unit, input)``, or a bias, ``("b1", unit)``."""

Vector = Any
Pattern = dict[Site, int]

MOST_CELLS = 64
"""How many cells are enumerated before the answer is "not decided"."""

_LARGEST_SYSTEM = 6_000


@dataclass
class _Cell:
    """A pattern of gates, while it is being completed from the bottom layer up."""

    pattern: Pattern = field(default_factory=dict)
    strict: list[Vector] = field(default_factory=list)  # forms that are to be positive
    certain: bool = True


class _TooMany(Exception):
    """The cells are too many to enumerate."""


def parameter_validity(
    case: Case,
    trace: Trace,
    slopes: Mapping[Site, float | None],
    *,
    shared: Sequence[Collection[Parameter]] = (),
) -> Validity:
    """Membership of the gradient with respect to all weights and biases.

    Args:
        case: A finite single case with at least one kink.
        trace: Its forward pass on rationals.
        slopes: λ in [0, 1] of every gate whose pre-activation is exactly zero; ``None`` counts
            as 0.
        shared: Groups of parameters that are one variable, such as a bias that two units
            share: ``[{("b1", 0), ("b1", 1)}]``; a weight is ``("W2", 0, 1)``. The gradient's
            entries in a group are added.
    """
    if not shared and _every_pattern_occurs(case, trace, slopes):
        return Validity(
            "parameters",
            "inside",
            "each kink's sign can be chosen by its unit's own parameters, so that all cells touch",
        )
    point = _Point(case, trace, slopes, None, shared)
    return _decide(point, "parameters", [point])


def input_validity(case: Case, trace: Trace, slopes: Mapping[Site, float | None]) -> Validity:
    """Membership of the gradient with respect to the inputs; arguments as above.

    The loss is a sum over rows, each a function of its own inputs, so that the subdifferential is
    the product of the rows' and each row is decided alone.
    """
    rows = sorted({row for _, row, _ in slopes})
    points = [_Point(case, trace, slopes, row) for row in rows]
    return _decide(points[0], "inputs", points)


def _decide(
    first: _Point, block: Literal["parameters", "inputs"], points: Sequence[_Point]
) -> Validity:
    """Inside if every point is, outside if one is."""
    reasons = []
    undecided = ""
    for point in points:
        where = "" if point.row is None else f"row {point.row}: "
        try:
            status, reason = _membership(point)
        except _TooMany as error:
            status, reason = "not decided", str(error)
        if status == "outside":
            return Validity(block, "outside", where + reason)
        if status == "not decided":
            undecided = undecided or where + reason
        reasons.append(reason)
    if undecided:
        return Validity(block, "not decided", undecided)
    return Validity(block, "inside", reasons[0])


def _membership(point: _Point) -> tuple[str, str]:
    cells = list(_cells(point))
    target = point.gradient({site: slope or 0.0 for site, slope in point.slopes.items()})
    certain = _distinct(point, [cell for cell in cells if cell.certain])
    combination = _combines(certain, target)
    if combination:
        return "inside", f"a convex combination of the gradients of {len(certain)} adjacent cells"
    everything = _distinct(point, cells)
    if len(everything) > len(certain) and _combines(everything, target):
        return "not decided", "it depends on cells whose adjacency first-order terms do not settle"
    return "outside", f"separated from the gradients of all {len(everything)} adjacent cells"


def _distinct(point: _Point, cells: Sequence[_Cell]) -> list[tuple[Any, ...]]:
    return list(dict.fromkeys(point.gradient(dict(cell.pattern)) for cell in cells))


def _combines(gradients: Sequence[tuple[Any, ...]], target: tuple[Any, ...]) -> bool:
    """Whether ``target`` lies in the convex hull of ``gradients``, by an exact certificate."""
    if target in gradients:
        return True
    if not gradients:
        return False
    # Equal rows of the system say the same thing.
    rows = list(dict.fromkeys(zip(target, *gradients, strict=True)))
    rows = [row for row in rows if any(value != row[0] for value in row[1:])]
    if len(rows) * len(gradients) > _LARGEST_SYSTEM:
        raise _TooMany(f"a system of {len(rows)} x {len(gradients)} numbers is too large")
    one = target[0] * 0 + 1
    columns = [[*(row[k + 1] for row in rows), one] for k in range(len(gradients))]
    return solve(columns, [*(row[0] for row in rows), one]).feasible


class _Point:
    """The point, with one block of variables: all parameters, or the inputs of one row.

    Attributes:
        slopes: λ of the kinks that matter for this block.
        row: The row whose inputs are the variables; ``None`` for the parameters.
    """

    def __init__(
        self,
        case: Case,
        trace: Trace,
        slopes: Mapping[Site, float | None],
        row: int | None,
        shared: Sequence[Collection[Parameter]] = (),
    ) -> None:
        self.case, self.trace, self.row = case, trace, row
        self._gradients: dict[frozenset[tuple[Site, float]], tuple[Any, ...]] = {}
        self.slopes = {
            site: slope for site, slope in slopes.items() if row is None or site[1] == row
        }
        self.weights = [rationals(weight) for weight in case.weights]
        self.zero: Any = rationals(np.zeros(1))[0]
        if row is None:
            sizes = [w.size + (0 if b is None else b.size) for w, b in self._layers()]
            self.offsets: list[int] = [0, *np.cumsum(sizes).tolist()]
            self.variables = self.offsets[-1]
            self.groups = [[self._position(each) for each in group] for group in shared]
        else:
            self.variables = case.network.widths[0]

    def _position(self, parameter: Parameter) -> int:
        """Where a parameter stands among all: layer by layer, weights before biases."""
        name, *index = parameter
        layer = int(str(name)[1:])
        units, inputs = (int(size) for size in self.case.weights[layer - 1].shape)
        start = self.offsets[layer - 1]
        if str(name).startswith("b"):
            return start + units * inputs + int(index[0])
        return start + int(index[0]) * inputs + int(index[1])

    def _shared(self, values: Any) -> Any:
        """A vector (or rows) over all parameters, with the entries of each group added up."""
        for group in self.groups:
            total = sum((values[..., at] for at in group[1:]), values[..., group[0]])
            for at in group:
                values[..., at] = self.zero
            values[..., group[0]] = total
        return values

    def _layers(self) -> list[tuple[Any, Any]]:
        return list(zip(self.case.weights, self.case.biases, strict=True))

    def gradient(self, gates: Mapping[Site, float]) -> tuple[Any, ...]:
        """The exact gradient with respect to the block, for these gates at the kinks."""
        key = frozenset(gates.items())
        if key not in self._gradients:
            found = self._of_parameters(gates) if self.row is None else self._of_inputs(gates)
            self._gradients[key] = found
        return self._gradients[key]

    def _of_parameters(self, gates: Mapping[Site, float]) -> tuple[Any, ...]:
        arrays: list[Any] = []
        for layer, z in enumerate(self.trace.pre_activations, start=1):
            arrays.append((z > 0).astype(np.float64) if self.case.network.has_relu(layer) else None)
        for (layer, row, unit), gate in gates.items():
            arrays[layer - 1][row, unit] = gate
        found = exact_gradients(self.case, self.trace, arrays, self.weights)
        values: list[Any] = []
        for weight, bias in zip(found.weights, found.biases, strict=True):
            values += [*weight.flat, *([] if bias is None else bias.flat)]
        return tuple(self._shared(np.array(values, dtype=object)))

    def _of_inputs(self, gates: Mapping[Site, float]) -> tuple[Any, ...]:
        """∂J/∂x of the row, without the gradients of parameters on the way down to it."""
        cotangent = self._cotangent
        for layer in range(len(self.weights), 0, -1):
            here = {unit: gate for (at, _, unit), gate in gates.items() if at == layer}
            if self.case.network.has_relu(layer):
                active = self.trace.pre_activations[layer - 1][self.row] > 0
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
        return loss_and_cotangent(network, output, rationals(self.case.y))[1][self.row]

    def start(self, row: int) -> tuple[Any, Any]:
        """∂a_0/∂variables of a row, and which a_0 are zero throughout any neighbourhood."""
        width = self.case.network.widths[0]
        tangent = np.full((width, self.variables), self.zero, dtype=object)
        if self.row is None:
            return tangent, self.trace.activations[0][row] == 0
        tangent[np.arange(width), np.arange(width)] = self.zero + 1
        return tangent, np.zeros(width, dtype=bool)

    def forms(self, layer: int, row: int, below: Any) -> Any:
        """∂z_l/∂variables of a row, given ∂a_{l-1}/∂variables."""
        weight, bias = self.weights[layer - 1], self.case.biases[layer - 1]
        result = weight @ below
        if self.row is None:
            a = self.trace.activations[layer - 1][row]
            units, inputs = weight.shape
            start = self.offsets[layer - 1]
            for unit in range(units):
                result[unit, start + unit * inputs : start + (unit + 1) * inputs] += a
                if bias is not None:
                    result[unit, start + units * inputs + unit] += 1
            return self._shared(result)
        return result


def _cells(point: _Point) -> Iterator[_Cell]:
    """The cells that touch the point: all of them, and perhaps some that only may."""
    rows = sorted({row for _, row, _ in point.slopes})
    below = {row: point.start(row) for row in rows}
    by_layer: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for layer, row, unit in sorted(point.slopes):
        by_layer[layer].append((row, unit))
    for number, cell in enumerate(_complete(point, 1, _Cell(), below, by_layer)):
        if number == MOST_CELLS:
            raise _TooMany(f"more than {MOST_CELLS} cells")
        yield cell


def _complete(
    point: _Point,
    layer: int,
    cell: _Cell,
    below: Mapping[int, tuple[Any, Any]],
    by_layer: Mapping[int, list[tuple[int, int]]],
) -> Iterator[_Cell]:
    """All ways to complete ``cell`` from ``layer`` upwards."""
    if layer > max(by_layer):
        yield cell
        return
    forms = {row: point.forms(layer, row, tangent) for row, (tangent, _) in below.items()}
    for extended in _choose(point, layer, cell, below, forms, by_layer.get(layer, [])):
        above = {}
        for row, (_, vanishing) in below.items():
            z = point.trace.pre_activations[layer - 1][row]
            gate = (z > 0).astype(object)
            for unit in range(len(z)):
                if (layer, row, unit) in extended.pattern:
                    gate[unit] = extended.pattern[layer, row, unit]
            nothing = _vanishes(point, layer, vanishing)
            above[row] = (forms[row] * gate[:, None], (gate == 0) | nothing)
        yield from _complete(point, layer + 1, extended, above, by_layer)


def _vanishes(point: _Point, layer: int, vanishing: Any) -> Any:
    """Which pre-activations of a layer are zero throughout the cell."""
    weight, bias = point.weights[layer - 1], point.case.biases[layer - 1]
    if bias is not None:
        return np.zeros(len(weight), dtype=bool)
    fixed = np.zeros(weight.shape, dtype=bool) if point.row is None else weight == 0
    return (fixed | vanishing[None, :]).all(axis=1)


def _choose(
    point: _Point,
    layer: int,
    cell: _Cell,
    below: Mapping[int, tuple[Any, Any]],
    forms: Mapping[int, Any],
    sites: Sequence[tuple[int, int]],
) -> Iterator[_Cell]:
    """All ways to choose the gates of one layer's kinks."""
    if not sites:
        yield cell
        return
    (row, unit), rest = sites[0], sites[1:]
    site, form = (layer, row, unit), forms[row][unit]
    _, vanishing = below[row]
    if _vanishes(point, layer, vanishing)[unit] or (point.row is not None and not form.any()):
        without = _Cell({**cell.pattern, site: 0}, cell.strict, cell.certain)
        yield from _choose(point, layer, without, below, forms, rest)
        return
    forced = _forced_sign(point, layer, row, unit, vanishing)
    for gate, sign in ((1, 1), (0, -1)):
        if forced is not None and forced != sign:
            continue
        strict = [*cell.strict, tuple(sign * form)]
        if form.any() and _has_direction(strict):
            extended = _Cell({**cell.pattern, site: gate}, strict, cell.certain)
        elif form.any() and (point.row is not None or layer == 1):
            continue  # linear in the variables, so that no strict direction means no cell
        else:
            extended = _Cell({**cell.pattern, site: gate}, cell.strict, certain=False)
        yield from _choose(point, layer, extended, below, forms, rest)


def _has_direction(forms: Sequence[Vector]) -> bool:
    """Whether some direction makes all forms positive."""
    reduced = _reduced(forms)
    # Independent forms take any values.
    return len(reduced[0]) == len(reduced) or strictly_feasible(reduced) is not None


def _forced_sign(point: _Point, layer: int, row: int, unit: int, vanishing: Any) -> int | None:
    """The sign of z = Σ w_j a_j where all w_j of activations that live have one sign.

    Only for sums without bias of activations that are zero at the point: those that do not
    vanish in the cell are positive there, and their weights keep their sign nearby.
    """
    if layer == 1 or point.case.biases[layer - 1] is not None:
        return None
    a = point.trace.activations[layer - 1][row]
    alive = ~vanishing
    if (a[alive] != 0).any():
        return None
    signs = {(value > 0) - (value < 0) for value in point.weights[layer - 1][unit][alive]}
    return signs.pop() if len(signs) == 1 and 0 not in signs else None


def _reduced(forms: Sequence[Vector]) -> list[list[Any]]:
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
                work[i] = [a - factor * b for a, b in zip(work[i], work[here], strict=True)]
        used.append(column)
        if len(used) == len(work):
            break
    return [[row[column] for column in used] for row in rows]


def _every_pattern_occurs(case: Case, trace: Trace, slopes: Mapping[Site, float | None]) -> bool:
    """The condition of the theorem in the module's text."""
    rows_of: dict[tuple[int, int], list[int]] = defaultdict(list)
    for layer, row, unit in slopes:
        rows_of[layer, unit].append(row)
    for (layer, _), rows in rows_of.items():
        activations = trace.activations[layer - 1]
        one = [] if case.biases[layer - 1] is None else [*rationals(np.ones(1))]
        vectors = [[*activations[row], *one] for row in rows]
        if len(_reduced(vectors)[0]) < len(vectors):
            return False
    return True
