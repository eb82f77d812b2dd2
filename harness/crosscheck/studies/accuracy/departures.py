"""What in a record is more than rounding: departures, by rules that are stated here.

    wrong          no digit is right: the error is a sixteenth of the scale, or more
    narrow         float64 has the accuracy of float32: 2^20 roundings, or more
    threshold      more than 16 roundings, where the function was replaced by its asymptote
    far            more than 16 roundings
    multiplication a division by a constant is a multiplication by a rounded reciprocal
    inexact        IEEE 754 demands the nearest number, of a division or a square root, and another
                   one is returned
    range          infinite, NaN or 0 where the result is a normal number, or more than 16 roundings
                   where it is below λ₀ / u, λ₀ being the smallest normal number: mostly something
                   on the way to it overflowed, underflowed or cancelled

All but divisions are of a framework's own functions: what a formula of several operations loses is
the formula's, and stands in the record. Each row has the first that fits of those that are about
its largest error, and ``range`` besides. What ``range`` counts is not among the errors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from crosscheck.numbers.accuracy import Key, Record, Row
from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.numbers.formats import WORKING, format_of
from crosscheck.operators.elementary_lines import elementary_lines

__all__ = ["KINDS", "MANY", "Departure", "Kind", "departures", "exact", "kinds"]

Kind = Literal["wrong", "narrow", "threshold", "far", "multiplication", "inexact", "range"]
KINDS: tuple[Kind, ...] = get_args(Kind)

MANY = 16
"""More roundings than these are a departure."""

_SINGLE = 2**20


@dataclass(frozen=True)
class Departure:
    """A departure of one function of one framework, in its value or in derivatives.

    Attributes:
        framework: Whose.
        function: Of which function.
        kind: See the module's text.
        rows: All rows that show it, the one that shows it best first.
    """

    framework: str
    function: str
    kind: Kind
    rows: tuple[Row, ...]

    @property
    def orders(self) -> tuple[int, ...]:
        """Which derivatives show it, 0 for the value."""
        return tuple(sorted({row.key.order for row in self.rows}))

    @property
    def face(self) -> Row:
        """The row that is shown."""
        return self.rows[0]

    @property
    def at(self) -> tuple[float, ...]:
        """The input that is shown."""
        if self.kind != "range":
            return self.face.at
        return self.face.nonfinite_at or self.face.vanished_at or self.face.at


def kinds(row: Row) -> Iterator[Kind]:
    """What one row shows."""
    if row.error is None:
        return
    lines = elementary_lines(row.key.framework).get(row.key.function, {})
    is_own = row.key.formulation == next(iter(lines), None)
    of_error = _of_error(row.key, row.error, row)
    if of_error is not None and (is_own or of_error in ("multiplication", "inexact")):
        yield of_error
    if is_own and of_error not in ("range", "wrong") and (row.nonfinite or row.vanished):
        yield "range"


def _of_error(key: Key, error: float, row: Row) -> Kind | None:
    form = format_of(key.dtype)
    if error > MANY:
        if error >= 2.0 ** (form.precision - 4):
            return "wrong"
        if abs(exact(row)) < form.smallest_normal / form.unit_roundoff:
            return "range"
        if key.order < 2 and row.got == (row.at[0], 1.0)[key.order]:
            return "threshold"
        return "narrow" if key.dtype == "float64" and error >= _SINGLE else "far"
    if row.misrounded > 0:
        return "multiplication" if _is_multiplied(row) else "inexact"
    return None


def exact(row: Row) -> float:
    """The exact result at the worst input, in float64."""
    found = ELEMENTARY[row.key.function].floats(row.at[0], row.key.order, *row.at[1:])
    return float(found)


def _is_multiplied(row: Row) -> bool:
    """Whether x / c came out as x times the rounded 1 / c, and not as x / c rounded."""
    kind, _, constant = row.key.function.partition("_")
    if kind != "over":
        return False
    form = format_of(row.key.dtype)
    inverse = float(form.round(1.0 / int(constant)))
    product = Fraction(row.at[0]) * Fraction(inverse)
    nearest = float(form.round(float(product)))
    return row.got == nearest


def departures(record: Record) -> list[Departure]:
    """All departures, the gravest first within a framework."""
    groups: dict[tuple[str, str, Kind], list[Row]] = {}
    for row in record.rows:
        for kind in kinds(row):
            groups.setdefault((row.key.framework, row.key.function, kind), []).append(row)
    found = [
        Departure(framework, function, kind, tuple(sorted(rows, key=_grave)))
        for (framework, function, kind), rows in groups.items()
    ]
    names, functions = record.frameworks, list(ELEMENTARY)
    return sorted(
        found,
        key=lambda each: (
            names.index(each.framework),
            KINDS.index(each.kind),
            functions.index(each.function),
        ),
    )


def _grave(row: Row) -> tuple[int, int, int, float]:
    """The value first, a framework's own function, in the dtype that people use, by size."""
    own = next(iter(elementary_lines(row.key.framework).get(row.key.function, ())), None)
    likely = ("float32", *(dtype for dtype in WORKING if dtype != "float32"))
    return (
        row.key.order,
        row.key.formulation != own,
        likely.index(row.key.dtype),
        -(row.error or 0.0),
    )
