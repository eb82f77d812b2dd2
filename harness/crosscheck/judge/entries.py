"""Entries of a gradient: their names, their kinds of number, and their error over their bound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from crosscheck.judge.verdict import Entry
from crosscheck.network.names import label
from crosscheck.network.tree import LeftOut, Tree
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import Format
from crosscheck.program.graph import Shape

__all__ = [
    "classes_of",
    "entry_of",
    "is_bounded",
    "misshapen_of",
    "ratio_of",
    "worst_entries",
    "worst_of",
]


def ratio_of(error: Array, bound: Array) -> Array:
    """error / bound, with 0 / 0 = 0 and anything / ∞ = 0; NaN errors count as infinite."""
    with np.errstate(all="ignore"):
        ratio = error / bound
    instead = np.where(np.isnan(error) & ~np.isinf(bound), np.inf, 0.0)
    return np.where(np.isnan(ratio), instead, ratio)


def entry_of(
    name: str, bound: Enclosure, values: Array, index: tuple[Any, ...], form: Format
) -> Entry:
    """One entry of an array, against its enclosure.

    Args:
        name: Of the array.
        bound: What encloses it.
        values: What was given, float64.
        index: Of the entry.
        form: The case's dtype.
    """
    with np.errstate(all="ignore"):
        error, room = bound.distance(values)[index], bound.bound[index]
        reference = float(bound.high[index])
        return Entry(
            name=label(name, index),
            given=float(values[index]),
            reference=reference,
            error=float(error),
            bound=float(room),
            bounds=float(ratio_of(error, room)),
            ulps=float(error / form.ulp(min(abs(reference), form.largest))),
        )


def misshapen_of(given: Tree, wanted: Mapping[str, Shape]) -> str:
    """What is wrong with the shapes of a gradient, in words; empty if nothing is.

    Args:
        given: The gradient; what is `LEFT_OUT` has no shape.
        wanted: Name of each of its arrays, the loss included, to the shape.
    """
    found = dict(given.entries())
    for name, value in found.items():
        if not isinstance(value, LeftOut) and np.shape(value) != wanted.get(name):
            there = f"wanted {wanted[name]}" if name in wanted else "wanted none: there is no bias"
            return f"{name}: shape {np.shape(value)} returned, {there}"
    missing = [name for name in wanted if name not in found]
    return f"{missing[0]}: not returned, wanted shape {wanted[missing[0]]}" if missing else ""


def classes_of(entries: Iterable[tuple[str, Any]]) -> str:
    """How many entries are NaN, +inf and -inf, array by array.

    Args:
        entries: Names and arrays, as of `Gradients.entries`.
    """
    found = []
    for name, value in entries:
        if isinstance(value, LeftOut) or np.isfinite(value).all():
            continue
        counts = [
            f"{int(mask.sum())} {word}"
            for word, mask in (
                ("NaN", np.isnan(value)),
                ("+inf", np.isposinf(value)),
                ("-inf", np.isneginf(value)),
            )
            if mask.any()
        ]
        found.append(f"{name}: {', '.join(counts)}")
    return "; ".join(found) or "all entries finite"


def worst_entries(bounds: Tree, given: Tree, form: Format) -> Iterator[Entry]:
    """The worst entry of each array."""
    with np.errstate(all="ignore"):
        for (name, bound), (_, value) in zip(bounds.entries(), given.entries(), strict=True):
            if isinstance(value, LeftOut):
                continue
            values = np.asarray(value, dtype=np.float64)
            ratio = ratio_of(bound.distance(values), bound.bound)
            index = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
            yield entry_of(name, bound, values, index, form)


def is_bounded(bounds: Tree, given: Tree, *, loss: bool = True) -> bool:
    """Whether every entry of a gradient, and the loss if that is asked for, has a bound."""
    pairs = zip(bounds.entries(), given.entries(), strict=True)
    return all(
        np.isfinite(bound.bound).all()
        for (name, bound), (_, value) in pairs
        if (loss or name != "J") and not isinstance(value, LeftOut)
    )


def worst_of(bounds: Tree, given: Tree, form: Format) -> Entry:
    """The entry with the largest error / bound."""
    return max(worst_entries(bounds, given, form), key=lambda entry: entry.bounds)
