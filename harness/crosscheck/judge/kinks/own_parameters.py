"""The theorem by which slopes at kinks are those of a generalised derivative by the parameters.

Let the kink of unit i of layer l in row r have the vector v_r = (a_{l-1}[r], 1), without the 1
where there is no bias. Moving the unit's own weights and bias by ε_l θ moves its pre-activation by
ε_l θ · v_r, so that every pattern of signs of θ · v_r, r over the unit's kinks, can be had wherever
no v_r is zero. Take ε_1 ≪ ε_2 ≪ … ≪ ε_L: what the lower layers' moves do to z_l is of the size
ε_{l-1} and changes no sign there. So all products of units' patterns touch. And in each entry of
the gradient a product of slopes has one gate of a layer at most, in one row (a path meets a layer
once, and rows are added). So if, for each unit, the slopes of its kinks are a convex combination of
its patterns, the gradient for these slopes is the same combination of cells' gradients, the layers
chosen independently: it is inside. For a unit

    with independent v_r         every pattern can be had, and all slopes in [0, 1] are fine;
    with one slope at its kinks  it is fine where all signs can be made positive, and so negative:
                                 with a bias, above the first layer (a >= 0, w = 1), or by Gordan;
                                 and ½ always is, between a pattern and its opposite;
    otherwise                    its patterns are enumerated, and a linear program decides.

A kink with v_r = 0 must have no influence on the parameters' gradient, whatever the slopes are
(`crosscheck.judge.kinks.influence`); then it may be left out. (Compare Lee, Park and Aiken, ICML
2023, and Park, Chun and Lee, ICLR 2024, theorems 1 and 4, on biases.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from crosscheck.judge.decisions import Place
from crosscheck.judge.kinks.convex import Vector, combines
from crosscheck.judge.kinks.influence import Slopes
from crosscheck.judge.kinks.linearised import Linearised, TooMany, reduced_forms, some_rows
from crosscheck.judge.kinks.polynomials import silent_gates
from crosscheck.network.exact import rationals
from crosscheck.numbers.linear_programs import strictly_feasible
from crosscheck.tools.budget import Budget

__all__ = ["by_own_parameters", "is_silent"]

_MOST_PATTERNS = 64


def by_own_parameters(point: Linearised, slopes: Slopes, free: frozenset[Place]) -> str:
    """Why the slopes are fine, by the theorem in the module's text; empty if that does not say."""
    of_unit: dict[tuple[int, int], list[int]] = defaultdict(list)
    unmoved: dict[int, list[Place]] = defaultdict(list)
    for kink in point.kinks:
        layer, row = kink.layer, kink.row
        if point.case.biases[layer - 1] is None and not point.activation(layer - 1, row).any():
            unmoved[row].append(kink)
        elif kink not in free:
            of_unit[layer, kink.unit].append(row)
    if not all(is_silent(point, row, kinks) for row, kinks in unmoved.items()):
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
        if not combines(patterns, tuple(rationals(np.array(used))), point.budget):
            return ""
        reason = "each unit's slopes are a combination of signs that its parameters can choose"
    return reason


def _own_vectors(point: Linearised, layer: int, rows: Sequence[int]) -> list[list[Any]]:
    one = [] if point.case.biases[layer - 1] is None else [point.zero + 1]
    return [[*point.activation(layer - 1, row), *one] for row in rows]


def _has_one_sign(point: Linearised, layer: int, rows: Sequence[int], slope: float) -> bool:
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


def is_silent(point: Linearised, row: int, kinks: Sequence[Place] | None = None) -> bool:
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
