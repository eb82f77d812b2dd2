"""Which arrays of a gradient a comparison could check, and which it could not.

A gradient passes if every entry is within its bound of the reference: |ĝ - c| <= b with b = r + e.
That this finds something wrong takes a bound below the size of the entry. If b >= |c|, the number 0
passes as well as the right one does, and with it everything between, also with the wrong sign: the
entry is *vacuous*. It stays so whatever a framework returns, since c and b depend on the case, the
dtype, the mode of differentiation and the slopes at kinks alone.

    vacuous             b > 0  and  b >= |c|
    telling             |c| > b             (with b = 0 too: it must be c, bit for bit)
    exactly zero        c = b = 0           (nothing but 0 passes)

c = 0 with b > 0 is vacuous: terms cancel there to within their rounding errors, and 0 is in the
middle of what passes.

The unit is the array, W_l, b_l or x, since that is what code computes at a time: an array is
**not checked** if it has a vacuous entry and no telling one. Entries that are exactly zero decide
nothing in an array that has others: rows of W_l that belong to inactive units are right in any
gradient with the right mask, also in one that is zero everywhere. An array that consists of them
alone is checked, since every entry must be 0 exactly, and a gradient with a wrong mask is not.
The loss J is no array of the gradient and is not counted.

The reference c is rounded to float64 when it is compared with b here, a change of 2⁻⁵³ of it: this
decides what is *said* of an entry at which the two are equal to 16 digits, and no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from crosscheck.network.tree import LeftOut, Tree

__all__ = [
    "SAMPLED",
    "Coverage",
    "Line",
    "Seen",
    "Share",
    "arrays_checked",
    "seen_by",
    "shape_of",
    "shares",
    "side_by_side",
    "unchecked",
    "vacuous",
]

Seen = Mapping[str, tuple[int, int]]
"""Name of an array to the number of cases in which it was compared, and of those in which it was
compared and not checked."""


def vacuous(bound: Any) -> Any:
    """Which entries of an enclosure, with ``high`` and ``bound``, cannot be told from zero."""
    with np.errstate(invalid="ignore"):
        return (bound.bound > 0) & ~(np.abs(bound.high) > bound.bound)


def unchecked(bounds: Tree, *, stacked: bool = False) -> dict[str, Any]:
    """Which arrays of a gradient are not checked.

    Args:
        bounds: Enclosures of the gradient.
        stacked: Whether it is that of a stack of C cases.

    Returns:
        Name of each array but J to a bool of shape (), or (C,) for a stack.
    """
    found = {}
    for name, bound in bounds.entries():
        if name == "J":
            continue
        with np.errstate(all="ignore"):  # bounds are formed when they are asked for
            axes = tuple(range(int(stacked), np.ndim(bound.bound)))
            empty, telling = vacuous(bound), np.abs(bound.high) > bound.bound
        found[name] = empty.any(axis=axes) & ~telling.any(axis=axes)
    return found


def side_by_side(
    high: Any, bound: Any, places: Sequence[tuple[str, int, Any]]
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """`arrays_checked` of gradients whose entries lie side by side.

    Args:
        high: (n, entries), the reference.
        bound: (n, entries).
        places: Of each array its name, its first entry, and anything; J is the first.
    """
    names, starts, _ = zip(*places[1:], strict=True)
    with np.errstate(invalid="ignore"):
        telling = np.logical_or.reduceat(np.abs(high) > bound, starts, axis=1)
    empty = np.logical_or.reduceat(bound > 0, starts, axis=1) & ~telling
    return [
        (
            tuple(name for name, is_empty in zip(names, row, strict=True) if not is_empty),
            tuple(name for name, is_empty in zip(names, row, strict=True) if is_empty),
        )
        for row in empty.tolist()
    ]


def arrays_checked(bounds: Tree, given: Tree) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The arrays of ``given`` that a comparison with ``bounds`` checks, and those it does not.

    Args:
        bounds: Enclosures of the gradient of a single case.
        given: What is compared; of what is left out nothing is said.
    """
    there = {name for name, value in given.entries() if not isinstance(value, LeftOut)}
    found = {name: bool(empty) for name, empty in unchecked(bounds).items() if name in there}
    return (
        tuple(name for name, empty in found.items() if not empty),
        tuple(name for name, empty in found.items() if empty),
    )


class Told(Protocol):
    """What says of one case which arrays are checked; `crosscheck.judge.verdict.Verdict` is one."""

    @property
    def checked(self) -> tuple[str, ...]:
        """The arrays that were compared and checked."""

    @property
    def unchecked(self) -> tuple[str, ...]:
        """The arrays that were compared and not checked."""


def seen_by(verdicts: Iterable[Told]) -> dict[str, tuple[int, int]]:
    """What verdicts of one framework on cases of one shape say of the arrays."""
    found: dict[str, list[int]] = {}
    for verdict in verdicts:
        for names, empty in ((verdict.checked, 0), (verdict.unchecked, 1)):
            for name in names:
                counts = found.setdefault(name, [0, 0])
                counts[0] += 1
                counts[1] += empty
    return {name: (compared, empty) for name, (compared, empty) in found.items()}


