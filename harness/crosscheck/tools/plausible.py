"""Whether what a file says can be: a checksum says that it is as it was written, not by whom.

A checksum without a key can be computed by whoever edits the file. So what is counted twice in a
file is compared, and what cannot be is not believed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Implausible", "negative", "require"]


class Implausible(ValueError):
    """What a file says cannot be; the message is a line that says where."""


def require(holds: bool, complaint: str) -> None:
    """Complain, if something does not hold.

    Raises:
        Implausible: It does not.
    """
    if not holds:
        raise Implausible(complaint)


def negative(record: Any, at: str = "") -> Iterable[str]:
    """The places of whole numbers below zero in a record, which has counts and indices alone.

    Args:
        record: Data classes, mappings, lists and tuples; of anything else nothing is looked at.
        at: Its own place.
    """
    if isinstance(record, int) and record < 0:
        yield at
    elif dataclasses.is_dataclass(record):
        for field in dataclasses.fields(record):
            yield from negative(getattr(record, field.name), f"{at}.{field.name}".lstrip("."))
    elif isinstance(record, Mapping):
        for key, value in record.items():
            yield from negative(value, f"{at}[{key!r}]" if at else str(key))
    elif isinstance(record, list | tuple):
        for index, value in enumerate(record):
            yield from negative(value, f"{at}[{index}]")
