"""What is different between two measurements: the alarm.

On the processor of the record, a row of the same inputs has to be the same. Where fewer inputs were
tried, the worst ones of the record among them, the largest error has to be that of the record.

Vectors of another processor may round differently, and verdicts say "nearest row" there. So there
a departure that is not in the record is a change, and an error beyond the N of the record is told,
but no change (`beyond`).

A new release of a library may err by other amounts in a hundred rows. Those of one kind (a larger
error, results that vanish) are a `Group`: functions × modes × dtypes, with every row in it, and in
its line the figures of the row that changed most.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from crosscheck.numbers.accuracy import Key, Record, Row, roundings
from crosscheck.studies.accuracy.departures import kinds
from crosscheck.tools.grouping import products

__all__ = ["Change", "Group", "beyond", "changes", "groups", "is_measured"]


@dataclass(frozen=True)
class Change:
    """One row that differs in one respect.

    Attributes:
        key: Of the row.
        kind: In which: "larger error", "gone".
        told: The figures, before and after.
        size: How much it matters among changes of its kind.
    """

    key: Key
    kind: str
    told: str
    size: float = 0.0

    def __str__(self) -> str:
        return f"{self.key}: {self.told}"


@dataclass(frozen=True)
class Group:
    """Changes of one kind in one framework: functions × modes × dtypes.

    Attributes:
        framework: Whose.
        kind: As of a change.
        functions: Functions and derivatives, with the formulation where it is not the usual one.
        modes: How they are run and differentiated.
        dtypes: The dtypes.
        members: All of the changes.
    """

    framework: str
    kind: str
    functions: tuple[str, ...]
    modes: tuple[str, ...]
    dtypes: tuple[str, ...]
    members: tuple[Change, ...]

    def __str__(self) -> str:
        if len(self.members) == 1:
            return str(self.members[0])
        of = ", ".join(self.functions)
        where = f"{', '.join(self.modes)}; {', '.join(self.dtypes)}"
        most = max(self.members, key=lambda change: change.size)
        worst = f"{most.key.named} ({most.key.mode}, {most.key.dtype}) {most.told}"
        told = {change.told for change in self.members}
        most_of = f"most {worst}" if len(told) > 1 else most.told
        return f"{self.framework} {of}: {self.kind}; {where}; {most_of}"

    def as_json(self) -> dict[str, Any]:
        """The group as one object of JSON."""
        return {**asdict(self), "members": [str(each) for each in self.members]}


def groups(found: Iterable[Change]) -> list[Group]:
    """Changes as groups, in the order of the changes; each is in one of them."""
    rows: dict[tuple[str, str], dict[tuple[str, str, str], Change]] = defaultdict(dict)
    for each in found:
        row = each.key.named, each.key.mode, each.key.dtype
        rows[each.key.framework, each.kind][row] = each
    return [
        Group(
            framework,
            kind,
            functions,
            modes,
            dtypes,
            tuple(members[row] for row in product(functions, modes, dtypes)),
        )
        for (framework, kind), members in rows.items()
        for functions, modes, dtypes in products(members)
    ]


def changes(
    record: Record,
    new: Record,
    *,
    functions: Collection[str] | None = None,
    dtypes: Collection[str] | None = None,
) -> Iterator[Change]:
    """What differs, row by row.

    Args:
        record: The record.
        new: A later one, of some of its frameworks.
        functions: The functions that were measured again; all by default.
        dtypes: The dtypes likewise.
    """
    here = _is_same_processor(record, new)
    for key, row in new.by_key.items():
        before = record.by_key.get(key)
        if before is None:
            told = f"not in the record, now {_said(row)}"
            yield Change(key, "not in the record", told, row.error or 0.0)
            continue
        same = record.samples[key.dtype] == new.samples[key.dtype]
        yield from _differences(before, row, here=here, same=same)
    for key in record.by_key:
        if key not in new.by_key and is_measured(key, new, functions, dtypes):
            yield Change(key, "gone", "in the record, now gone")


def is_measured(
    key: Key,
    new: Record,
    functions: Collection[str] | None = None,
    dtypes: Collection[str] | None = None,
) -> bool:
    """Whether a row was to be measured for ``new``; arguments as of `changes`."""
    return (
        key.framework in new.versions
        and (functions is None or key.function in functions)
        and (dtypes is None or key.dtype in dtypes)
    )


def _said(row: Row) -> str:
    return f"UNSUPPORTED: {row.unsupported}" if row.unsupported else f"{row.error} roundings"


def _is_same_processor(record: Record, new: Record) -> bool:
    names = ("machine", "vectors", "processor")
    return all(record.environment.get(name) == new.environment.get(name) for name in names)


def _differences(before: Row, row: Row, *, here: bool, same: bool) -> Iterator[Change]:
    key, told = row.key, f"{_said(before)} -> {_said(row)}"
    if bool(before.unsupported) != bool(row.unsupported):
        yield Change(key, "no longer supported" if row.unsupported else "now supported", told)
    if before.error is None or row.error is None:
        return
    if not here:
        for departure in sorted(set(kinds(row)) - set(kinds(before))):
            told = f"{before.error} roundings -> {row.error}: {departure}, which was not there"
            yield Change(key, f"now {departure}", told, row.error)
        return
    if _digits(row.error) != _digits(before.error):
        at = ", ".join(map(str, row.at))
        told = f"{before.error} roundings -> {row.error} at {at}"
        kind = "larger error" if row.error > before.error else "smaller error"
        yield Change(key, kind, told, _ratio(before.error, row.error))
    for name in _WORDS:
        was, now = getattr(before, name), getattr(row, name)
        if (same and was != now) or (now > 0) > (was > 0):
            kind = f"{'more' if now > was else 'fewer'} results {_WORDS[name]}"
            told = f"{was:,} results {_WORDS[name]} -> {now:,}"
            yield Change(key, kind, told, abs(now - was))


def _ratio(one: float, other: float) -> float:
    """By which factor two errors differ, at least 1; infinite where one of them is 0."""
    small, large = sorted((one, other))
    return large / small if small else math.inf


def _digits(error: float) -> str:
    """Nine digits: of errors that agree so far float64 cannot tell which input is the worst."""
    return f"{error:.9g}"


def beyond(record: Record, new: Record) -> Iterator[str]:
    """A line for each error that is beyond the N of the record, on another processor than that."""
    if _is_same_processor(record, new):
        return
    for key, row in new.by_key.items():
        limit = roundings(
            key.framework,
            key.mode,
            key.function,
            key.order,
            key.dtype,
            formulation=key.formulation,
            record=record,
        )
        if limit is not None and row.error is not None and row.error > limit.count:
            yield f"{key}: {row.error} roundings, more than N = {float(limit.count):g}"


_WORDS = {
    "nonfinite": "infinite or NaN",
    "vanished": "that are 0",
    "misrounded": "not rounded correctly",
}
