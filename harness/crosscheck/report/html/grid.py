"""The table of conventions as a coloured grid: formulations down, special points across."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from crosscheck.report.html.heat import Heat, heat, is_choice
from crosscheck.studies.conventions.baseline import SHIPPED, TABLE
from crosscheck.studies.conventions.table import Cell, Key, Row, Table, read_table, unsigned
from crosscheck.tools.errors import UsageError

__all__ = ["Conventions", "Formulation", "Pattern", "Square", "conventions", "find_table"]

_POINTS = {
    "-0": "−0",
    "tiny": "η",
    "-tiny": "−η",
    "subnormal": "sub",
    "-subnormal": "−sub",
    "normal": "ν",
    "-normal": "−ν",
    "nan": "NaN",
    "inf": "+∞",
    "-inf": "−∞",
}
_NAMED = {"0": "zero", "0.5": "half", "1": "one", "nan": "nan", "": "muted"}
_SHOWN = {"0.5": "½", "nan": "NaN", "inf": "∞", "-inf": "−∞", "": "–"}
_SHARES = {"0.5": "½", "0.333": "⅓", "0.25": "¼", "0.125": "⅛"}
"""An empty slope is that of a cell that could not be measured."""


@dataclass(frozen=True)
class Square:
    """The slopes of one formulation at one point, over every mode and dtype.

    Attributes:
        slopes: As text, the default mode's in float64 first, then the others.
        colour: Name of the first one's colour; ``sure`` where there is nothing to choose.
        modes_differ: Whether two modes differ in the same dtype.
        dtypes_differ: Whether two dtypes differ in the same mode.
        by_position: Whether elements of a long array have other slopes than a single one.
    """

    slopes: tuple[str, ...]
    colour: str
    modes_differ: bool
    dtypes_differ: bool
    by_position: bool


@dataclass(frozen=True)
class Pattern:
    """The modes and dtypes of a formulation that have the same slopes everywhere.

    Attributes:
        where: In words.
        cells: (slopes, colour) at each point.
        unsupported: Why there are none.
    """

    where: str
    cells: tuple[tuple[str, str], ...]
    unsupported: str


@dataclass(frozen=True)
class Formulation:
    """One way of writing a function.

    Attributes:
        name: What users type.
        squares: One for each point; empty where nothing was measured.
        patterns: The same, mode by mode.
        unsupported: Why there are no squares.
    """

    name: str
    squares: tuple[Square, ...]
    patterns: tuple[Pattern, ...]
    unsupported: str

    @property
    def splits(self) -> bool:
        """Whether modes or dtypes differ."""
        return len(self.patterns) > 1


@dataclass(frozen=True)
class Conventions:
    """The table, laid out.

    Attributes:
        points: Unit to the names of its points.
        blocks: Unit to framework to its formulations.
        versions: Framework to the versions measured.
        others: Frameworks of this run that were measured in other versions, with both.
        environment: What else the table says of the place it was measured at.
        heat: The choices alone, on one screen.
        trouble: Why there is no table although there is a file.
    """

    points: Mapping[str, tuple[str, ...]]
    blocks: Mapping[str, Mapping[str, tuple[Formulation, ...]]]
    versions: Mapping[str, str]
    others: tuple[str, ...]
    environment: Mapping[str, str]
    heat: Heat
    trouble: str = ""


def find_table(folder: Path) -> Path | None:
    """The table of conventions that belongs to a report in ``folder``, if there is one.

    It is looked for beside the report, in the folder above, and where the baseline of this
    package is: in the checkout that it is installed from, or in the package itself.
    """
    for place in (folder, folder.resolve().parent, *SHIPPED):
        if (place / TABLE).is_file():
            return place / TABLE
    return None


def conventions(path: Path | None, document: Mapping[str, Any]) -> Conventions | None:
    """The grid of the table at ``path``, beside the versions of the run.

    Args:
        path: The file; ``None`` if there is none.
        document: The report.

    Returns:
        ``None`` without a file. A file that is no table is told on the page: the rest of the
        report does not depend on it.
    """
    if path is None:
        return None
    try:
        table = read_table(path)
    except UsageError as error:
        # Only the file's name: the page should not tell where on this machine it was.
        trouble = str(error).replace(str(path), path.name)
        return Conventions({}, {}, {}, (), {}, Heat((), ()), trouble)
    written: dict[str, dict[str, dict[str, list[tuple[Key, Row]]]]] = {}
    for key, row in table.rows.items():
        of_unit = written.setdefault(key.unit, {name: {} for name in table.frameworks})
        of_unit[key.framework].setdefault(key.formulation, []).append((key, row))
    blocks: dict[str, dict[str, tuple[Formulation, ...]]] = {}
    points: dict[str, tuple[str, ...]] = {}
    for unit, frameworks in written.items():
        names = next((tuple(row.cells) for row in _rows(frameworks.values()) if row.cells), ())
        points[unit] = tuple(_POINTS.get(name, name) for name in names)
        blocks[unit] = {
            framework: tuple(_formulation(name, rows, names) for name, rows in own.items())
            for framework, own in frameworks.items()
            if own
        }
    return Conventions(
        points=points,
        blocks=blocks,
        versions=table.versions,
        others=tuple(_other_versions(table, document)),
        environment=table.environment,
        heat=heat(table),
    )


def _rows(frameworks: Iterable[Mapping[str, Sequence[tuple[Key, Row]]]]) -> Iterator[Row]:
    for formulations in frameworks:
        for rows in formulations.values():
            yield from (row for _, row in rows)


def _other_versions(table: Table, document: Mapping[str, Any]) -> list[str]:
    found = []
    for state in document["frameworks"]:
        here = ", ".join(f"{name} {number}" for name, number in state["versions"].items())
        there = table.versions.get(state["name"], "")
        if here and there and here != there:
            found.append(f"{state['name']}: measured {there}, this run {here}")
    return found


def _formulation(name: str, rows: Sequence[tuple[Key, Row]], points: Sequence[str]) -> Formulation:
    unit = rows[0][0].unit
    measured = {(key.mode, key.dtype): row.cells for key, row in rows if row.cells}
    squares = tuple(
        _square(unit, point, {place: cells.get(point, Cell()) for place, cells in measured.items()})
        for point in (points if measured else ())
    )
    grouped: dict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[str, str]]] = {}
    for key, row in rows:
        cells = tuple(
            _cell(unit, point, row.cells.get(point, Cell())) for point in points if row.cells
        )
        grouped.setdefault((row.unsupported, cells), []).append((key.mode, key.dtype))
    patterns = tuple(
        Pattern(_where(places, rows), cells, unsupported)
        for (unsupported, cells), places in grouped.items()
    )
    reasons = dict.fromkeys(row.unsupported for _, row in rows if row.unsupported)
    return Formulation(name, squares, patterns, "" if measured else "; ".join(reasons))


def _square(unit: str, point: str, cells: Mapping[tuple[str, str], Cell]) -> Square:
    slopes = list(dict.fromkeys(slope for cell in cells.values() for slope in _slopes(cell)))
    by_mode: dict[str, set[str]] = {}
    by_dtype: dict[str, set[str]] = {}
    for (mode, dtype), cell in cells.items():
        by_dtype.setdefault(dtype, set()).update(_slopes(cell)[:1])
        by_mode.setdefault(mode, set()).update(_slopes(cell)[:1])
    return Square(
        slopes=tuple(dict.fromkeys(_SHOWN.get(slope, slope) for slope in slopes)),
        colour=_colour(unit, point, cells.values(), slopes[0]),
        modes_differ=any(len(found) > 1 for found in by_dtype.values()),
        dtypes_differ=any(len(found) > 1 for found in by_mode.values()),
        by_position=any(len(_slopes(cell)) > 1 for cell in cells.values()),
    )


def _colour(unit: str, point: str, cells: Iterable[Cell], first: str) -> str:
    """That of a choice; what can only be one thing, and is, has none."""
    if not any(is_choice(unit, point, cell) for cell in cells):
        return "sure"
    return _NAMED.get(first, "other")


def _cell(unit: str, point: str, cell: Cell) -> tuple[str, str]:
    slopes = _slopes(cell)
    text = " or ".join(_SHOWN.get(slope, slope) for slope in slopes)
    return cell.unsupported or text, _colour(unit, point, [cell], slopes[0])


def _slopes(cell: Cell) -> list[str]:
    """The slope at a single element, then those elsewhere; a zero's sign is no contradiction.

    Shares of a tie are told in three digits: how a dtype rounds ⅓ is no choice.
    """
    return list(dict.fromkeys(map(_slope, (cell.slope, *(slope for _, slope in cell.elsewhere)))))


@lru_cache(maxsize=4096)
def _slope(text: str) -> str:
    plain = unsigned(text)
    return _shares(plain) if "," in plain else plain


def _shares(slopes: str) -> str:
    found = []
    for each in slopes.split(","):
        try:
            short = f"{float(each):.3g}"
        except ValueError:  # no number of ours, but then it is told as it is
            short = each
        found.append(_SHARES.get(short, _SHOWN.get(short, short)))
    return " ".join(found)


def _where(places: Sequence[tuple[str, str]], rows: Sequence[tuple[Key, Row]]) -> str:
    """Modes and dtypes in few words: a mode that is there in all its dtypes by its name alone."""
    if len(places) == len(rows):
        return "every mode and dtype"
    total = Counter(key.mode for key, _ in rows)
    by_mode: dict[str, list[str]] = {}
    for mode, dtype in places:
        by_mode.setdefault(mode, []).append(dtype)
    by_dtypes: dict[str, list[str]] = {}
    for mode, dtypes in by_mode.items():
        name = "" if len(dtypes) == total[mode] else ", ".join(dtypes)
        by_dtypes.setdefault(name, []).append(mode)
    return "; ".join(
        ", ".join(modes) + (f": {dtypes}" if dtypes else "") for dtypes, modes in by_dtypes.items()
    )
