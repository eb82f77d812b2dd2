"""A tally that was read from a file, made one that counts on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crosscheck.run.tally import Tally

__all__ = ["taken_up"]


def taken_up(read: Tally) -> Tally:
    """A tally that goes on from what ``read`` holds, whose tables have no defaults."""
    tally = Tally()
    for name, value in vars(read).items():
        if isinstance(value, Mapping):
            _fill(getattr(tally, name), value)
        elif name != "kept":
            setattr(tally, name, value)
    for event in read.kept:
        tally.keep(event)  # which counts it among what is kept of its kind
    return tally


def _fill(table: Any, values: Mapping[Any, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping):
            _fill(table[key], value)
        else:
            table[key] = value
