"""A difference as a record, and as the lines that people read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosscheck.tools.grouping import grouped

__all__ = ["Change", "Difference", "Group", "groups_of", "versions_of"]

_SHOWN = 6
"""So many names of an axis are in a line; all are in the JSON."""


@dataclass(frozen=True)
class Change:
    """One thing that differs.

    Attributes:
        about: Of what kind it is: "verdicts", "case".
        where: Its place: the framework first, and what else tells it from others of its kind.
        old: What is in the first.
        new: What is in the second.
    """

    about: str
    where: tuple[str, ...]
    old: str
    new: str


@dataclass(frozen=True)
class Group:
    """Changes that are alike, in all combinations of some names.

    Attributes:
        about: As of a change.
        where: For each part of the place, the names.
        old: As of a change.
        new: As of a change.
    """

    about: str
    where: tuple[tuple[str, ...], ...]
    old: str
    new: str

    def __str__(self) -> str:
        axes = (_names(names) for names in self.where)
        return f"{self.about} {'; '.join(axes)}: {self.old} -> {self.new}"

    def as_json(self) -> dict[str, Any]:
        """The group as one object of JSON."""
        where = [list(names) for names in self.where]
        return {"about": self.about, "where": where, "old": self.old, "new": self.new}


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN:,} more"


def groups_of(changes: Iterable[Change]) -> list[Group]:
    """Changes as groups, in the order of the changes; each is in one of them."""
    rows = (((each.about, each.old, each.new), each.where) for each in changes)
    return [Group(about, where, old, new) for (about, old, new), where in grouped(rows)]


def versions_of(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Framework to its versions in both; "" where it is in one only."""
    return {name: (old.get(name, ""), new.get(name, "")) for name in {**old, **new}}


@dataclass(frozen=True)
class Difference:
    """What differs between two files of one kind.

    Attributes:
        kind: Of the files: "report", "conventions", "accuracy", "operators".
        versions: Framework to its versions in both; "" where it is in one only.
        rows: How many single things differ.
        compared: How many were compared.
        lines: What differs, a line for each group.
        groups: The same as data, nothing left out.
        notes: What else has to be known, and is no difference.
    """

    kind: str
    versions: Mapping[str, tuple[str, str]]
    rows: int
    compared: int
    lines: tuple[str, ...] = ()
    groups: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.lines

    def text(self) -> Iterator[str]:
        """All lines for people."""
        for name, (old, new) in self.versions.items():
            if old and new:
                yield f"{name}: {old}" + ("" if old == new else f" -> {new}")
            else:
                yield f"{name}: {old or new}, in the {'first' if old else 'second'} only"
        yield from self.notes
        yield from self.lines
        if self.same:
            yield f"no difference, of {self.compared:,} compared"
        else:
            yield f"{self.rows:,} differences in {len(self.lines):,} lines"

    def as_json(self) -> dict[str, Any]:
        """The difference as one JSON document."""
        return {
            "kind": self.kind,
            "same": self.same,
            "versions": {name: list(pair) for name, pair in self.versions.items()},
            "compared": self.compared,
            "differences": self.rows,
            "changed": list(self.lines),
            "groups": list(self.groups),
            "notes": list(self.notes),
        }
