"""What differs between two tables: of conventions, of accuracy, of operators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from crosscheck.numbers.accuracy import read_record
from crosscheck.report.differences.difference import Change, Difference, groups_of, versions_of
from crosscheck.studies.accuracy import drift as accuracy
from crosscheck.studies.conventions.drift import drift, lines
from crosscheck.studies.conventions.expected import accept, alike, apart, comparable
from crosscheck.studies.conventions.table import read_table
from crosscheck.studies.operators.measure import Cell, Table, stored
from crosscheck.tools.errors import UsageError

__all__ = ["of_accuracy", "of_conventions", "of_operators"]

_PROCESSOR = "of another processor: what depends on it is not compared"


def of_conventions(first: Path, second: Path) -> Difference:
    """What differs between two tables of conventions, in the frameworks and modes of both.

    A contradiction or departure that one has and the other has not is a line of its own.
    """
    old, new = read_table(first), read_table(second)
    here = old.is_of_processor(new)
    both = _both(old.frameworks, new.frameworks)
    versions = versions_of(
        *({name: table.versions_of(name) for name in table.frameworks} for table in (old, new))
    )
    old, _, new = comparable(old.part(both), (), new.part(both))
    found = drift(old, new)
    came, went = apart(old.updated(new), accept(old), new) if found else ([], [])
    said = [f"now: {line}" for line, _ in alike(came)]
    said += [f"no longer: {line}" for line, _ in alike(went)]
    return Difference(
        "conventions",
        versions,
        sum(1 for each in found for _ in each.changes()) + len(came) + len(went),
        len(new.rows),
        (*lines(found, new), *said),
        tuple(each.as_json() for each in found),
        () if here else (_PROCESSOR,),
    )


def of_accuracy(first: Path, second: Path) -> Difference:
    """What differs between two records of accuracy, in the frameworks of both."""
    old, new = read_record(first), read_record(second)
    both = _both(old.frameworks, new.frameworks)
    changes = [each for each in accuracy.changes(old, new) if each.key.framework in both]
    found = accuracy.groups(changes)
    elsewhere = tuple(f"another processor: {line}" for line in accuracy.beyond(old, new))
    return Difference(
        "accuracy",
        versions_of(old.versions, new.versions),
        len(changes),
        len(new.rows),
        tuple(map(str, found)),
        tuple(each.as_json() for each in found),
        elsewhere,
    )


def of_operators(first: Path, second: Path) -> Difference:
    """What differs between two tables of operators, in the frameworks of both."""
    old, new = stored(first), stored(second)
    both = _both(*([cell.framework for cell in table.cells] for table in (old, new)))
    changes = [each for each in _cells(old, new) if each.where[0] in both]
    found = groups_of(changes)
    return Difference(
        "operators",
        versions_of(old.versions, new.versions),
        len(changes),
        len(new.cells),
        tuple(map(str, found)),
        tuple(each.as_json() for each in found),
    )


def _cells(old: Table, new: Table) -> Iterator[Change]:
    before, after = ({cell.key: cell for cell in table.cells} for table in (old, new))
    for key in {**before, **after}:
        told = [_told(each.get(key)) for each in (before, after)]
        if told[0] != told[1]:
            operator, framework, mode, dtype, order = key
            where = framework, operator, mode, dtype, f"order {order}"
            yield Change("operator", where, *told)


def _told(cell: Cell | None) -> str:
    if cell is None:
        return "not judged"
    counts = ", ".join(f"{name} {count}" for name, count in sorted(cell.verdicts.items()))
    refused = "".join(f"; not {name}: {why}" for name, why in cell.refused.items())
    wrong = f" ({cell.wrong})" if cell.wrong else ""
    unsupported = f"UNSUPPORTED: {cell.unsupported}" if cell.unsupported else ""
    return unsupported or counts + wrong + refused


def _both(first: Iterable[str], second: Iterable[str]) -> list[str]:
    """The frameworks that are in both.

    Raises:
        UsageError: None is.
    """
    one, other = (list(dict.fromkeys(names)) for names in (first, second))
    both = [name for name in other if name in one]
    if not both:
        raise UsageError(
            f"no framework is in both: {', '.join(one)}, and {', '.join(other)}; wanted two of "
            "one framework"
        )
    return both
