"""The table of conventions: its cells, its file, and what differs between two of them."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from crosscheck.numbers.formats import FORMATS
from crosscheck.operators.selections import Selection
from crosscheck.studies.conventions.points import SUBJECTS, depends_on_processor, points_of
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.errors import UsageError, meant
from crosscheck.tools.reading import json_of
from crosscheck.tools.words import named, shown

__all__ = [
    "ALL",
    "Cell",
    "Change",
    "Key",
    "Row",
    "Table",
    "Wanted",
    "arrow",
    "read_table",
    "unsigned",
    "write_table",
]

_FORMAT = 2
_UNSUPPORTED = "UNSUPPORTED: "


def unsigned(text: str) -> str:
    """A number as it is written, or several with commas between, without the signs of zeros."""
    return ",".join("0" if each == "-0" else each for each in text.split(","))


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
class Wanted:
    """Which conventions are asked for.

    Attributes:
        formulations: Names of formulations; ``None`` for all.
        operators: Names of what they write, such as ``hardtanh``; ``None`` for all.
    """

    formulations: frozenset[str] | None = None
    operators: frozenset[str] | None = None

    @classmethod
    def of(
        cls,
        formulations: Collection[str] | None = None,
        operators: Collection[str] | None = None,
    ) -> Wanted:
        """What two collections of names ask for."""
        sets = (None if each is None else frozenset(each) for each in (formulations, operators))
        return cls(*sets)

    def has(self, unit: str, formulation: str) -> bool:
        """Whether a formulation of a unit is among them."""
        return (self.formulations is None or formulation in self.formulations) and (
            self.operators is None or unit in self.operators
        )

    def require_known(self, pairs: Collection[tuple[str, str]]) -> None:
        """Refuse names that are nobody's.

        Args:
            pairs: What there is: a unit, and a formulation of it.

        Raises:
            UsageError: There is no formulation or operator of a name, or none of both together.
        """
        units, formulations = ({pair[place] for pair in pairs} for place in (0, 1))
        for field_, names, known in (
            ("operators", self.operators, units),
            ("formulation", self.formulations, formulations),
        ):
            for name in sorted(names or ()):
                if name not in known:
                    hint = meant(name, known)
                    if field_ == "formulation" and name in units:
                        hint = f"; for all formulations of an operator say --operators {name}"
                    wanted = ", ".join(sorted(known))
                    raise UsageError(f"{field_} {name!r}: wanted some of {wanted}{hint}")
        if self != ALL and not any(self.has(*pair) for pair in pairs):
            raise UsageError(
                f"no formulation {' or '.join(sorted(self.formulations or ()))} of "
                f"{' or '.join(sorted(self.operators or ()))}; leave one of the options out"
            )


ALL = Wanted()


@dataclass(frozen=True)
class Cell:
    """A function and its derivative at one point.

    Attributes:
        value: The function's value at a single element, as `points.spelled` writes it.
        slope: Its derivative there; of a window by each of its numbers, with commas between.
        elsewhere: Other pairs of the two that elements of a long array have.
        unsupported: Why there is neither; empty if there is.
    """

    value: str = ""
    slope: str = ""
    elsewhere: tuple[tuple[str, str], ...] = ()
    unsupported: str = ""

    @property
    def plain(self) -> tuple[str, str]:
        """Value and derivative of a single element, without the sign of a zero."""
        return unsigned(self.value), unsigned(self.slope)

    def __str__(self) -> str:
        if self.unsupported:
            return f"{_UNSUPPORTED}{self.unsupported}"
        return " | ".join(" ".join(pair) for pair in ((self.value, self.slope), *self.elsewhere))

    @classmethod
    def parse(cls, text: str) -> Cell:
        """The inverse of `str`."""
        if text.startswith(_UNSUPPORTED):
            return cls(unsupported=text.removeprefix(_UNSUPPORTED))
        pairs = [tuple(pair.split(" ")) for pair in text.split(" | ")]
        (value, slope), *others = pairs
        return cls(value, slope, tuple((v, s) for v, s in others))


@dataclass(frozen=True)
class Row:
    """The cells of one convention by the names of their points, or why there are none.

    Attributes:
        cells: Name of a point to its cell.
        unsupported: Why there are none; empty if there are.
        versions: Of the framework's packages that it was measured with; empty for those of the
            `Table` that it is put into.
    """

    cells: Mapping[str, Cell] = field(default_factory=dict)
    unsupported: str = ""
    versions: str = ""


@dataclass(frozen=True)
class Change:
    """One cell that differs.

    Attributes:
        key: Of its row.
        point: Where; "" for a row as a whole.
        old: What was there, of value, derivative and places in an array that which differs.
        new: What is there now.
    """

    key: Key
    point: str
    old: str
    new: str

    def __str__(self) -> str:
        where = f" at {self.point}" if self.point else ""
        return f"{self.key}{where}: {arrow(self.old, self.new)}"


@dataclass(frozen=True)
class Table:
    """Conventions as measured.

    Attributes:
        versions: Framework to the versions of its packages, as last measured. Each row has its
            own, which may be others: modes that were not measured again keep theirs.
        environment: What else a result may depend on.
        rows: The conventions.
        wanted: The formulations that were to be measured.
    """

    versions: Mapping[str, str]
    environment: Mapping[str, str]
    rows: Mapping[Key, Row]
    wanted: Wanted = ALL

    def __post_init__(self) -> None:
        rows = {
            key: row if row.versions else replace(row, versions=self.versions[key.framework])
            for key, row in self.rows.items()
        }
        object.__setattr__(self, "rows", rows)

    @property
    def frameworks(self) -> tuple[str, ...]:
        """The frameworks, in their order."""
        return tuple(dict.fromkeys(key.framework for key in self.rows))

    def versions_of(self, framework: str) -> str:
        """The versions that the rows of a framework were measured with, all of them."""
        used = dict.fromkeys(
            row.versions for key, row in self.rows.items() if key.framework == framework
        )
        return "; ".join(used)

    def is_mixed(self, framework: str, unit: str, formulation: str) -> bool:
        """Whether the rows of a formulation were measured with several versions.

        Then it is not known whether its modes differ: those of one version may not be held
        against those of another.
        """
        about = (framework, unit, formulation)
        rows = self.rows.items()
        used = {row.versions for key, row in rows if about == dataclasses.astuple(key)[:3]}
        return len(used) > 1

    def mixtures(self) -> Iterator[str]:
        """A line for each framework whose rows were measured with several versions."""
        for framework in self.frameworks:
            rows: dict[str, list[Key]] = defaultdict(list)
            for key, row in self.rows.items():
                if key.framework == framework:
                    rows[row.versions].append(key)
            for versions, keys in rows.items():
                if versions != self.versions[framework]:
                    modes = ", ".join(dict.fromkeys(key.mode for key in keys))
                    yield (
                        f"{framework}: {len(keys):,} conventions ({modes}) were not measured and "
                        f"stay those of {versions}; measure them with --compiled, or without "
                        "--formulation"
                    )

    def part(self, frameworks: Collection[str] | None, wanted: Wanted = ALL) -> Table:
        """Only the rows of some frameworks, and of some formulations.

        Raises:
            UsageError: There is no such row.
        """
        for name in frameworks or ():
            if name not in self.frameworks:
                raise UsageError(
                    f"frameworks: the table has nothing of {name!r}, wanted some of "
                    f"{', '.join(self.frameworks)}{meant(name, self.frameworks)}"
                )
        wanted.require_known({(key.unit, key.formulation) for key in self.rows})
        rows = {
            key: row
            for key, row in self.rows.items()
            if (frameworks is None or key.framework in frameworks)
            and wanted.has(key.unit, key.formulation)
        }
        if not rows:
            raise UsageError(
                f"{', '.join(frameworks or ())}: no such formulation in the table; name other "
                "frameworks, or leave --frameworks out"
            )
        return replace(self, rows=rows)

    def changes(self, new: Table) -> Iterator[Change]:
        """What is different in ``new``, among the rows that both should have.

        A row of a framework and mode that ``new`` did not measure at all is no change. Where an
        element stands in an array may decide by the processor's vectors: what a long array
        gives elsewhere is compared only if both tables are from the same kind of processor.

        Args:
            new: A later table; it may be of some formulations only, `Table.wanted`.
        """
        same_processor = self.is_of_processor(new)
        for key, row in new.rows.items():
            before = self.rows.get(key)
            if before is None:
                yield Change(key, "", "not in the baseline", row.unsupported or "measured")
            elif row.unsupported or before.unsupported:
                if row.unsupported != before.unsupported:
                    old, now = (each.unsupported or "supported" for each in (before, row))
                    yield Change(key, "", old, now)
            else:
                for point in dict.fromkeys((*before.cells, *row.cells)):
                    old_cell, cell = before.cells.get(point), row.cells.get(point)
                    if not same_processor:
                        old_cell, cell = _alone(old_cell), _alone(cell)
                    if old_cell != cell:
                        yield Change(key, point, *_told(old_cell, cell))
        for key in self.rows:
            if key not in new.rows and new.should_have(key):
                yield Change(key, "", "in the baseline", "gone")

    def is_of_processor(self, other: Table) -> bool:
        """Whether another table is from the same kind of processor."""
        return all(
            self.environment.get(name) == other.environment.get(name)
            for name in ("machine", "vectors")
        )

    def anywhere(self) -> Table:
        """What does not depend on the processor; nothing of places in an array.

        See `crosscheck.studies.conventions.points.depends_on_processor`.
        """
        rows = {
            key: replace(
                row,
                cells={
                    point: replace(cell, elsewhere=())
                    for point, cell in row.cells.items()
                    if not depends_on_processor(key.framework, key.formulation, key.mode, point)
                },
            )
            for key, row in self.rows.items()
        }
        return replace(self, rows=rows)

    def should_have(self, key: Key) -> bool:
        """Whether a row of this framework, mode and formulation was to be measured."""
        return (key.framework, key.mode) in self._measured and self.wanted.has(
            key.unit, key.formulation
        )

    @cached_property
    def _measured(self) -> frozenset[tuple[str, str]]:
        return frozenset((key.framework, key.mode) for key in self.rows)

    def updated(self, new: Table) -> Table:
        """This table with what ``new`` was to measure replaced by what it found."""
        kept = [key for key in self.rows if key in new.rows or not new.should_have(key)]
        place = {key: (number, 0) for number, key in enumerate(kept)}
        last = (-1, 0)
        for key in new.rows:  # a new row goes behind the one that it stands behind
            last = place[key] if key in place else (last[0], last[1] + 1)
            place[key] = last
        rows = {
            key: new.rows.get(key) or self.rows[key] for key in sorted(place, key=place.__getitem__)
        }
        environment = dict(new.environment)
        if any(key not in new.rows for key in rows):
            for name, was in self.environment.items():
                if environment.get(name, was) != was:  # neither is that of all rows
                    environment[name] = f"{was}; {environment[name]}"
        return Table({**self.versions, **new.versions}, environment, rows)


def _alone(cell: Cell | None) -> Cell | None:
    return None if cell is None else replace(cell, elsewhere=())


def arrow(old: str, new: str) -> str:
    """A change of a text, without saying twice what it is that changes."""
    what, _, rest = new.partition(" ")
    same = bool(rest) and " " not in rest and old.startswith(f"{what} ")
    return f"{old} -> {rest if same and old.count(' ') == 1 else new}"


def _told(old: Cell | None, new: Cell | None) -> tuple[str, str]:
    """What differs between two cells, before and after."""
    if old is None or new is None or old.unsupported or new.unsupported:
        first, second = (", ".join(_parts(each).values()) for each in (old, new))
        return first, second
    before, after = ({"elsewhere": _EVERYWHERE, **_parts(each)} for each in (old, new))
    names = [name for name in ("value", "slope", "elsewhere") if before[name] != after[name]]
    return ", ".join(before[name] for name in names), ", ".join(after[name] for name in names)


_EVERYWHERE = "the same everywhere in an array"


def _parts(cell: Cell | None) -> dict[str, str]:
    """What there is to say of a cell, by what it is about."""
    if cell is None:
        return {"": "not measured"}
    if cell.unsupported:
        return {"": str(cell)}
    parts = {"value": f"value {cell.value}", "slope": f"slope {cell.slope}"}
    pairs = [f"elsewhere in an array value {v}, slope {s}" for v, s in cell.elsewhere]
    return {**parts, "elsewhere": "; ".join(pairs)} if pairs else parts


def to_json(table: Table) -> dict[str, Any]:
    """The table as it is stored: nested by framework, unit, formulation, mode, dtype."""
    points: dict[str, list[str]] = {}
    nested: dict[str, Any] = {}
    usual = {framework: _usual(table, framework) for framework in table.frameworks}
    for key, row in table.rows.items():
        place = nested
        for name in (key.framework, key.unit, key.formulation, key.mode):
            place = place.setdefault(name, {})
        found: Any = f"{_UNSUPPORTED}{row.unsupported}"
        if not row.unsupported:
            points.setdefault(key.unit, list(row.cells))
            found = [str(row.cells[point]) for point in points[key.unit]]
        if row.versions != usual[key.framework]:
            found = {"versions": row.versions, "found": found}
        place[key.dtype] = found
    return {
        "format": _FORMAT,
        "about": "value and derivative at each point; after | what other elements of an array of "
        "67 give; z is the point itself, if it is no breakpoint; of the largest of several numbers "
        "the derivative by each, with commas between; versions are those that a row was measured "
        "with, unless it has its own",
        "versions": {**table.versions, **usual},
        "environment": dict(table.environment),
        "points": points,
        "conventions": nested,
    }


def _usual(table: Table, framework: str) -> str:
    """The versions that most rows of a framework were measured with."""
    rows = table.rows.items()
    return Counter(row.versions for key, row in rows if key.framework == framework).most_common(1)[
        0
    ][0]


def from_json(stored: Any) -> Table:
    """The inverse of `to_json`.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: It is not such a table.
    """
    if stored["format"] == 1:
        raise ValueError("format 1, whose rows do not say with which version they were measured")
    if stored["format"] != _FORMAT:
        raise ValueError(f"format {stored['format']!r}")
    usual = stored["versions"]
    rows = {}
    for framework, units in stored["conventions"].items():
        for unit, formulations in units.items():
            points = stored["points"].get(unit, [])
            for formulation, modes in formulations.items():
                for mode, dtypes in modes.items():
                    for dtype, cells in dtypes.items():
                        key = Key(framework, unit, formulation, mode, dtype)
                        versions = usual[framework]
                        if isinstance(cells, dict):
                            versions, cells = cells["versions"], cells["found"]
                        if isinstance(cells, str):
                            rows[key] = Row({}, cells.removeprefix(_UNSUPPORTED), versions)
                        else:
                            parsed = map(Cell.parse, cells)
                            cells_ = dict(zip(points, parsed, strict=True))
                            rows[key] = Row(cells_, versions=versions)
    return Table(dict(stored["versions"]), dict(stored["environment"]), rows)


def read_table(path: Path) -> Table:
    """The table stored at ``path``.

    Raises:
        UsageError: There is none, or the file holds something else.
    """
    stored = json_of(path, name="a table of conventions", instead=_INSTEAD, missing=f"; {_INSTEAD}")
    try:
        found = from_json(stored)
        _require_sound(found)
        return found
    except Exception as error:  # whatever strange data makes of it
        raise UsageError(
            f"{shown(str(path))}: no table of conventions ({named(error, 120)}); {_INSTEAD}"
        ) from None


def _require_sound(table: Table) -> None:
    """Have every convention be one of something known, at its points, in numbers.

    Raises:
        ValueError: One is not.
    """
    names = itertools.chain(table.versions.values(), table.environment.values())
    if not all(isinstance(each, str) for each in names):
        raise ValueError("a version or a word on the environment is no text")
    columns: dict[str, tuple[str, ...]] = {}
    for key, row in table.rows.items():
        if not all(isinstance(each, str) for each in (row.versions, row.unsupported)):
            raise ValueError(f"{key}: its versions are no text")
        if key.unit not in SUBJECTS:
            raise ValueError(f"unit {key.unit!r}, which is none")
        if key.dtype not in (*FORMATS, "exact"):  # SymPy has no format
            raise ValueError(f"dtype {key.dtype!r}, which is none")
        if row.cells and columns.setdefault(key.unit, tuple(row.cells)) != tuple(row.cells):
            raise ValueError(f"{key}: other points than before")
        is_window = isinstance(SUBJECTS[key.unit], Selection)
        points = points_of(SUBJECTS[key.unit], key.dtype) if key.dtype in FORMATS else row.cells
        for name, cell in row.cells.items():
            if name not in points:
                raise ValueError(f"point {name!r} of {key.unit}, which is none")
            pairs = () if cell.unsupported else ((cell.value, cell.slope), *cell.elsewhere)
            for value, slope in pairs:
                slopes = slope.split(",") if is_window else [slope]
                point = points.get(name)
                if isinstance(point, Sequence) and len(slopes) != len(point):
                    raise ValueError(f"{key}, {name}: other shares than numbers")
                for text in (value, *slopes):
                    _ = text == "z" or float(text)  # z is the point itself


_INSTEAD = (
    "wanted a file that 'crosscheck conventions --accept' wrote; move it away and measure again"
)


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
