"""The divergences that are known and expected, as data: what was seen, of which version, and when.

A contradiction or departure that is not among them fails a check, and so does one of them that no
longer occurs: then a release has changed, and the list is out of date.
"""

from __future__ import annotations

import datetime
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from crosscheck.studies.conventions.divergences import KINDS, Divergence, divergences
from crosscheck.studies.conventions.drift import named_formulations
from crosscheck.studies.conventions.table import Key, Table
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.errors import UsageError
from crosscheck.tools.reading import json_of
from crosscheck.tools.words import named, shown

__all__ = [
    "Expected",
    "accept",
    "alike",
    "apart",
    "comparable",
    "read_expected",
    "unexpected",
    "write_expected",
]

_WHAT = "expected divergences, as 'crosscheck conventions --accept' writes them"


@dataclass(frozen=True)
class Expected:
    """One divergence that is known.

    Attributes:
        framework: Whose.
        kind: See `crosscheck.studies.conventions.divergences`.
        unit: Of which unit.
        formulation: In which formulation.
        seen: The evidence: a cell of the table that shows it, or the cells that contradict
            each other.
        versions: Of the framework in which it was first seen.
        date: When that was, as in 2026-01-31.
    """

    framework: str
    kind: str
    unit: str
    formulation: str
    seen: str
    versions: str
    date: str

    @property
    def identity(self) -> tuple[str, str, str, str]:
        """What tells it from the others."""
        return (self.framework, self.kind, self.unit, self.formulation)

    def __str__(self) -> str:
        unit = "" if self.unit == "relu" else f"{self.unit} as "
        return f"{self.framework} {unit}{self.formulation}: {self.kind} ({self.seen})"


def _described(divergence: Divergence, table: Table, date: str) -> Expected:
    first = divergence.sightings[0]
    shown = [first]
    if divergence.kind in ("modes", "dtypes"):
        shown.append(divergence.sightings[1])
    seen = "; ".join(
        f"{each.key.mode}, {each.key.dtype} at {each.point}: "
        f"{table.rows[each.key].cells[each.point]}"
        for each in shown
    )
    return Expected(
        divergence.framework,
        divergence.kind,
        divergence.unit,
        divergence.formulation,
        seen,
        table.rows[first.key].versions,
        date,
    )


def accept(
    table: Table, before: Sequence[Expected] = (), date: datetime.date | None = None
) -> list[Expected]:
    """The divergences of ``table`` as expected ones; those known before keep version and date.

    Known differences between modes stay where the table cannot tell: where some modes of the
    formulation were measured with another version than the others.

    Args:
        table: A whole table.
        before: What was expected until now.
        date: Of the new ones; today by default.
    """
    day = (date or datetime.datetime.now(datetime.UTC).date()).isoformat()
    known = {each.identity: each for each in before}
    found = [
        known.get(each.identity) or _described(each, table, day) for each in divergences(table)
    ]
    seen = {each.identity for each in found}
    kept = [each for each in before if each.identity not in seen and _is_left_open(each, table)]
    places = {name: place for place, name in enumerate(table.frameworks)}
    return sorted(
        [*found, *kept], key=lambda each: (places[each.framework], KINDS.index(each.kind))
    )


def _is_left_open(each: Expected, table: Table) -> bool:
    """Whether a known difference between modes can no longer be seen, nor be said to be gone."""
    return each.kind == "modes" and table.is_mixed(each.framework, each.unit, each.formulation)


def unexpected(table: Table, expected: Sequence[Expected], measured: Table) -> list[str]:
    """A line for what is new among divergences and what is gone, alike ones in one.

    Args:
        table: The baseline with what was measured put in.
        expected: What is known.
        measured: What was measured; of the rest nothing is said.
    """
    new, gone = apart(table, expected, measured)
    return [
        *(f"not expected: {line}" for line, _ in alike(new)),
        *(
            f"expected and no longer there: {line}, seen in {one.versions} on {one.date}"
            for line, one in alike(gone, when=True)
        ),
    ]


def apart(
    table: Table, expected: Sequence[Expected], measured: Table
) -> tuple[list[Expected], list[Expected]]:
    """The divergences that are new, and the expected ones that are gone; see `unexpected`."""
    found = {each.identity: each for each in accept(table) if _is_measured(each, measured)}
    known = {each.identity: each for each in expected if _is_measured(each, measured)}
    new = [each for identity, each in found.items() if identity not in known]
    gone = [
        each
        for identity, each in known.items()
        if identity not in found and not _is_left_open(each, table)
    ]
    return new, gone


def alike(found: Sequence[Expected], *, when: bool = False) -> Iterator[tuple[str, Expected]]:
    """A line for those of one framework and kind, with the evidence of the first, and that one.

    Args:
        found: All of them.
        when: Whether only those are alike that were seen in one version, on one day.
    """
    groups: dict[tuple[str, ...], list[Expected]] = defaultdict(list)
    for each in found:
        seen = (each.versions, each.date) if when else ()
        groups[each.framework, each.kind, *seen].append(each)
    for members in groups.values():
        one = members[0]
        names = named_formulations([(each.unit, each.formulation) for each in members])
        first = "" if len(members) == 1 else f"of the first of {len(members)}, "
        yield f"{one.framework} {names}: {one.kind} ({first}{one.seen})", one


def comparable(
    before: Table, expected: Sequence[Expected], measured: Table
) -> tuple[Table, list[Expected], Table]:
    """A baseline, what is expected and what was measured, as far as they can be compared.

    Between two kinds of processor what depends on it is left out (`Table.anywhere`), and of what is
    expected the divergences that show nowhere else in the baseline.
    """
    if before.is_of_processor(measured):
        return before, list(expected), measured
    before, measured = before.anywhere(), measured.anywhere()
    seen = {each.identity for each in divergences(before)}
    return before, [each for each in expected if each.identity in seen], measured


def _is_measured(each: Expected, measured: Table) -> bool:
    return any(
        measured.should_have(Key(each.framework, each.unit, each.formulation, mode, ""))
        for mode in {key.mode for key in measured.rows}
    )


def read_expected(path: Path) -> list[Expected]:
    """The list stored at ``path``.

    Raises:
        UsageError: There is none, or the file holds something else.
    """
    wanted = f"wanted {_WHAT}"
    stored = json_of(path, name="a list of divergences", instead=wanted, missing=f"; {wanted}")
    try:
        if not isinstance(stored, list):
            raise TypeError("no list")
        return [_parsed(each) for each in stored]
    except (TypeError, ValueError) as error:
        raise UsageError(f"{shown(str(path))}: {wanted} ({named(error, 120)})") from None


def _parsed(stored: Mapping[str, str]) -> Expected:
    found = Expected(**stored)
    if not all(isinstance(value, str) for value in asdict(found).values()):
        raise TypeError("a value is no text")
    return found


def write_expected(expected: Sequence[Expected], path: Path) -> None:
    """Store the list at ``path``, one divergence a line.

    Raises:
        UsageError: The file cannot be written.
    """
    lines = ",\n".join(f" {json.dumps(asdict(each), ensure_ascii=False)}" for each in expected)
    write_text_atomically(path, f"[\n{lines}\n]\n")
