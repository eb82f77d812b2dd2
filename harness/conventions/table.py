"""The table of conventions: its cells, its file, and what differs between two of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.atomic import write_text_atomically
from harness.errors import UsageError

__all__ = ["Cell", "Change", "Key", "Row", "Table", "read_table", "write_table"]

_FORMAT = 1


@dataclass(frozen=True, order=True)
class Key:
    """Which convention: of what, written how, differentiated how, in which dtype."""

    framework: str
    unit: str
    formulation: str
    mode: str
    dtype: str

    def __str__(self) -> str:
        unit = "" if self.unit == "relu" else f"{self.unit} as "
        return f"{self.framework} {unit}{self.formulation} ({self.mode}, {self.dtype})"


@dataclass(frozen=True)
class Cell:
    """A function and its derivative at one point.

    Attributes:
        value: The function's value at a single element, as `points.spelled` writes it.
        slope: Its derivative there.
        elsewhere: Other pairs of the two that elements of a long array have.
    """

    value: str
    slope: str
    elsewhere: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return " | ".join(" ".join(pair) for pair in ((self.value, self.slope), *self.elsewhere))

    @classmethod
    def parse(cls, text: str) -> Cell:
        """The inverse of `str`."""
        pairs = [tuple(pair.split(" ")) for pair in text.split(" | ")]
        (value, slope), *others = pairs
        return cls(value, slope, tuple((v, s) for v, s in others))


@dataclass(frozen=True)
class Row:
    """The cells of one convention by the names of their points, or why there are none."""

    cells: Mapping[str, Cell] = field(default_factory=dict)
    unsupported: str = ""


@dataclass(frozen=True)
class Change:
    """One cell that differs."""

    key: Key
    point: str
    old: str
    new: str

    def __str__(self) -> str:
        where = f" at {self.point}" if self.point else ""
        return f"{self.key}{where}: {self.old} -> {self.new}"


@dataclass(frozen=True)
class Table:
    """Conventions as measured.

    Attributes:
        versions: Framework to the versions of its packages.
        environment: What else a result may depend on.
        rows: The conventions.
        slow: The frameworks for which the slow modes were measured as well.
    """

    versions: Mapping[str, str]
    environment: Mapping[str, str]
    rows: Mapping[Key, Row]
    slow: frozenset[str] = frozenset()

    @property
    def frameworks(self) -> tuple[str, ...]:
        """The frameworks, in their order."""
        return tuple(dict.fromkeys(key.framework for key in self.rows))

    def of(self, *frameworks: str) -> Table:
        """The part of some frameworks."""
        return replace(
            self, rows={key: row for key, row in self.rows.items() if key.framework in frameworks}
        )

    def changes(self, new: Table) -> Iterator[Change]:
        """What is different in ``new``, among the rows that one of the two should have.

        A row that ``new`` did not measure is no change; one that is gone from a framework and
        mode that ``new`` did measure is.
        """
        measured = {(key.framework, key.mode) for key in new.rows}
        for key, row in new.rows.items():
            before = self.rows.get(key)
            if before is None:
                yield Change(key, "", "not in the baseline", row.unsupported or "measured")
            elif row.unsupported or before.unsupported:
                if row.unsupported != before.unsupported:
                    yield Change(
                        key,
                        "",
                        before.unsupported or "supported",
                        row.unsupported or "supported",
                    )
            else:
                for point in dict.fromkeys((*before.cells, *row.cells)):
                    old, now = before.cells.get(point), row.cells.get(point)
                    if old != now:
                        yield Change(key, point, _shown(old), _shown(now))
        for key in self.rows:
            if (key.framework, key.mode) in measured and key not in new.rows:
                yield Change(key, "", "in the baseline", "gone")

    def updated(self, new: Table) -> Table:
        """This table with the modes that ``new`` measured replaced by what it found."""
        measured = {(key.framework, key.mode) for key in new.rows}
        kept = {
            key: row for key, row in self.rows.items() if (key.framework, key.mode) not in measured
        }
        order = {name: i for i, name in enumerate((*self.frameworks, *new.frameworks))}
        rows = sorted({**kept, **new.rows}.items(), key=lambda each: order[each[0].framework])
        return Table(
            {**self.versions, **new.versions},
            new.environment,
            dict(rows),
            self.slow | new.slow,
        )


def _shown(cell: Cell | None) -> str:
    if cell is None:
        return "not measured"
    pairs = [f"value {cell.value}, slope {cell.slope}"]
    pairs += [f"elsewhere in an array value {v}, slope {s}" for v, s in cell.elsewhere]
    return "; ".join(pairs)


def to_json(table: Table) -> dict[str, Any]:
    """The table as it is stored: nested by framework, unit, formulation, mode, dtype."""
    points: dict[str, list[str]] = {}
    nested: dict[str, Any] = {}
    for key, row in table.rows.items():
        place = nested
        for name in (key.framework, key.unit, key.formulation, key.mode):
            place = place.setdefault(name, {})
        if row.unsupported:
            place[key.dtype] = f"UNSUPPORTED: {row.unsupported}"
            continue
        points.setdefault(key.unit, list(row.cells))
        place[key.dtype] = [str(row.cells[point]) for point in points[key.unit]]
    return {
        "format": _FORMAT,
        "about": "value and derivative at each point; after | what other elements of an array of "
        "67 give; z is the point itself",
        "versions": dict(table.versions),
        "environment": dict(table.environment),
        "slow": sorted(table.slow),
        "points": points,
        "conventions": nested,
    }


def from_json(stored: Any) -> Table:
    """The inverse of `to_json`.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: It is not such a table.
    """
    if stored["format"] != _FORMAT:
        raise ValueError(f"format {stored['format']!r}")
    rows = {}
    for framework, units in stored["conventions"].items():
        for unit, formulations in units.items():
            points = stored["points"].get(unit, [])
            for formulation, modes in formulations.items():
                for mode, dtypes in modes.items():
                    for dtype, cells in dtypes.items():
                        key = Key(framework, unit, formulation, mode, dtype)
                        if isinstance(cells, str):
                            rows[key] = Row(unsupported=cells.removeprefix("UNSUPPORTED: "))
                        else:
                            parsed = map(Cell.parse, cells)
                            rows[key] = Row(dict(zip(points, parsed, strict=True)))
    return Table(
        dict(stored["versions"]),
        dict(stored["environment"]),
        rows,
        frozenset(stored["slow"]),
    )


def read_table(path: Path) -> Table:
    """The table stored at ``path``.

    Raises:
        UsageError: There is none, or the file holds something else.
    """
    try:
        return from_json(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise UsageError(
            f"{path}: cannot be read ({error.strerror}); wanted a table of conventions, as "
            "'crosscheck conventions --accept' writes it"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{path}: no table of conventions ({type(error).__name__}: {error}); wanted a file "
            "that 'crosscheck conventions --accept' wrote"
        ) from error


def write_table(table: Table, path: Path) -> None:
    """Store ``table`` at ``path``, one convention a line.

    Raises:
        UsageError: The file cannot be written.
    """
    write_text_atomically(path, dumps(table))


def dumps(table: Table) -> str:
    """The table as JSON text, one convention a line."""
    return _laid_out(to_json(table), 0) + "\n"


def _laid_out(value: Any, depth: int) -> str:
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    inner = " " * (depth + 1)
    lines = [f"{inner}{json.dumps(k)}: {_laid_out(v, depth + 1)}" for k, v in value.items()]
    return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"
