"""Entries of a gradient: their names, their kinds of number, and their error over their bound."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from crosscheck.judge.verdict import Entry
from crosscheck.network.dense import LeftOut
from crosscheck.network.names import label
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import Format

__all__ = ["classes_of", "entry_of", "ratio_of"]


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
