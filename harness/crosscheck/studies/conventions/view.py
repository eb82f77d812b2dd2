"""A table of conventions as a person reads it: one line for each formulation.

The modes and dtypes of a formulation that show the same are one line; the default mode in float64
comes first, and what differs from it follows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from crosscheck.frameworks.pointwise import Point
from crosscheck.numbers.formats import FORMATS
from crosscheck.operators.selections import Selection
from crosscheck.studies.conventions.divergences import are_shares, is_right_value
from crosscheck.studies.conventions.points import SUBJECTS, Subject, points_of
from crosscheck.studies.conventions.table import Cell, Key, Row, Table, unsigned

__all__ = ["LEGEND", "Block", "Line", "blocks"]

LEGEND = (
    "Each cell is the derivative at that point. *: not that of the framework's own relu, where "
    "that is shown. f=…: the value, where it is not the function's (z: the number itself). "
    "…: other results elsewhere in a long array. η is the smallest subnormal number of the "
    "dtype, ν the smallest normal one. Of the largest or smallest of several numbers a cell says "
    "who has the derivative where they are tied: the first of them, the last, each as much (even), "
    "or what share each number has."
)

_SPELLED = {"tiny": "η", "subnormal": "sub", "normal": "ν"}
_DROPPED = {"subnormal": "tiny", "-subnormal": "-tiny"}
"""Columns that are left out where they say the same as another one."""


@dataclass(frozen=True)
class Line:
    """One line of the view.

    Attributes:
        label: The formulation; or, for what differs from it, the modes and dtypes.
        is_first: Whether it is the formulation's first line.
        source: What is written, on the first line.
        cells: A text for each column; empty if unsupported.
        differs: For each column, whether the derivative is not that of the framework's own relu.
        unsupported: Why there are no cells.
    """

    label: str
    is_first: bool
    source: str
    cells: tuple[str, ...]
    differs: tuple[bool, ...]
    unsupported: str = ""


@dataclass(frozen=True)
class Block:
    """The formulations of one unit in one framework.

    Attributes:
        framework: Whose.
        versions: Of its packages.
        unit: The unit.
        columns: The points.
        lines: The lines.
    """

    framework: str
    versions: str
    unit: Subject
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def blocks(table: Table, sources: Mapping[tuple[str, str, str], str]) -> Iterator[Block]:
    """The view of ``table``.

    Args:
        table: The table.
        sources: (framework, unit, formulation) to what is written there.
    """
    grouped: dict[tuple[str, str], dict[str, dict[Key, Row]]] = {}
    for key, row in table.rows.items():
        of_unit = grouped.setdefault((key.framework, key.unit), {})
        of_unit.setdefault(key.formulation, {})[key] = row
    for (framework, unit_name), formulations in grouped.items():
        unit = SUBJECTS[unit_name]
        names = next(
            (
                list(row.cells)
                for rows in formulations.values()
                for row in rows.values()
                if row.cells
            ),
            [],
        )
        own = _own_relu(table, framework) if unit_name == "relu" else {}
        columns = [name for name in names if not _is_needless(name, unit, formulations)]
        lines: list[Line] = []
        for formulation, rows in formulations.items():
            source = sources.get((framework, unit_name, formulation), "")
            lines += _lines(formulation, source, rows, unit, columns, own)
        yield Block(
            framework,
            table.versions_of(framework),
            unit,
            tuple(_spelled(name) for name in columns),
            tuple(lines),
        )


def _own_relu(table: Table, framework: str) -> Mapping[str, Cell]:
    """The cells of the framework's own relu in its first mode and dtype, if they are there."""
    return next(
        (
            row.cells
            for key, row in table.rows.items()
            if (key.framework, key.unit, key.formulation) == (framework, "relu", "relu")
        ),
        {},
    )


