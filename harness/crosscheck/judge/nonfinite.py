"""The verdict on a gradient of which something is, or may be, infinite or NaN.

A gradient is right if for one policy (`crosscheck.judge.policies`) each of its entries, and J, is
of a possible kind, and within its bound if it is finite. If no policy explains it, it DISAGREES.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crosscheck.judge.entries import classes_of, entry_of, ratio_of
from crosscheck.judge.outcomes import Outcomes
from crosscheck.judge.policies import Policy
from crosscheck.judge.verdict import QUESTIONS, Entry, Kind, PolicyReading, Verdict
from crosscheck.network.dense import Gradients
from crosscheck.network.names import EntryName, layer_of
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.extended import Extended
from crosscheck.numbers.formats import Format, format_of

__all__ = ["Comparison", "compared", "judged", "leaves"]

_KINDS = ("a finite number", "+inf", "-inf", "NaN")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What comparing one gradient with what is possible says.

    Attributes:
        answers: To each of `QUESTIONS` that the gradient answers, the answers that it leaves;
            ``None`` if no policy explains the gradient.
        policy: One that explains it, or if none does, that with the fewest entries against it.
        possible: What is possible with that policy; its arrays have an axis of length 1 in front.
    """

    answers: Mapping[str, tuple[str, ...]] | None
    policy: Policy
    possible: Gradients


def _told(right: Sequence[tuple[Policy, frozenset[str]]]) -> Mapping[str, tuple[str, ...]]:
    told = {}
    for place, (name, every) in enumerate(QUESTIONS.items()):
        if all(name in asked for _, asked in right):
            left = {policy.answers[place] for policy, _ in right}
            if len(left) < len(every):
                told[name] = tuple(answer for answer in every if answer in left)
    return told


def leaves(possible: Extended, values: Any, *, sizes: bool = True) -> Any:
    """Which of ``values`` are of no possible kind, or finite and out of bounds.

    Args:
        possible: Of one policy, with an axis of length 1 in front.
        values: What was given.
        sizes: Whether finite numbers have to be within their bounds.
    """
    possible = possible[0]
    if isinstance(values, LeftOut):
        return np.zeros(possible.shape, dtype=bool)
    values, may = np.asarray(values, dtype=np.float64), possible.may
    with np.errstate(all="ignore"):
        within = (possible.finite.distance(values) <= possible.finite.bound) | (not sizes)
    return ~(
        (np.isfinite(values) & may.finite & within)
        | (np.isposinf(values) & may.plus)
        | (np.isneginf(values) & may.minus)
        | (np.isnan(values) & may.nan)
    )


def compared(outcomes: Outcomes, given: Gradients, *, sizes: bool = True) -> Comparison:
    """The policies for which ``given`` is possible; see the module's text.

    Args:
        outcomes: What is possible.
        given: What a framework returned.
        sizes: Whether finite numbers have to be within their bounds.
    """
    right: list[tuple[Policy, frozenset[str]]] = []
    first: Gradients | None = None
    best: tuple[int, Policy, Gradients] | None = None
    for policy, possible, asked in outcomes.every:
        wrong = sum(
            int(leaves(bound, value, sizes=sizes).sum())
            for (_, bound), (_, value) in zip(possible.entries(), given.entries(), strict=True)
        )
        if not wrong:
            right.append((policy, asked))
            first = first or possible
        elif best is None or wrong < best[0]:
            best = wrong, policy, possible
    if first is not None:
        return Comparison(_told(right), right[0][0], first)
    assert best is not None
    return Comparison(None, *best[1:])


def judged(outcomes: Outcomes, given: Gradients, named: Verdict, *, sizes: bool = True) -> Verdict:
    """NONFINITE, with the answers that explain ``given``, or DISAGREES.

    Args:
        outcomes: What is possible.
        given: What a framework returned.
        named: A verdict with the names.
        sizes: Whether finite numbers have to be within their bounds.
    """
    form = format_of(outcomes.case.dtype)
    found = compared(outcomes, given, sizes=sizes)
    if found.answers is None:
        return _contradiction(found, given, named, form, sizes)
    detail = classes_of(given.entries())
    if outcomes.derivation == "forward" and outcomes.stride > 1:
        detail += f"; every {outcomes.stride}th entry of each array was compared"
    return replace(
        named,
        kind=Kind.NONFINITE,
        worst=_worst(found, given, form),
        detail=detail,
        policies=tuple(itertools.starmap(PolicyReading, found.answers.items())),
    )


def _worst(found: Comparison, given: Gradients, form: Format) -> Entry | None:
    """The finite entry with the largest error / bound."""
    worst: Entry | None = None
    for (name, possible), (_, value) in zip(found.possible.entries(), given.entries(), strict=True):
        if isinstance(value, LeftOut) or not np.isfinite(value).any():
            continue
        values = np.asarray(value, dtype=np.float64)
        with np.errstate(all="ignore"):
            ratio = ratio_of(possible[0].finite.distance(values), possible[0].finite.bound)
        ratio = np.where(np.isfinite(values), ratio, -1.0)
        index = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
        entry = entry_of(name, possible[0].finite, values, index, form)
        if worst is None or entry.bounds > worst.bounds:
            worst = entry
    return worst


def _contradiction(
    found: Comparison, given: Gradients, named: Verdict, form: Format, sizes: bool
) -> Verdict:
    """DISAGREES, with the first entry, from the top layer down, that no policy explains."""
    name, possible, value, wrong = next(
        (name, possible[0], value, wrong)
        for (name, possible), (_, value) in zip(
            found.possible.entries(), given.entries(), strict=True
        )
        if (wrong := leaves(possible, value, sizes=sizes)).any()
    )
    values = np.asarray(value, dtype=np.float64)
    index = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    kinds = [kind for kind, may in zip(_KINDS, possible.may, strict=True) if may[index]]
    if possible.may.finite[index]:
        entry = entry_of(name, possible.finite, values, index, form)
    else:
        wanted = {"+inf": math.inf, "-inf": -math.inf}.get(kinds[0], math.nan)
        error = abs(float(values[index]) - wanted)
        label = str(EntryName.of(name, index))
        entry = Entry(label, float(values[index]), wanted, error, 0.0, math.inf, math.inf)
    entry = replace(entry, bounds=math.inf if math.isnan(entry.bounds) else entry.bounds)
    among = f"; {int(wrong.sum())} of the {wrong.size} entries of {name} are like that"
    return replace(
        named,
        kind=Kind.DISAGREES,
        worst=entry,
        first_layer=layer_of(name),
        detail=f"{entry.name} is {entry.given:g}, where only {' or '.join(kinds)} is possible"
        + (", within a bound" if possible.may.finite[index] else "")
        + (among if wrong.size > 1 else ""),
    )
