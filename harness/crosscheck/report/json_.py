"""The report for machines: ``report.json``, versioned, with a checksum, every float exact."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from crosscheck.report.counted import document_of
from crosscheck.report.document import Document
from crosscheck.run.events import Event
from crosscheck.run.records import RECORDS
from crosscheck.run.tally import Tally
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.sealed import FileKind

__all__ = ["KIND", "JsonPrinted", "JsonReport", "as_text", "document", "laid_out", "schema"]

KIND = FileKind(
    "a report",
    version=4,
    instead="run 'crosscheck run' again",
    missing="; wanted a report.json, which 'crosscheck run' writes",
)


_LEVELS = 6
"""How deep the file is laid out: a decision of a verdict of a case is one line, or a row of W."""

_ENCODER = json.JSONEncoder(allow_nan=False)


class JsonReport:
    """Writes ``report.json`` when the run has ended, in whatever way it did.

    Args:
        folder: Where to write it; nothing is written without one.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / "report.json"
        self._tally = Tally()

    def handle(self, event: Event) -> None:
        """Take the next event."""
        self._tally.add(event)

    @cached_property
    def text(self) -> str:
        """What the file holds; empty if the run never came to its last event."""
        return "" if self._tally.finished is None else as_text(self._tally)

    def close(self) -> None:
        """Write the report, unless the run never came to its last event."""
        if self._path is not None and self.text:
            write_text_atomically(self._path, self.text)


class JsonPrinted:
    """Prints ``report.json`` when the run has ended.

    Args:
        stored: What it holds.
    """

    def __init__(self, stored: JsonReport) -> None:
        self._stored = stored

    def handle(self, event: Event) -> None:
        """Nothing is shown of an event by itself."""

    def close(self) -> None:
        """Print it, unless the run never came to its last event."""
        sys.stdout.write(self._stored.text)


def as_text(tally: Tally) -> str:
    """What ``report.json`` holds."""
    return laid_out(document(tally))


def laid_out(content: Mapping[str, Any]) -> str:
    """A report as the file that holds it."""
    return _laid_out(content, _LEVELS, "") + "\n"


def _laid_out(data: Any, levels: int, indent: str) -> str:
    """JSON with what is in so many levels on lines of its own, and what is deeper on one line."""
    if not levels or not data or not isinstance(data, dict | list):
        return _ENCODER.encode(data)
    inner = f"{indent} "
    if isinstance(data, dict):
        each = [
            f"{_ENCODER.encode(name)}: {_laid_out(value, levels - 1, inner)}"
            for name, value in data.items()
        ]
    else:
        each = [_laid_out(value, levels - 1, inner) for value in data]
    first, last = "{}" if isinstance(data, dict) else "[]"
    return f"{first}\n{inner}" + f",\n{inner}".join(each) + f"\n{indent}{last}"


def document(tally: Tally) -> dict[str, Any]:
    """The report as what `json.dumps` takes."""
    return KIND.sealed(RECORDS.apart(document_of(tally)))


def schema() -> dict[str, Any]:
    """What JSON Schema (2020-12) says of ``report.json``."""
    return KIND.schema(RECORDS.schema(Document))
