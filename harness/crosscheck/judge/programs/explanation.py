"""Explaining a gradient at open decisions: which λ a framework used, if any explain it.

Every explanation is tested: with the slopes put in, each entry has to lie within its bound. Tried
in turn are one convention at all kinks with the exact side elsewhere; one convention for each step
of the network; and what is read off the gradient: its entries are linear in p_v = λ_v g_v
(`crosscheck.judge.programs.forms`), so that least squares, weighed by the entries' room, give p and
λ = p / g from the loss down, rounded to a convention where one is near.

What this does not find is not excluded by it. Slopes are excluded by exact linear programs over the
same forms (`crosscheck.judge.kinks.inequalities`), and a solution of theirs is tested like a
reading. Where that fails too, or takes too much, the question stays open and is reported as open.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crosscheck.judge.decisions import Decision, GateClass, Place
from crosscheck.judge.enclosed import leaves_bound
from crosscheck.judge.kinks.inequalities import Inequalities
from crosscheck.judge.kinks.inequalities import Unknown as Bounded
from crosscheck.judge.kinks.slopes import CONVENTIONS
from crosscheck.judge.programs.enclosed import EnclosedProgram, Slopes
from crosscheck.judge.programs.forms import Forms
from crosscheck.network.composed import Derivatives
from crosscheck.network.exact import nearest_float
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.tools.budget import Budget, Exhausted

__all__ = ["MOST_OPERATIONS", "Explanation", "contains", "explain"]

MOST_OPERATIONS = 2**22
"""How many operations on rationals the decisions of one gradient may take."""

_MOST_ASSIGNMENTS = 81
"""How many choices of a convention for each step are tried."""

_NEAR = 2.0**-4
"""How far from a convention a λ may be read and still be tried as that."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """How a gradient comes about.

    Attributes:
        slopes: λ of every open decision, as tested; empty where none were found.
        gradients: The gradient on enclosures with them, or with all slopes at once.
        found: Whether slopes were found. False when none were, and none are excluded.
        forms: What the decisions do, if that was needed and possible.
    """

    slopes: Slopes
    gradients: Derivatives
    found: bool = True
    forms: Forms | None = None


def contains(bounds: Derivatives, given: Derivatives) -> bool:
    """Whether every entry that is there is within its bound."""
    if leaves_bound(bounds.loss, given.loss).any():
        return False
    return not any(
        leaves_bound(bounds.arrays[name], value).any() for name, value in given.arrays.items()
    )


def explain(enclosed: EnclosedProgram, given: Derivatives) -> Explanation | None:
    """Slopes at the open decisions for which ``given`` is a correct gradient, if there are any.

    Args:
        enclosed: A single finite case.
        given: What a framework returned for it.

    Returns:
        ``None`` if, by proof, no slopes between the one-sided ones explain the gradient.
    """
    decisions = enclosed.decisions
    if not decisions:
        bounds = enclosed.gradients()
        return Explanation({}, bounds) if contains(bounds, given) else None
    everything = enclosed.any_gradients
    if not contains(everything, given):
        return None
    for slopes in _uniform(enclosed, decisions):
        bounds = enclosed.gradients(slopes)
        if contains(bounds, given):
            return Explanation(slopes, bounds)
    if enclosed.model.arithmetic is not None:
        return Explanation({}, everything, found=False)
    budget = Budget(MOST_OPERATIONS)
    try:
        forms = Forms(enclosed, budget)
    except Exhausted:
        return Explanation({}, everything, found=False)
    for slopes in _read(forms, given, everything):
        bounds = enclosed.gradients(slopes)
        if contains(bounds, given):
            return Explanation(slopes, bounds, forms=forms)
    try:
        solved = _solved(forms, given, everything)
    except Exhausted:
        return Explanation({}, everything, found=False, forms=forms)
    if solved is None:
        return None
    slopes = {each.place: solved.get(each.place, 0.0) for each in decisions}
    bounds = enclosed.gradients(slopes)
    if solved and contains(bounds, given):
        return Explanation(slopes, bounds, forms=forms)
    return Explanation({}, everything, found=False, forms=forms)


def _uniform(enclosed: EnclosedProgram, decisions: tuple[Decision, ...]) -> Iterator[Slopes]:
    """The exact side where there is one; at kinks a convention, one for all or one for a step."""
    step_of = enclosed.case.step_of
    groups: dict[tuple[str, object], list[Place]] = {}
    sided: dict[Place, float] = {}
    ties: dict[tuple[str, object], list[list[Place]]] = {}
    for (site, _), members in enclosed.windows.items():
        tied = [each.place for each in members if each.sign == 0]
        sided |= {each.place: each.side for each in members}
        if tied:
            group: tuple[str, object] = consumer_of(enclosed, site, step_of), "ties"
            ties.setdefault(group, []).append(tied)
            groups.setdefault(group, [])
    for each in decisions:
        if each.place.node in enclosed.ties:
            continue
        if each.gate is GateClass.UNDECIDED:
            sided[each.place] = each.side
        else:
            step = consumer_of(enclosed, each.place.node, step_of)
            groups.setdefault((step, each.breakpoint), []).append(each.place)
    if not groups:
        yield sided
        return
    choices = sorted(
        itertools.islice(itertools.product(CONVENTIONS, repeat=len(groups)), 3 * _MOST_ASSIGNMENTS),
        key=lambda choice: len(set(choice)),
    )
    for choice in choices[:_MOST_ASSIGNMENTS]:
        slopes = dict(sided)
        for (key, places), slope in zip(groups.items(), choice, strict=True):
            slopes |= dict.fromkeys(places, slope)
            for tied in ties.get(key, ()):
                slopes |= _shares(tied, slope)
        yield slopes


def _shares(tied: Sequence[Place], convention: float) -> Slopes:
    """λ of the members of a tie: for 0 the first one has all, for 1 the last, else all alike."""
    count = len(tied)
    if convention in (0.0, 1.0):
        chosen = tied[-1] if convention else tied[0]
        return {each: float(each == chosen) for each in tied}
    return {each: 1.0 / (count - number) for number, each in enumerate(tied)}


def consumer_of(enclosed: EnclosedProgram, site: int, step_of: Mapping[int, str]) -> str:
    """The step that decides at a site: the first whose node takes its value."""
    for number, node in enumerate(enclosed.case.program.nodes):
        if site in node.inputs and node.op in ("piecewise", "max", "smaller"):
            return step_of.get(number, "")
    return step_of.get(site, "")


def _flat(forms: Forms, given: Derivatives, rooms: Derivatives) -> tuple[Array, Array, Array]:
    """Of each entry: coefficients of the unknowns, what is left to them, and its room."""
    matrix, rest, room = [], [], []
    for name, parts in forms.outputs.items():
        value = given.arrays[name]
        if isinstance(value, LeftOut):
            continue
        floats = np.vectorize(nearest_float, otypes=[np.float64])(parts.reshape(len(parts), -1))
        matrix.append(floats[1:].T)
        with np.errstate(invalid="ignore"):  # infinities are left out by who asks
            rest.append(np.ravel(value) - floats[0])
        room.append(np.ravel(rooms.arrays[name].e))
    return np.concatenate(matrix), np.concatenate(rest), np.concatenate(room)


def _read(forms: Forms, given: Derivatives, rooms: Derivatives) -> Iterator[Slopes]:
    """λ by least squares, the near conventions first."""
    unknowns = forms.unknowns
    decisions = forms.enclosed.decisions
    plain = {
        each.place: each.side if each.gate is GateClass.UNDECIDED else 0.0 for each in decisions
    }
    if not unknowns:
        yield plain
        return
    matrix, rest, room = _flat(forms, given, rooms)
    known = np.isfinite(room) & np.isfinite(rest) & np.any(matrix != 0, axis=1)
    if not known.any():
        return
    scale = np.maximum(room, np.abs(rest) * 2.0**-52) + 2.0**-1000
    weights = np.where(known, scale.min(initial=np.inf, where=known) / scale, 0.0)
    with np.errstate(all="ignore"):
        solved, *_ = np.linalg.lstsq(
            np.where(known[:, None], matrix, 0.0) * weights[:, None],
            np.where(known, rest, 0.0) * weights,
            rcond=None,
        )
    forms_of_g = [[nearest_float(value) for value in each.form] for each in unknowns]
    for near in (True, False):
        p: list[float] = []
        slopes = dict(plain)
        for v, unknown in enumerate(unknowns):
            g = forms_of_g[v][0] + sum(c * q for c, q in zip(forms_of_g[v][1:], p, strict=False))
            slope = min(max(solved[v] / g, 0.0), 1.0) if g else slopes[unknown.decision.place]
            if near:
                closest = min(CONVENTIONS, key=lambda each: abs(each - slope))
                slope = closest if abs(closest - slope) < _NEAR else slope
            slopes[unknown.decision.place] = float(slope)
            p.append(slope * g)
        yield slopes


def _solved(forms: Forms, given: Derivatives, rooms: Derivatives) -> Mapping[Place, float] | None:
    """Slopes that solve the inequalities; ``None`` if there are none, empty if it gave up."""
    system = Inequalities(forms.budget)
    for unknown in forms.unknowns:
        constant, *rest = unknown.form
        form = {v: c for v, c in enumerate(rest) if c != 0}
        low, high = system.interval(form)
        low, high, zero = constant + low, constant + high, constant * 0
        system.unknowns.append(
            Bounded(unknown.decision.place, constant, form, min(low, zero), max(high, zero))
        )
    for name, parts in forms.outputs.items():
        value, bound = given.arrays[name], rooms.arrays[name]
        for index in np.ndindex(*parts.shape[1:]):
            constant, *rest = parts[(slice(None), *index)]
            form = {v: c for v, c in enumerate(rest) if c != 0}
            forms.budget.spend(len(form) + 1)
            system.add(form, constant, value, bound, index)
    if not system.consistent:
        return None
    return system.solve()