def _is_needless(name: str, unit: Subject, formulations: Mapping[str, Mapping[Key, Row]]) -> bool:
    rows = [(key, row) for each in formulations.values() for key, row in each.items() if row.cells]
    if name in _DROPPED:
        like = _DROPPED[name]
        return all(
            like in row.cells and row.cells[name].plain == row.cells[like].plain for _, row in rows
        )
    if name.lstrip("-") == "normal" and not isinstance(unit, Selection):
        return all(
            len(set(unit.slopes(points_of(unit, key.dtype)[name]))) == 1
            and row.cells[name].plain[1]
            == f"{float(unit.slopes(points_of(unit, key.dtype)[name])[0]):g}"
            for key, row in rows
        )
    return False


def _lines(
    formulation: str,
    source: str,
    rows: Mapping[Key, Row],
    unit: Subject,
    columns: Sequence[str],
    own: Mapping[str, Cell],
) -> Iterator[Line]:
    groups: dict[tuple[tuple[str, ...], tuple[bool, ...], str], list[Key]] = {}
    for key, row in rows.items():
        points = points_of(unit, key.dtype)
        cells = tuple(
            _text(row.cells[name], unit, key.dtype, points[name]) for name in columns if row.cells
        )
        differs = tuple(
            name in own and row.cells[name].plain[1] != own[name].plain[1]
            for name in columns
            if row.cells
        )
        groups.setdefault((cells, differs, row.unsupported), []).append(key)
    for number, ((cells, differs, unsupported), members) in enumerate(groups.items()):
        label = formulation if number == 0 else _where(members, list(rows))
        yield Line(label, number == 0, source if number == 0 else "", cells, differs, unsupported)


def _text(cell: Cell, unit: Subject, dtype: str, point: Point) -> str:
    if cell.unsupported:
        return "error"
    value, slope = cell.plain
    z = point[0] if isinstance(point, Sequence) else point
    text = _shared(slope, unit, dtype, point) if isinstance(unit, Selection) else _short(slope)
    number = z if value == "z" else float(value)
    if not is_right_value(unit, dtype, point, number):
        text += f" f={value if value == 'z' else f'{number:.3g}'}"
    if any((unsigned(v), unsigned(s)) != cell.plain for v, s in cell.elsewhere):
        text += "…"
    return text


def _short(slope: str) -> str:
    if slope in ("z", "nan") or not math.isfinite(float(slope)):
        return slope
    return f"{float(slope):.4g}"


def _shared(slope: str, unit: Selection, dtype: str, point: Point) -> str:
    """Who of the tied numbers has the derivative, in a word if there is one."""
    assert isinstance(point, Sequence)
    shares, tied = slope.split(","), unit.tied(point)
    mine = [share for share, one in zip(shares, tied, strict=True) if one]
    if all(share == "0" for share, one in zip(shares, tied, strict=True) if not one):
        rest = ["0"] * (len(mine) - 1)
        if mine == ["1", *rest]:
            return "first" if rest else "1"
        if mine == [*rest, "1"]:
            return "last"
        if len(set(mine)) == 1 and are_shares(FORMATS[dtype], tied, [*map(float, shares)]):
            return "even"
    return " ".join(map(_short, shares))


def _where(members: Sequence[Key], every: Sequence[Key]) -> str:
    """Modes and dtypes in a word."""
    all_dtypes = list(dict.fromkeys(key.dtype for key in every))
    all_modes = list(dict.fromkeys(key.mode for key in every))
    dtypes_of: dict[str, list[str]] = {}
    for key in members:
        dtypes_of.setdefault(key.mode, []).append(key.dtype)
    modes_of: dict[tuple[str, ...], list[str]] = {}
    for mode, dtypes in dtypes_of.items():
        modes_of.setdefault(tuple(dtypes), []).append(mode)
    parts = []
    for of_modes, modes in modes_of.items():
        words = [] if modes == all_modes and len(all_modes) > 1 else [", ".join(modes)]
        if list(of_modes) != all_dtypes:
            words.append(", ".join(of_modes))
        parts.append(" in ".join(words) if len(words) == 2 else "".join(words))
    return "; ".join(parts)


def _spelled(name: str) -> str:
    sign = "-" if name.startswith("-") else ""
    return sign + _SPELLED.get(name.removeprefix("-"), name.removeprefix("-"))
