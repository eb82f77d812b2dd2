"""Whether a gradient at kinks of a network of operators is a generalised derivative.

Let z_1 … z_k be the values at exact kinks, each a smooth function of the variables near the point:
no other kink stands above it. If their gradients by the variables are linearly independent, every
pattern of sides has points near by, in which the loss is smooth, and its gradient has a limit at
the point: the formula with that pattern's slopes. The formula is affine in each λ by itself, so
that for λ in [0, 1]^k it is the mean of the patterns' gradients with product weights: a convex
combination of limits of gradients, inside Clarke's subdifferential (Clarke, 1983, theorem 2.5.1).

Where they are dependent, or a kink stands above another, the question is not decided here.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Literal

import numpy as np

from crosscheck.judge.decisions import Decision
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.judge.verdict import Validity
from crosscheck.network.exact import rational_of
from crosscheck.program.derive import vjp
from crosscheck.program.evaluate import values_of
from crosscheck.program.exact import OnExact
from crosscheck.program.graph import Program
from crosscheck.tools.budget import Budget, Exhausted

__all__ = ["MOST_OPERATIONS", "membership"]

MOST_OPERATIONS = 2**20
"""How many operations on rationals it may take."""

_INSIDE = "the kinks' values have linearly independent gradients, so that every pattern occurs"
_ABOVE = "a kink stands above another one"
_DEPENDENT = "the kinks' values have linearly dependent gradients"


def membership(enclosed: EnclosedProgram, kinks: Sequence[Decision]) -> tuple[Validity, ...]:
    """The answer by parameters and by inputs, for λ in [0, 1] at the kinks.

    Args:
        enclosed: A single finite case.
        kinks: All decisions that are exactly at their breakpoints, at least one.
    """
    case = enclosed.case
    blocks: list[tuple[Literal["parameters", "inputs"], tuple[str, ...]]] = [
        ("parameters", tuple(name for name in case.wanted if name in case.parameters)),
        ("inputs", tuple(name for name in case.wanted if name in case.inputs)),
    ]
    found = []
    for block, names in blocks:
        if not names:
            continue
        try:
            reason = _why_not(enclosed, kinks, names, Budget(MOST_OPERATIONS))
        except Exhausted as error:
            reason = str(error)
        status: Literal["inside", "not decided"] = "not decided" if reason else "inside"
        found.append(Validity(block, status, reason or _INSIDE))
    return tuple(found)


def _why_not(
    enclosed: EnclosedProgram,
    kinks: Sequence[Decision],
    names: tuple[str, ...],
    budget: Budget,
) -> str:
    """Why the theorem does not apply; empty if it does."""
    program = enclosed.case.program
    sites = {kink.place.node for kink in kinks}
    rows: list[list[Any]] = []
    for kink in kinks:
        site, index = kink.place.node, kink.place.index
        if _ancestors(program, site) & sites - {site}:
            return _ABOVE
        budget.spend(sum(array.size for _, array in enclosed.case.entries()) * len(program.nodes))
        rows.append(_gradient_of(enclosed, site, index, names))
    return "" if _rank(rows, budget) == len(rows) else _DEPENDENT


def _ancestors(program: Program, number: int) -> set[int]:
    found: set[int] = set()
    waiting = [number]
    while waiting:
        for each in program.nodes[waiting.pop()].inputs:
            if each not in found:
                found.add(each)
                waiting.append(each)
    return found


def _gradient_of(
    enclosed: EnclosedProgram, site: int, index: tuple[int, ...], names: tuple[str, ...]
) -> list[Any]:
    """The exact gradient of one entry of a node by some arrays."""
    program = enclosed.case.program
    value = Program(program.nodes, program.inputs, {"value": site})
    derived = vjp(value, {"value": "seed of value"}, names)
    seed = np.full(program.nodes[site].shape, rational_of(Fraction(0)), dtype=object)
    seed[index] = rational_of(Fraction(1))
    known = enclosed.exact_values
    arrays = {name: known[number] for name, number in program.inputs.items() if number in known}
    found = values_of(derived, OnExact(rational_of), {**arrays, "seed of value": seed}, known)
    return [each for name in names for each in np.ravel(found[derived.outputs[name]])]


def _rank(rows: list[list[Any]], budget: Budget) -> int:
    """The number of independent rows, by elimination."""
    left, rank = [list(row) for row in rows], 0
    while left:
        row = left.pop()
        pivot = next((i for i, value in enumerate(row) if value != 0), None)
        if pivot is None:
            continue
        rank += 1
        budget.spend(len(row) * (len(left) + 1))
        left = [
            [a - b * (other[pivot] / row[pivot]) for a, b in zip(other, row, strict=True)]
            if other[pivot] != 0
            else other
            for other in left
        ]
    return rank
