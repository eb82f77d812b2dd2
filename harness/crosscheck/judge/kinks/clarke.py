"""Whether a gradient at a kink is a generalised derivative: membership in Clarke's subdifferential.

Near a point where k pre-activations are zero the loss J is pieced together from smooth functions,
one for each *cell* (`crosscheck.judge.kinks.cells`). Clarke's subdifferential is the convex hull of
the gradients of the cells that touch the point, each taken at the point (Clarke, *Optimization and
Nonsmooth Analysis*, theorem 2.5.1). A framework evaluates the gradient formula with slopes λ in
place of the gates, and rounds. All that follows is decided in rationals.

**What is asked.** Slopes are read off rounded numbers, and what was returned is not the exact
gradient for them: with λ = (1/3, 2/3) rounded to float64 the sum λ_1 + λ_2 is not 1, but a
framework's sum is. So the question is about the returned gradient ĝ and its box, the gradients
that differ from it by no more than its bounds, which holds the exact gradient that it stands for.

    outside        no point of the hull lies in the box: a vector separates them
    inside         the exact gradient for the slopes, which is in the box, is a convex combination
                   of cells' gradients; or ĝ itself is one
    not decided    otherwise: hull and box meet, and rounding does not tell more

Where nothing is rounded the box is a point, and the third does not occur for this reason.

**By own parameters** (with respect to the parameters). Let the kink of unit i of layer l in row r
have the vector v_r = (a_{l-1}[r], 1), without the 1 where there is no bias. Moving the unit's own
weights and bias by ε_l θ moves its pre-activation by ε_l θ · v_r, so that every pattern of signs of
θ · v_r, r over the unit's kinks, can be had wherever no v_r is zero. Take ε_1 ≪ ε_2 ≪ … ≪ ε_L: what
the lower layers' moves do to z_l is of the size ε_{l-1} and changes no sign there. So all products
of units' patterns touch. And in each entry of the gradient a product of slopes has one gate of a
layer at most, in one row (a path meets a layer once, and rows are added). So if, for each unit, the
slopes of its kinks are a convex combination of its patterns, the gradient for these slopes is the
same combination of cells' gradients, the layers chosen independently: it is inside. For a unit

    with independent v_r         every pattern can be had, and all slopes in [0, 1] are fine;
    with one slope at its kinks  it is fine where all signs can be made positive, and so negative:
                                 with a bias, above the first layer (a >= 0, w = 1), or by Gordan;
                                 and ½ always is, between a pattern and its opposite;
    otherwise                    its patterns are enumerated, and a linear program decides.

A kink with v_r = 0 must have no influence on the parameters' gradient, whatever the slopes are
(`crosscheck.judge.kinks.influence`); then it may be left out. (Compare Lee, Park and Aiken, ICML
2023, and Park, Chun and Lee, ICLR 2024, theorems 1 and 4, on biases.)

**Otherwise the cells are enumerated.** Inside is decided by those that are certain, outside by all
that may be there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from crosscheck.judge.decisions import Place
from crosscheck.judge.kinks.cells import Cell, Parameter, Point, TooMany, reduced_forms, some_rows
from crosscheck.judge.kinks.influence import Slopes, silent_gates
from crosscheck.judge.verdict import Validity
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.exact import exact_forward, exact_gradients, rationals
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.linear_programs import maximum, solve, strictly_feasible
from crosscheck.tools.budget import Budget, Exhausted

__all__ = ["MOST_OPERATIONS", "Around", "Block", "Subdifferential"]

Block = Literal["parameters", "inputs"]
Vector = tuple[Any, ...]

MOST_OPERATIONS = 2**22
"""How many operations on rationals a membership may take before it is not decided."""

_MOST_PATTERNS = 64
_LARGEST_SYSTEM = 6_000


@dataclass(frozen=True, eq=False)
class Around:
    """The box of a gradient that was returned.

    Attributes:
        given: The gradient, float64.
        bounds: How far each entry may be from the exact one for its slopes, float64 of the same
            shapes; ∞ where nothing is known.
    """

    given: Gradients
    bounds: Gradients


class Subdifferential:
    """Clarke's subdifferential of the loss at a kink.

    Args:
        case: A finite single case.
        kinks: All gates whose pre-activation is exactly zero, at least one.
        shared: Groups of parameters that are one variable, such as a bias that two units share:
            ``[{("b1", 0), ("b1", 1)}]``; a weight is ``("W2", 0, 1)``. The gradient's entries in a
            group are added.
    """

    def __init__(
        self,
        case: Case,
        kinks: Collection[Place],
        *,
        shared: Sequence[Collection[Parameter]] = (),
    ) -> None:
        self.case, self.kinks, self.shared = case, sorted(kinks), shared
        self._points: dict[int | None, Point] = {}
        self._known: dict[tuple[object, ...], Validity] = {}

    def parameters(
        self,
        slopes: Slopes,
        around: Callable[[], Around] | None = None,
        free: Collection[Place] = (),
    ) -> Validity:
        """Membership of the gradient with respect to all weights and biases.

        Args:
            slopes: λ in [0, 1] of the kinks, as they were tested.
            around: What was returned, asked for if it matters; by default the exact gradient for
                these slopes.
            free: Kinks whose slopes make no difference, together, to that gradient.
        """

        def by_own_parameters(budget: Budget) -> Validity | None:
            if self.shared:
                return None
            point = self._point(None, budget)
            try:
                reason = _by_own_parameters(point, slopes, frozenset(free))
            except Exhausted:
                return None
            return Validity("parameters", "inside", reason) if reason else None

        return self._decided("parameters", [None], slopes, around, by_own_parameters)

    def inputs(self, slopes: Slopes, around: Callable[[], Around] | None = None) -> Validity:
        """Membership of the gradient with respect to the inputs; arguments as above.

        The loss is a sum over rows, each a function of its own inputs, so that the subdifferential
        is the product of the rows' and each row is decided alone.
        """
        rows = sorted({kink.row for kink in self.kinks})
        return self._decided("inputs", rows, slopes, around, lambda _: None)

    def _point(self, row: int | None, budget: Budget) -> Point:
        if row not in self._points:
            self._points[row] = Point(self.case, self.kinks, row, budget, self.shared)
        self._points[row].budget = budget
        return self._points[row]

    def _decided(
        self,
        block: Block,
        rows: Sequence[int | None],
        slopes: Slopes,
        around: Callable[[], Around] | None,
        theorem: Callable[[Budget], Validity | None],
    ) -> Validity:
        """Inside if every point is, outside if one is."""
        key = (block, *(slopes[kink] for kink in self.kinks))
        if key in self._known:  # it does not depend on what was returned
            return self._known[key]
        budget = Budget(MOST_OPERATIONS)
        found = theorem(budget)
        if found is None:
            answers = []
            for row in rows:
                answers.append(self._membership(row, budget, slopes, around))
                if answers[-1].status == "outside":
                    break
            worst = {each.status: each for each in reversed(answers)}
            answer = worst.get("outside") or worst.get("not decided") or answers[0]
            where = "" if answer.row is None or answer.status == "inside" else f"row {answer.row}: "
            found = Validity(block, answer.status, where + answer.reason)
            if not all(each.of_slopes for each in answers):
                return found
        if found.status == "inside" or around is None:
            self._known[key] = found
        return found

    def _membership(
        self,
        row: int | None,
        budget: Budget,
        slopes: Slopes,
        around: Callable[[], Around] | None,
    ) -> _Answer:
        point = self._point(row, budget)
        try:
            return _membership(self.case, point, slopes, around)
        except Exhausted as error:
            return _Answer("not decided", str(error), row)


@dataclass(frozen=True)
class _Answer:
    """Of one block of variables; ``of_slopes``: whatever was returned for them."""

    status: Literal["inside", "outside", "not decided"]
    reason: str
    row: int | None
    of_slopes: bool = True


def _membership(
    case: Case, point: Point, slopes: Slopes, around: Callable[[], Around] | None
) -> _Answer:
    if all(_is_silent(point, each) for each in point.rows):
        return _Answer("inside", "the gradient is the same in all cells", point.row)
    cells = point.cells
    target = point.gradient({kink: slopes[kink] for kink in point.kinks})
    certain = _distinct(point, [cell for cell in cells if cell.certain])
    adjacent = f"a convex combination of the gradients of {len(certain)} adjacent cells"
    if _combines(certain, target, point.budget):
        return _Answer("inside", adjacent, point.row)
    everything = _distinct(point, cells)
    apart = f"separated from the gradients of all {len(everything)} adjacent cells"
    unsettled = "it depends on cells whose adjacency first-order terms do not settle"
    box = None if around is None else _Box.of(case, point, around())
    if box is None or box.is_point:
        if len(everything) > len(certain) and _combines(everything, target, point.budget):
            return _Answer("not decided", unsettled, point.row)
        return _Answer("outside", apart, point.row)
    if box.given is not None and _combines(certain, box.given, point.budget):
        return _Answer("inside", f"as it was returned, {adjacent}", point.row, of_slopes=False)
    if not box.meets(everything, point.budget):
        return _Answer("outside", f"with its bounds, {apart}", point.row, of_slopes=False)
    if len(everything) > len(certain) and not box.meets(certain, point.budget):
        return _Answer("not decided", unsettled, point.row, of_slopes=False)
    close = "it is not further from the adjacent cells' gradients than rounding may take it"
    return _Answer("not decided", close, point.row, of_slopes=False)


def _distinct(point: Point, cells: Sequence[Cell]) -> list[Vector]:
    return list(dict.fromkeys(point.gradient(dict(cell.pattern)) for cell in cells))


def _combines(gradients: Sequence[Vector], target: Vector, budget: Budget) -> bool:
    """Whether ``target`` lies in the convex hull of ``gradients``, by an exact certificate."""
    if target in gradients:
        return True
    if not gradients:
        return False
    # Equal rows of the system say the same thing.
    rows = list(dict.fromkeys(zip(target, *gradients, strict=True)))
    rows = [row for row in rows if any(value != row[0] for value in row[1:])]
    _limit(rows, gradients)
    one = target[0] * 0 + 1
    columns = [[*(row[k + 1] for row in rows), one] for k in range(len(gradients))]
    return solve(columns, [*(row[0] for row in rows), one], budget).feasible


def _limit(rows: Sequence[Any], gradients: Sequence[Vector]) -> None:
    if len(rows) * len(gradients) > _LARGEST_SYSTEM:
        raise TooMany(f"a system of {len(rows)} x {len(gradients)} numbers is too large")


class _Box:
    """low <= g <= high, for one block and as the cells' gradients are counted there.

    Attributes:
        given: What was returned, ``None`` if not all of it is finite.
        is_point: Whether there is nothing else in the box.
    """

    def __init__(self, given: Array, widths: Array, scale: int, others: Any, point: Point) -> None:
        """Floats of the block; what other rows of the batch add to it; the sum of losses / J."""
        finite = np.isfinite(given) & np.isfinite(widths)
        center = rationals(np.where(finite, given, 0.0)) * scale - others
        half = rationals(np.where(finite, widths, 0.0)) * scale
        center, half = point.add_shared(center), point.add_shared(half)
        known = ~point.add_shared((~finite).astype(object)).astype(bool)
        self.given = tuple(center) if finite.all() else None
        self.is_point = bool(finite.all()) and not any(half)
        self._ends = [
            (c - h, c + h) if is_known else None
            for c, h, is_known in zip(center, half, known, strict=True)
        ]

    @classmethod
    def of(cls, case: Case, point: Point, around: Around) -> _Box:
        """The block's part of a box."""
        scale = case.rows if case.network.reduction == "mean" else 1
        given, widths = _of_block(around.given, point), _of_block(around.bounds, point)
        return cls(given, widths, scale, _other_rows(case, point), point)

    def meets(self, gradients: Sequence[Vector], budget: Budget) -> bool:
        """Whether the convex hull of ``gradients`` and the box have a point in common."""
        if not gradients:
            return False
        rows, limits = [], []
        known = dict.fromkeys(zip(self._ends, *gradients, strict=True))
        for ends, *values in known:
            if ends is None:
                continue
            (low, high), least, most = ends, min(values), max(values)
            if most < low or least > high:
                return False
            if most > high:
                rows.append(values)
                limits.append(high)
            if least < low:
                rows.append([-value for value in values])
                limits.append(-low)
        if not rows:
            return True
        _limit(rows, gradients)
        one = limits[0] * 0 + 1
        rows += [[one] * len(gradients), [-one] * len(gradients)]
        limits += [one, -one]
        upper = [one] * len(gradients)
        return maximum([one * 0] * len(gradients), rows, limits, upper, budget) is not None


