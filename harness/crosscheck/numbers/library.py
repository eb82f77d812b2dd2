"""Whose elementary functions a framework calls, and N of each."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from typing import Any

from crosscheck.numbers.accuracy import Roundings, committed, roundings
from crosscheck.tools.errors import UsageError
from crosscheck.tools.processor import processor

__all__ = ["ANY", "MANY", "Library", "Stated"]

MANY = 16
"""Roundings that a function may err by. One that errs by more is held to so many all the same: a
bound of thousands of roundings would hold much that is wrong, wherever the function is good."""


_ROWS = {"quotient": ("dividend", "divisor")}
"""An operation that was measured by each of its operands."""


@dataclass(frozen=True)
class Library:
    """A framework in a mode; all of them at once, if it is of no name that the record knows.

    Attributes:
        framework: Name of the framework.
        mode: How it is run.
        is_whole: Whether a function may err by all that was measured, and not by `MANY` roundings
            at most.
    """

    framework: str = ""
    mode: str = ""
    is_whole: bool = False

    def roundings(self, function: str, order: int, dtype: str) -> float:
        """N: the most roundings of u scale that f, or f' as differentiation returns it, may err by.

        Args:
            function: A name of `crosscheck.numbers.elementary.ELEMENTARY`, or ``quotient``.
            order: Up to 2, as far as it was measured.
            dtype: Of the numbers.

        Returns:
            What `crosscheck.numbers.accuracy.roundings` says; of functions of the user's, and of
            frameworks without rows, the largest of any framework's.

        Raises:
            UsageError: Nothing is known of such a function, order or dtype.
        """
        found = self.measured(function, order, dtype)
        return found if self.is_whole else min(found, MANY)

    def measured(self, function: str, order: int, dtype: str) -> float:
        """`roundings` without a limit."""
        return float(self.row(function, order, dtype).count)

    def row(self, function: str, order: int, dtype: str) -> Roundings:
        """What `measured` is read from; see `roundings`."""
        rows = _ROWS.get(function, (function,))
        found = [_roundings(self.framework, self.mode, row, order, dtype) for row in rows]
        return max(found, key=lambda each: each.count)


@dataclass(frozen=True)
class Stated(Library):
    """A library that errs by so many roundings everywhere, for simulations.

    Attributes:
        count: N.
    """

    count: float = 2.0

    def roundings(self, function: str, order: int, dtype: str) -> float:
        """See `Library`."""
        return self.count


ANY = Library()
"""Any framework's library."""


@lru_cache(maxsize=4096)
def _roundings(framework: str, mode: str, function: str, order: int, dtype: str) -> Roundings:
    known = committed().frameworks
    names = [framework] if framework in known else list(known)
    here: dict[str, Any] = {"environment": processor()}
    found = [
        roundings(name, mode, function, order, dtype, versions=_versions(name), **here)
        for name in names
    ]
    counts = [each for each in found if each is not None]
    if not counts:
        raise UsageError(
            f"{function}, derivative {order}, {dtype}: nobody has measured how many roundings it "
            "errs by; wanted the value or the first derivative, in a dtype of the accuracy table"
        )
    return max(counts, key=lambda each: each.count)


def _versions(framework: str) -> str:
    """The versions here of the packages that a framework's record names."""
    packages = [each.split()[0] for each in committed().versions[framework].split(", ")]
    found = []
    for package in packages:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f"{package} {metadata.version(package)}")
    return ", ".join(found)
