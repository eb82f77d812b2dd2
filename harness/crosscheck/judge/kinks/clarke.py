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

**By own parameters** (with respect to the parameters) a theorem mostly answers
(`crosscheck.judge.kinks.own_parameters`).

**Otherwise the cells are enumerated.** Inside is decided by those that are certain, outside by all
that may be there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from crosscheck.judge.decisions import Place
from crosscheck.judge.kinks.cells import Cell, Point
from crosscheck.judge.kinks.convex import Box, Vector, combines
from crosscheck.judge.kinks.influence import Slopes
from crosscheck.judge.kinks.linearised import Parameter, some_rows
from crosscheck.judge.kinks.own_parameters import by_own_parameters, is_silent
from crosscheck.judge.verdict import Validity
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.exact import exact_forward, exact_gradients, rationals
from crosscheck.numbers.arrays import Array
from crosscheck.tools.budget import Budget, Exhausted

__all__ = ["MOST_OPERATIONS", "Around", "Block", "Subdifferential"]

Block = Literal["parameters", "inputs"]

MOST_OPERATIONS = 2**22
"""How many operations on rationals a membership may take before it is not decided."""


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

        def settled(budget: Budget) -> Validity | None:
            if self.shared:
                return None
            point = self._point(None, budget)
            try:
                reason = by_own_parameters(point, slopes, frozenset(free))
            except Exhausted:
                return None
            return Validity("parameters", "inside", reason) if reason else None

        return self._decided("parameters", [None], slopes, around, settled)

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
    if all(is_silent(point, each) for each in point.rows):
        return _Answer("inside", "the gradient is the same in all cells", point.row)
    cells = point.cells
    target = point.gradient({kink: slopes[kink] for kink in point.kinks})
    certain = _distinct(point, [cell for cell in cells if cell.certain])
    adjacent = f"a convex combination of the gradients of {len(certain)} adjacent cells"
    if combines(certain, target, point.budget):
        return _Answer("inside", adjacent, point.row)
    everything = _distinct(point, cells)
    apart = f"separated from the gradients of all {len(everything)} adjacent cells"
    unsettled = "it depends on cells whose adjacency first-order terms do not settle"
    box = None if around is None else _box(case, point, around())
    if box is None or box.is_point:
        if len(everything) > len(certain) and combines(everything, target, point.budget):
            return _Answer("not decided", unsettled, point.row)
        return _Answer("outside", apart, point.row)
    if box.given is not None and combines(certain, box.given, point.budget):
        return _Answer("inside", f"as it was returned, {adjacent}", point.row, of_slopes=False)
    if not box.meets(everything, point.budget):
        return _Answer("outside", f"with its bounds, {apart}", point.row, of_slopes=False)
    if len(everything) > len(certain) and not box.meets(certain, point.budget):
        return _Answer("not decided", unsettled, point.row, of_slopes=False)
    close = "it is not further from the adjacent cells' gradients than rounding may take it"
    return _Answer("not decided", close, point.row, of_slopes=False)


def _distinct(point: Point, cells: Sequence[Cell]) -> list[Vector]:
    return list(dict.fromkeys(point.gradient(dict(cell.pattern)) for cell in cells))


def _box(case: Case, point: Point, around: Around) -> Box:
    """The box of a block, as the cells' gradients are counted there."""
    scale = case.rows if case.network.reduction == "mean" else 1
    given, widths = _of_block(around.given, point), _of_block(around.bounds, point)
    finite = np.isfinite(given) & np.isfinite(widths)
    center = rationals(np.where(finite, given, 0.0)) * scale - _other_rows(case, point)
    half = rationals(np.where(finite, widths, 0.0)) * scale
    center, half = point.add_shared(center), point.add_shared(half)
    known = ~point.add_shared((~finite).astype(object)).astype(bool)
    whole = bool(finite.all())
    return Box(center, half, known, tuple(center) if whole else None, whole and not any(half))


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