def _of_block(found: Gradients, point: Point) -> Array:
    """The entries of a block side by side, as of `Point.gradient`."""
    if point.row is not None:
        return np.asarray(found.x[point.row], dtype=np.float64)
    parts = [part for pair in zip(found.weights, found.biases, strict=True) for part in pair]
    return np.concatenate([np.ravel(part) for part in parts if part is not None])


def _other_rows(case: Case, point: Point) -> Any:
    """What the rows without kinks add to the block's gradient, with the sum of losses."""
    rows = sorted({*range(case.rows)} - {*point.rows})
    if point.row is not None or not rows:
        return np.full(point.variables, point.zero, dtype=object)
    point.budget.spend(2 * len(rows) * sum(weight.size for weight in case.weights))
    part = some_rows(case, rows)
    trace = exact_forward(part)
    gates = [
        (z > 0).astype(np.float64) if case.network.has_relu(layer) else None
        for layer, z in enumerate(trace.pre_activations, start=1)
    ]
    return point.of_parameters(exact_gradients(part, trace, gates, point.weights))


def _by_own_parameters(point: Point, slopes: Slopes, free: frozenset[Place]) -> str:
    """Why the slopes are fine, by the theorem in the module's text; empty if that does not say."""
    of_unit: dict[tuple[int, int], list[int]] = defaultdict(list)
    unmoved: dict[int, list[Place]] = defaultdict(list)
    for kink in point.kinks:
        layer, row = kink.layer, kink.row
        if point.case.biases[layer - 1] is None and not point.activation(layer - 1, row).any():
            unmoved[row].append(kink)
        elif kink not in free:
            of_unit[layer, kink.unit].append(row)
    if not all(_is_silent(point, row, kinks) for row, kinks in unmoved.items()):
        return ""
    reason = "each kink's sign can be chosen by its unit's own parameters, so that all cells touch"
    for (layer, unit), rows in of_unit.items():
        used = [slopes[Place.of_gate(layer, row, unit)] for row in rows]
        if len(rows) == 1:
            continue
        if len(set(used)) == 1 and _has_one_sign(point, layer, rows, used[0]):
            reason = "each unit's slopes are a combination of signs that its parameters can choose"
            continue
        vectors = _own_vectors(point, layer, rows)
        if len(reduced_forms(vectors, point.budget)[0]) == len(vectors):
            continue
        patterns = _patterns(vectors, point.budget)
        if not _combines(patterns, tuple(rationals(np.array(used))), point.budget):
            return ""
        reason = "each unit's slopes are a combination of signs that its parameters can choose"
    return reason


