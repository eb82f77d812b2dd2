"""What the programs of departures print, measured once, when a record is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crosscheck.numbers.accuracy import Record, Shown
from crosscheck.studies.accuracy.departures import departures
from crosscheck.studies.accuracy.findings import line
from crosscheck.studies.accuracy.measure import Source, quietly
from crosscheck.studies.conventions.measure import LONG

__all__ = ["with_shown"]


def with_shown(record: Record, found: Sequence[Source]) -> Record:
    """The record with what the programs of its departures print.

    Args:
        record: As measured.
        found: The frameworks; departures of others keep what they have.
    """
    adapters = {each.name: each.adapter for each in found}
    shown = [each for each in record.shown if each.key.framework not in adapters]
    for each in departures(record):
        if each.framework in adapters:
            key = each.face.key
            run = line(each).measure(key.function, key.formulation, key.mode)
            pairs: set[tuple[float, float]] = set()
            with adapters[each.framework].context(), quietly("tensorflow"):
                for count in (1, LONG):
                    pairs |= set(zip(*run(key.dtype, [each.at[0]] * count), strict=True))
            shown.append(Shown(key, each.kind, tuple(sorted(pairs))))
    return replace(record, shown=tuple(shown))
