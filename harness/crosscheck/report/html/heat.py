"""The map of choices: λ at every kink, by formulation, framework and mode."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.operators.selections import Selection
from crosscheck.studies.conventions.points import SUBJECTS, points_of, spelled
from crosscheck.studies.conventions.table import Cell, Key, Row, Table, unsigned

__all__ = ["Heat", "HeatRow", "Panel", "Spot", "heat", "is_choice"]

_NAMED = {Fraction(0): ("0", "zero"), Fraction(1, 2): ("½", "half"), Fraction(1): ("1", "one")}
_TIE = "all"
"""The window whose numbers are all tied."""


@dataclass(frozen=True)
class Spot:
    """What one formulation chooses in one framework and mode.

    Attributes:
        text: λ; of tied numbers which of them have a share.
        colour: Name of its colour; empty where nothing was measured.
        splits: Whether another dtype, or another place in a long array, has another λ.
    """

    text: str
    colour: str
    splits: bool


@dataclass(frozen=True)
class HeatRow:
    """One formulation.

    Attributes:
        name: What users type.
        spots: One for each framework and mode; ``None`` where there is no such formulation.
        is_one: Whether all of them are the same.
    """

    name: str
    spots: tuple[Spot | None, ...]
    is_one: bool


@dataclass(frozen=True)
class Panel:
    """The choices of one function.

    Attributes:
        unit: Its name.
        frameworks: Place of a framework among all of them, its name and its modes.
        columns: Of each column the place of its framework, and the mode.
        groups: A kink in words, and a row for each formulation.
    """

    unit: str
    frameworks: tuple[tuple[int, str, tuple[str, ...]], ...]
    columns: tuple[tuple[int, str], ...]
    groups: tuple[tuple[str, tuple[HeatRow, ...]], ...]


@dataclass(frozen=True)
class Heat:
    """The whole map.

    Attributes:
        frameworks: Those that can be left out, in the order of the table.
        panels: One for each function that has kinks.
    """

    frameworks: tuple[str, ...]
    panels: tuple[Panel, ...]


def heat(table: Table) -> Heat:
    """The map of a table of conventions, of the functions that are known here."""
    panels = [
        _panel(table, unit)
        for unit in dict.fromkeys(key.unit for key in table.rows)
        if unit in SUBJECTS
    ]
    return Heat(tuple(table.frameworks), tuple(each for each in panels if each.groups))


def is_choice(unit: str, point: str, cell: Cell) -> bool:
    """Whether a function leaves open what a framework has at a point.

    It does at its kinks, at ties and at NaN. Elsewhere there is one derivative; a cell that has
    another one shows what the framework took the number for.
    """
    derivative = _derivatives(unit).get(point)
    return derivative is None or unsigned(cell.slope) != derivative


@functools.cache
@in_ieee_arithmetic
def _derivatives(unit: str) -> Mapping[str, str]:
    """Of a function the derivative at each point that has one, as a table has it."""
    subject = SUBJECTS.get(unit)
    if not isinstance(subject, Piecewise):
        return {}
    found = {}
    for name, point in points_of(subject, "float64").items():
        left, right = subject.slopes(point)
        if left == right:
            found[name] = unsigned(spelled(float(left), point))
    return found


def _panel(table: Table, unit: str) -> Panel:
    rows = {key: row for key, row in table.rows.items() if key.unit == unit}
    frameworks = tuple(
        (place, name, modes)
        for place, name in enumerate(table.frameworks)
        if (modes := tuple(dict.fromkeys(key.mode for key in rows if key.framework == name)))
    )
    names = {place: name for place, name, _ in frameworks}
    columns = tuple((place, mode) for place, _, modes in frameworks for mode in modes)
    groups = tuple(
        (words, tuple(_rows(rows, point, columns, names))) for words, point in _kinks(unit)
    )
    return Panel(unit, frameworks, columns, groups)


def _kinks(unit: str) -> Iterator[tuple[str, str]]:
    """What is open in words, and the name of the point that it is measured at."""
    subject = SUBJECTS[unit]
    if isinstance(subject, Selection):
        yield f"{subject.size} tied numbers: whose share", _TIE
        return
    for kink in subject.kinks:
        yield f"λ at {float(kink):g}", "0" if kink == 0 else f"{float(kink):g}"


def _rows(
    rows: Mapping[Key, Row],
    point: str,
    columns: Sequence[tuple[int, str]],
    names: Mapping[int, str],
) -> Iterator[HeatRow]:
    cells: dict[tuple[str, str, str], list[Cell]] = {}
    for key, row in rows.items():
        if point in row.cells:
            where = key.framework, key.formulation, key.mode
            cells.setdefault(where, []).append(row.cells[point])
    (unit,) = {key.unit for key in rows}
    for formulation in dict.fromkeys(formulation for _, formulation, _ in cells):
        places = [(names[place], formulation, mode) for place, mode in columns]
        spots = tuple(
            _spot(unit, point, cells[where]) if where in cells else None for where in places
        )
        told = {(each.text, each.splits) for each in spots if each is not None}
        yield HeatRow(formulation, spots, len(told) == 1 and not any(splits for _, splits in told))


def _spot(unit: str, point: str, cells: Sequence[Cell]) -> Spot:
    slopes = dict.fromkeys(
        unsigned(slope)
        for cell in cells
        for slope in (cell.slope, *(slope for _, slope in cell.elsewhere))
        if slope
    )
    if not slopes:
        return Spot("–", "", splits=False)
    text, colour = _choice(unit, point, next(iter(slopes)))
    return Spot(text, colour, splits=len(slopes) > 1)


def _choice(unit: str, point: str, slope: str) -> tuple[str, str]:
    """λ of a derivative at a kink, or whose share it is of a tie; and the colour."""
    subject = SUBJECTS[unit]
    try:
        numbers = [Fraction(float(each)) for each in slope.split(",")]
    except (ValueError, OverflowError):
        return ("NaN", "nan") if "nan" in slope else (slope, "other")
    if isinstance(subject, Selection):
        return _shares(numbers)
    left, right = (Fraction(each) for each in subject.slopes(float(point)))
    chosen = (numbers[0] - left) / (right - left)
    return _NAMED.get(chosen, (f"{float(chosen):.3g}", "other"))


def _shares(numbers: Sequence[Fraction]) -> tuple[str, str]:
    first, last = numbers[0], numbers[-1]
    if first == 1 and not any(numbers[1:]):
        return "first", "zero"
    if last == 1 and not any(numbers[:-1]):
        return "last", "one"
    if len(set(numbers)) == 1:
        # Rounded, shares of 1/3 have no sum of 1.
        alike = float(first) == float(Fraction(1, len(numbers)))
        return ("alike", "half") if alike else (f"{float(first):g} each", "other")
    return "other", "other"
