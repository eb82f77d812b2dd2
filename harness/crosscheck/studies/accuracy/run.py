"""A whole measurement, part by part; what is done is kept, and gone on with."""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

from crosscheck.frameworks.adapter import Adapter
from crosscheck.frameworks.registry import open_frameworks
from crosscheck.frameworks.state import FrameworkState
from crosscheck.numbers.accuracy import Record, read_record, write_record
from crosscheck.run.environment import processor_model
from crosscheck.studies.accuracy.measure import Source, measured, merged, parts, sources
from crosscheck.studies.accuracy.points import Settings, samples
from crosscheck.tools.processor import processor

__all__ = ["empty", "measure", "opened"]


def opened(names: Sequence[str] | None) -> tuple[list[Source], list[FrameworkState]]:
    """The frameworks whose functions can be measured, and the states of all asked for.

    Raises:
        UsageError: One is unknown, or was asked for and is absent.
    """
    frameworks, states = open_frameworks(names)
    versions = {
        state.name: ", ".join(f"{package} {version}" for package, version in state.versions.items())
        for state in states
    }
    adapters = [each for each in frameworks if isinstance(each, Adapter)]
    return sources(adapters, versions), states


def empty(found: Sequence[Source], settings: Settings, date: str) -> Record:
    """A record without rows, of this machine."""
    environment = {
        "date": date,
        "python": platform.python_version(),
        "processor": processor_model(),
        **processor(),
    }
    return Record({each.name: each.versions for each in found}, environment, samples(settings))


def measure(
    found: Sequence[Source],
    start: Record,
    settings: Settings,
    *,
    functions: Collection[str] | None = None,
    dtypes: Collection[str] | None = None,
    known: Record | None = None,
    keep: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Record:
    """All rows.

    Args:
        found: Whose.
        start: A record without rows, as `empty` makes it.
        settings: At which inputs.
        functions: Only these.
        dtypes: Only these.
        known: An earlier record, whose worst inputs are tried as well.
        keep: A file in which what is done is kept, and from which it is gone on with.
        progress: Is told how many parts are done, of how many in all.

    Raises:
        UsageError: No such function or dtype; or what is kept is damaged.
    """
    wanted = parts(functions, dtypes)
    record, done = start, set[tuple[str, str]]()
    if keep is not None and keep.is_file():
        kept = read_record(keep)
        if replace(kept, rows=(), environment=start.environment) == start and _is_like(kept, start):
            record = kept
            done = {(row.key.function, row.key.dtype) for row in kept.rows}
    for number, (function, dtype) in enumerate(wanted):
        if (function, dtype) not in done:
            also = [] if known is None else _worst(known, function, dtype)
            rows = measured(found, function, dtype, settings, also)
            record = merged(record, rows)
            if keep is not None:
                write_record(record, keep)
        if progress is not None:
            progress(number + 1, len(wanted))
    return record


def _is_like(one: Record, other: Record) -> bool:
    """Whether two records are of one machine."""
    return all(
        one.environment.get(name) == value
        for name, value in other.environment.items()
        if name != "date"
    )


def _worst(known: Record, function: str, dtype: str) -> list[tuple[float, ...]]:
    if known.samples[dtype].is_all:
        return []
    return [
        at
        for row in known.rows
        if (row.key.function, row.key.dtype) == (function, dtype)
        for at in (row.at, row.nonfinite_at, row.vanished_at)
        if at
    ]
