"""What is different between two measurements: the alarm.

On the processor of the record, a row of the same inputs has to be the same. Where fewer inputs were
tried, the worst ones of the record among them, the largest error has to be that of the record.

Vectors of another processor may round differently, and verdicts say "nearest row" there. So there
a departure that is not in the record is a change, and an error beyond the N of the record is told,
but no change (`beyond`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from crosscheck.numbers.accuracy import Key, Record, Row, roundings
from crosscheck.studies.accuracy.departures import kinds

__all__ = ["beyond", "changes", "is_measured"]


def changes(
    record: Record,
    new: Record,
    *,
    functions: Collection[str] | None = None,
    dtypes: Collection[str] | None = None,
) -> Iterator[str]:
    """A line for each row that differs.

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
            yield f"{key}: not in the record, now {_said(row)}"
            continue
        same = record.samples[key.dtype] == new.samples[key.dtype]
        for what in _differences(before, row, here=here, same=same):
            yield f"{key}: {what}"
    for key in record.by_key:
        if key not in new.by_key and is_measured(key, new, functions, dtypes):
            yield f"{key}: in the record, now gone"


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


def _differences(before: Row, row: Row, *, here: bool, same: bool) -> Iterator[str]:
    if bool(before.unsupported) != bool(row.unsupported):
        yield f"{_said(before)} -> {_said(row)}"
    if before.error is None or row.error is None:
        return
    if not here:
        for kind in set(kinds(row)) - set(kinds(before)):
            yield f"{before.error} roundings -> {row.error}: {kind}, which was not there"
        return
    if _digits(row.error) != _digits(before.error):
        at = ", ".join(map(str, row.at))
        yield f"{before.error} roundings -> {row.error} at {at}"
    for name in _WORDS:
        was, now = getattr(before, name), getattr(row, name)
        if (same and was != now) or (now > 0) > (was > 0):
            yield f"{was:,} results {_WORDS[name]} -> {now:,}"


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
