"""What the slopes at open decisions do to an exact gradient: something, or nothing whatever.

Let S be a set of unknowns, with the decisions of the others fixed at their λ. Then every g_v is

    g_v = c_v + Σ c_vw p_w,    p_w = λ_w g_w,    over the w in S that come before v,

and an entry of the gradient is c + Σ o_w p_w. The terms of such a sum have no monomial in common,
since λ_w is the last variable in every monomial of p_w. So g_v is the zero polynomial iff c_v = 0
and each c_vw g_w is zero, and an entry depends on λ_v iff o_v ≠ 0 and g_v is not zero, or some
o_w ≠ 0 and g_w depends on it. That is: take an edge from the loss to v where c_v ≠ 0, from w to v
where c_vw ≠ 0, and from w to the gradient where o_w ≠ 0 in some entry; what is on no path from the
loss to the gradient has no influence, whatever the slopes in S are.

The set is chosen as for dense networks (`crosscheck.judge.kinks.influence`): S₀ has those without
influence alone; of them, those without influence while all of S₀ is free are immaterial together.
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from typing import Any

from crosscheck.judge.decisions import Place
from crosscheck.judge.kinks.influence import Influence
from crosscheck.judge.programs.enclosed import Slopes
from crosscheck.judge.programs.forms import Forms
from crosscheck.network.composed import Derivatives
from crosscheck.network.exact import rational_of
from crosscheck.network.tree import LeftOut

__all__ = ["influences"]


def influences(forms: Forms, given: Derivatives, slopes: Slopes) -> dict[Place, Influence]:
    """What each open decision does to those entries of the exact gradient that are there.

    Args:
        forms: Of the case.
        given: A gradient of it. What is left out does not count; its numbers do not matter.
        slopes: λ of the open decisions.
    """
    count = len(forms.unknowns)
    if not count:
        return dict.fromkeys(slopes, Influence.NONE)
    columns = _columns(forms, given)
    alone = {v for v in range(count) if v not in _heard(forms, columns, slopes, {v})}
    together = alone - _heard(forms, columns, slopes, alone) if alone else set()
    found = dict.fromkeys(slopes, Influence.NONE)  # no cotangent ever comes to the others
    for v, unknown in enumerate(forms.unknowns):
        place = unknown.decision.place
        if v not in alone:
            found[place] = Influence.ALONE
        elif v not in together and found[place] is Influence.NONE:
            found[place] = Influence.TOGETHER
    return found


def _columns(forms: Forms, given: Derivatives) -> list[list[Any]]:
    """For each unknown the coefficients that it has in the entries."""
    flat = [
        parts.reshape(len(parts), -1)
        for name, parts in forms.outputs.items()
        if not isinstance(given.arrays[name], LeftOut)
    ]
    return [[value for part in flat for value in part[1 + v]] for v in range(len(forms.unknowns))]


def _heard(
    forms: Forms, columns: list[list[Any]], slopes: Slopes, free: Collection[int]
) -> set[int]:
    """The unknowns on a path from the loss to the gradient while those in ``free`` are."""
    count = len(forms.unknowns)
    parts: list[dict[int | None, Any]] = []  # each p_v in the free ones; ``None`` is the constant
    comes: list[dict[int | None, Any]] = []
    for v, unknown in enumerate(forms.unknowns):
        g: dict[int | None, Any] = {None: unknown.form[0]}
        for w in range(v):
            c = unknown.form[1 + w] if 1 + w < len(unknown.form) else 0
            if c != 0:
                for key, value in parts[w].items():
                    g[key] = g.get(key, value * 0) + c * value
        comes.append(g)
        if v in free:
            parts.append({v: unknown.form[0] * 0 + 1})
        else:
            slope = rational_of(Fraction(slopes[unknown.decision.place]))
            parts.append({key: value * slope for key, value in g.items()})
    shows: dict[int, bool] = {}
    for u in free:
        totals = _total([(columns[v], parts[v].get(u)) for v in range(count)])
        shows[u] = any(value != 0 for value in totals)
    reached = {v for v in free if comes[v].get(None, 0) != 0}
    for v in sorted(free):
        reached |= {v} if any(comes[v].get(w, 0) != 0 for w in reached) else set()
    for v in sorted(free, reverse=True):
        shows[v] = shows[v] or any(shows[w] and comes[w].get(v, 0) != 0 for w in free if w > v)
    return {v for v in free if v in reached and shows[v]}


def _total(pairs: list[tuple[list[Any], Any]]) -> list[Any]:
    """Σ c · column over the pairs."""
    some = [(column, c) for column, c in pairs if c is not None and c != 0]
    if not some:
        return []
    return [
        sum((c * column[i] for column, c in some), some[0][1] * 0) for i in range(len(some[0][0]))
    ]
