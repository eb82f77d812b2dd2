"""Convex hulls of exact vectors: whether one is in a hull, and whether a box meets it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crosscheck.judge.kinks.linearised import TooMany
from crosscheck.numbers.linear_programs import maximum, solve
from crosscheck.tools.budget import Budget

__all__ = ["Box", "Vector", "combines"]

Vector = tuple[Any, ...]

_LARGEST_SYSTEM = 6_000


def combines(gradients: Sequence[Vector], target: Vector, budget: Budget) -> bool:
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


class Box:
    """Vectors g with center - half <= g <= center + half, entry by entry.

    Args:
        center: Rationals, (n,).
        half: Rationals, (n,).
        known: Of which entries that is known, bool (n,); the others are anything.
        given: See below.
        is_point: See below.

    Attributes:
        given: What was returned, ``None`` if not all of it is finite.
        is_point: Whether there is nothing else in the box.
    """

    def __init__(self, center: Any, half: Any, known: Any, given: Any, is_point: bool) -> None:
        self.given, self.is_point = given, is_point
        self._ends = [
            (c - h, c + h) if is_known else None
            for c, h, is_known in zip(center, half, known, strict=True)
        ]

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