def shape_of(operators: str, widths: Sequence[int], rows: int) -> str:
    """A network and its rows, for people: ``(4, 8, 1), 2 rows``."""
    what = operators or f"({', '.join(map(str, widths))})"
    return f"{what}, {rows} row{'' if rows == 1 else 's'}"


@dataclass(frozen=True)
class Line:
    """What was checked of the cases of one shape and dtype, in one framework.

    Attributes:
        framework: Its name.
        dtype: Of the cases.
        widths: Of the networks.
        rows: In each batch.
        seen: Each array.
        operators: Those of a network of operators, for people; empty for a dense ReLU network.
    """

    framework: str
    dtype: str
    widths: tuple[int, ...]
    rows: int
    seen: Seen
    operators: str = ""

    @property
    def shape(self) -> str:
        """The network and its rows, for people: ``(4, 8, 1), 2 rows``."""
        return shape_of(self.operators, self.widths, self.rows)

    @property
    def compared(self) -> int:
        """How many arrays were compared, over all cases."""
        return sum(compared for compared, _ in self.seen.values())

    @property
    def unchecked(self) -> int:
        """How many of them were not checked."""
        return sum(empty for _, empty in self.seen.values())

    @property
    def never(self) -> tuple[str, ...]:
        """The arrays that were compared and never checked."""
        return tuple(name for name, (compared, empty) in self.seen.items() if empty == compared > 0)


_Key = tuple[str, str, tuple[int, ...], int, str]


class Coverage:
    """Counts, shape by shape, in how many cases each array was checked."""

    def __init__(self) -> None:
        self._counts: dict[_Key, dict[str, list[int]]] = {}

    def add(self, line: Line) -> None:
        """Count what was found in some cases of one shape."""
        key = line.framework, line.dtype, tuple(line.widths), line.rows, line.operators
        counts = self._counts.setdefault(key, {})
        for name, (compared, empty) in line.seen.items():
            each = counts.setdefault(name, [0, 0])
            each[0] += compared
            each[1] += empty

    def lines(self) -> Iterator[Line]:
        """What was counted, without shapes of which nothing was compared, in order."""
        for (framework, dtype, widths, rows, operators), counts in sorted(self._counts.items()):
            seen = {name: (compared, empty) for name, (compared, empty) in counts.items()}
            if seen:
                yield Line(framework, dtype, widths, rows, seen, operators)

    def shares(self) -> list[Share]:
        """`shares` of what was counted."""
        return shares(
            (each.dtype, each.widths, each.compared, each.unchecked) for each in self.lines()
        )

    def never(self) -> str:
        """The arrays of each shape that were never checked, in a line; empty if there are none."""
        found: dict[str, list[str]] = {}
        for line in self.lines():
            if line.never:
                what = f"{', '.join(line.never)} of {line.dtype} {line.shape}"
                found.setdefault(what, []).append(line.framework)
        words = [f"{what}, in {', '.join(names)}" for what, names in found.items()]
        more = f"; and {len(words) - _NAMED} more" if len(words) > _NAMED else ""
        return "; ".join(words[:_NAMED]) + more


@dataclass(frozen=True)
class Share:
    """How many arrays were not checked, in networks of one dtype and like width.

    Attributes:
        dtype: Of the cases.
        widths: The least and the largest of the networks' widest layers.
        compared: How many arrays were compared, over all cases and frameworks.
        unchecked: How many of them were not checked.
    """

    dtype: str
    widths: tuple[int, int]
    compared: int
    unchecked: int

    @property
    def width(self) -> str:
        """The widths for a table."""
        least, largest = self.widths
        return f"{least}" if least == largest else f"{least} to {largest}"

    @property
    def percent(self) -> str:
        """The share for a table; what is not quite nothing or everything is not written so."""
        if self.unchecked in (0, self.compared):
            return "100 %" if self.unchecked else "0 %"
        return f"{min(max(100.0 * self.unchecked / self.compared, 0.001), 99.999):.3g} %"


def shares(counts: Iterable[tuple[str, Sequence[int], int, int]]) -> list[Share]:
    """The share that was not checked, by dtype and width.

    Where it is nothing in one width after another, they are one line.

    Args:
        counts: dtype, widths, how many arrays were compared, how many of them not checked.
    """
    found: dict[tuple[str, int], list[int]] = {}
    for dtype, widths, compared, empty in counts:
        each = found.setdefault((dtype, max(widths)), [0, 0])
        each[0] += compared
        each[1] += empty
    told: list[Share] = []
    for (dtype, width), (compared, empty) in sorted(found.items()):
        last = told[-1] if told else None
        if last and last.dtype == dtype and last.unchecked == empty == 0:
            widths = last.widths[0], width
            told[-1] = Share(dtype, widths, last.compared + compared, 0)
        else:
            told.append(Share(dtype, (width, width), compared, empty))
    return told


SAMPLED = ", of a sample of the cases"
"""How a table of them ends in the report of a sweep."""

_NAMED = 3
"""Shapes that are named in a line; all of them are in the report."""
