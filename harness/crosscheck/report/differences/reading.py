"""Which kind of file it is, and what differs between two of that kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from crosscheck.report.differences.difference import Difference
from crosscheck.report.differences.reports import of_reports
from crosscheck.report.differences.tables import of_accuracy, of_conventions, of_operators
from crosscheck.tools.errors import UsageError
from crosscheck.tools.reading import json_of
from crosscheck.tools.words import shown

__all__ = ["difference"]

_WANTED = (
    "wanted two reports (report.json, or its folder), or two tables of conventions, of accuracy or "
    "of operators"
)

_KINDS: Mapping[str, tuple[str, Callable[[Path, Path], Difference]]] = {
    "conventions": ("a table of conventions", of_conventions),
    "rows": ("a record of accuracy", of_accuracy),
    "cells": ("a table of operators", of_operators),
    "run": ("a report", of_reports),
}
"""A field that files of one kind have and the others have not, to their name and what compares."""


def difference(first: Path, second: Path) -> Difference:
    """What differs between two files.

    Args:
        first: A report, or its folder, or a table.
        second: Another of the same kind.

    Raises:
        UsageError: One cannot be read, is none of these, or they are of different kinds, or have
            nothing in common.
    """
    paths = [_file(each) for each in (first, second)]
    fields = [_field(path) for path in paths]
    if fields[0] != fields[1]:
        told = [f"{shown(str(p))} is {_KINDS[f][0]}" for p, f in zip(paths, fields, strict=True)]
        raise UsageError(f"{' and '.join(told)}; {_WANTED}")
    return _KINDS[fields[0]][1](*paths)


def _file(path: Path) -> Path:
    return path / "report.json" if path.is_dir() else path


def _field(path: Path) -> str:
    content: Any = json_of(
        path,
        most=2**28,
        most_values=2**23,
        name="a report or a table",
        instead=_WANTED,
        missing=f"; {_WANTED}",
    )
    names = [name for name in _KINDS if isinstance(content, dict) and name in content]
    if not names:
        raise UsageError(f"{shown(str(path))}: no report and no table; {_WANTED}")
    return names[0]
