"""Networks of operators: drawn by Hypothesis or from seeds, away from breakpoints and on them.

The networks are those of `crosscheck.cases.plans`. On a breakpoint is a case in which one value,
that something is decided upon, was put there exactly: by a bias, or by a target.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Literal

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crosscheck.cases.drawing import numbers
from crosscheck.cases.plans import Plan, plans, recurrence
from crosscheck.network.composed import Composed
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.program.evaluate import values_of
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Node, Program

__all__ = [
    "STACK",
    "Plan",
    "aimed",
    "aims",
    "composed_boundary_cases",
    "composed_cases",
    "plans",
    "recurrence",
    "seeded_composed",
    "seeded_stack",
]

STACK = 256
"""Cases in each stack of a sweep."""


def _networks(dtype: str, operators: Sequence[str] | None, plan: Plan | None) -> Sequence[Plan]:
    """What cases are drawn of; refuses an unknown dtype at the call, not at the first example."""
    format_of(dtype)
    return plans(operators) if plan is None else [plan]


def composed_cases(
    *,
    dtype: str = "float64",
    operators: Sequence[str] | None = None,
    plan: Plan | None = None,
) -> st.SearchStrategy[Composed]:
    """Single cases with numbers of any moderate kind.

    Args:
        dtype: A name of `crosscheck.numbers.formats.FORMATS`.
        operators: As of `plans`.
        plan: A network of one's own, for whose arrays numbers are drawn.
    """
    networks = _networks(dtype, operators, plan)

    @st.composite
    def draw_case(draw: st.DrawFn) -> Composed:
        chosen = draw(st.sampled_from(networks))
        return chosen.case(_drawn(draw, chosen, numbers(dtype)), dtype)

    return draw_case()


def composed_boundary_cases(
    *,
    dtype: str = "float64",
    operators: Sequence[str] | None = None,
    plan: Plan | None = None,
) -> st.SearchStrategy[Composed]:
    """Single cases with one value, or several, exactly at a breakpoint.

    Args:
        dtype: A name of `crosscheck.numbers.formats.FORMATS`.
        operators: As of `plans`.
        plan: A network of one's own, for whose arrays numbers are drawn.
    """
    networks = _networks(dtype, operators, plan)
    halves = st.integers(-4, 4).map(lambda number: number / 2)

    @st.composite
    @in_ieee_arithmetic
    def draw_case(draw: st.DrawFn) -> Composed:
        chosen = draw(st.sampled_from(networks))
        case = chosen.case(_drawn(draw, chosen, halves), dtype)
        for site, index, point in aims(case):
            if draw(st.booleans()):
                case = aimed(case, site, draw(st.sampled_from(index)), draw(st.sampled_from(point)))
        return case

    return draw_case()


def _drawn(draw: st.DrawFn, plan: Plan, values: st.SearchStrategy[float]) -> dict[str, Array]:
    return {
        name: draw(hnp.arrays(np.float64, shape, elements=values))
        for name, shape in (*plan.parameters.items(), *plan.inputs.items())
    }


def seeded_composed(
    seed: int, plan: Plan, count: int, dtype: str, *, boundary: bool = False
) -> Composed:
    """A stack of cases with Gaussian numbers, or with small halves, from one integer.

    Args:
        seed: Of NumPy's Philox generator.
        plan: The network.
        count: How many.
        dtype: Of the cases.
        boundary: Whether numbers are halves, so that values meet breakpoints by themselves.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    arrays = {}
    for name, shape in (*plan.parameters.items(), *plan.inputs.items()):
        whole = (count, *shape)
        arrays[name] = rng.integers(-4, 5, whole) / 2.0 if boundary else rng.standard_normal(whole)
    return plan.case(arrays, dtype, count)


def seeded_stack(
    plan: Plan, seed: int, number: int, count: int, dtype: str
) -> tuple[Composed, Literal["smooth", "boundary"]]:
    """Stack ``number`` of a sweep, and what it is: every fourth meets breakpoints.

    Args:
        plan: The network.
        seed: Of the sweep.
        number: From 0.
        count: How many cases; the numbers of a case do not depend on it.
        dtype: Of the cases.
    """
    boundary = number % 4 == 3
    own = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0])
    whole = seeded_composed(own, plan, STACK, dtype, boundary=boundary)
    part: Literal["smooth", "boundary"] = "boundary" if boundary else "smooth"
    if count == STACK:
        return whole, part
    arrays = {name: array[:count] for name, array in whole.entries()}
    return plan.case(arrays, dtype, count), part


Aim = tuple[int, list[tuple[int, ...]], list[Fraction]]


def aims(case: Composed) -> list[Aim]:
    """Nodes at whose values something is decided and that an array can be aimed at, lowest first.

    With their indices, and the breakpoints that are numbers of the dtype.
    """
    program, form = case.program, format_of(case.dtype)
    found = []
    for number in program.needed:
        points = {
            point
            for node in program.nodes
            if node.op == "piecewise" and node.inputs == (number,)
            for point in node.settings["function"].kinks
            if Fraction(float(form.round(np.array(float(point))))) == point
        }
        node = program.nodes[number]
        if points and _handle(program, node) is not None:
            found.append((number, list(np.ndindex(*node.shape)), sorted(points)))
    return found


def _handle(program: Program, node: Node) -> tuple[str, float] | None:
    """The array that is added to a node, or taken from it, by itself, and its sign."""
    names = {number: name for name, number in program.inputs.items()}
    if node.op == "difference" and node.inputs[1] in names:
        return names[node.inputs[1]], -1.0
    if node.op == "add":
        for number in node.inputs:
            while program.nodes[number].op in ("expand", "broadcast"):
                (number,) = program.nodes[number].inputs
            if number in names:
                return names[number], 1.0
    return None


def aimed(case: Composed, site: int, index: tuple[int, ...], point: Fraction) -> Composed:
    """The case with one entry of an array changed so that a value is at a breakpoint.

    Args:
        case: A single case.
        site: A node of its program, of `aims`.
        index: In that node's value.
        point: The breakpoint.
    """
    program = case.program
    handle = _handle(program, program.nodes[site])
    assert handle is not None
    name, sign = handle
    with np.errstate(all="ignore"):
        value = values_of(program, OnFloats(), dict(case.entries()))[site][index]
    array = dict(case.entries())[name].copy()
    at = index if array.ndim == len(index) else index[len(index) - array.ndim :]
    array[at] += sign * (float(point) - value)
    return case.replaced(name, format_of(case.dtype).round(array))