def _own_vectors(point: Point, layer: int, rows: Sequence[int]) -> list[list[Any]]:
    one = [] if point.case.biases[layer - 1] is None else [point.zero + 1]
    return [[*point.activation(layer - 1, row), *one] for row in rows]


def _has_one_sign(point: Point, layer: int, rows: Sequence[int], slope: float) -> bool:
    """Whether (λ, …, λ) is a combination of a unit's patterns for a reason that is known."""
    if point.case.biases[layer - 1] is not None or layer > 1 or slope == 0.5:
        return True
    reduced = reduced_forms(_own_vectors(point, layer, rows), point.budget)
    return strictly_feasible(reduced, point.budget) is not None


def _patterns(vectors: Sequence[Sequence[Any]], budget: Budget) -> list[Vector]:
    """The patterns of 0 and 1 of the signs of θ · v, over all θ for which none is zero."""
    reduced = reduced_forms(vectors, budget)
    found: list[tuple[list[list[Any]], Vector]] = [([], ())]
    for vector in reduced:
        longer = []
        for strict, pattern in found:
            for gate, sign in ((1, 1), (0, -1)):
                more = [*strict, [sign * value for value in vector]]
                if strictly_feasible(more, budget) is not None:
                    longer.append((more, (*pattern, vector[0] * 0 + gate)))
        if len(longer) > _MOST_PATTERNS:
            raise TooMany(f"more than {_MOST_PATTERNS} patterns of one unit")
        found = longer
    return [pattern for _, pattern in found]


def _is_silent(point: Point, row: int, kinks: Sequence[Place] | None = None) -> bool:
    """Whether these kinks have no influence on the block, whatever the slopes in the row.

    Args:
        point: Whose block.
        row: Of the kinks.
        kinks: The kinks; all of the row by default.
    """
    here = {_alone(kink) for kink in point.kinks if kink.row == row}
    wanted = here if kinks is None else set(map(_alone, kinks))
    inputs = point.row is not None
    gates = [
        (point.pre_activation(layer, row) > 0).astype(np.float64)[None]
        if point.case.network.has_relu(layer)
        else None
        for layer in range(1, point.case.network.depth + 1)
    ]

    def shows(layer: int) -> bool:
        bias = point.case.biases[layer - 1]
        return not inputs and (bias is not None or bool(point.activation(layer - 1, row).any()))

    part = some_rows(point.case, [point.rows.index(row)])
    return wanted == silent_gates(part, gates, shows, inputs, wanted, here, point.budget)


def _alone(kink: Place) -> Place:
    """The place of a kink where its row is the only one."""
    return Place.of_gate(kink.layer, 0, kink.unit)
