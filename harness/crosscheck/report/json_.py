"""The report for machines: ``report.json``, versioned, with a checksum, every float exact."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from crosscheck.report.document import Document, document_of
from crosscheck.run.events import Event
from crosscheck.run.records import RECORDS
from crosscheck.run.tally import Tally
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.sealed import FileKind

__all__ = ["KIND", "JsonReport", "as_text", "document", "schema"]

KIND = FileKind(
    "a report",
    version=4,
    instead="run 'crosscheck run' again",
    missing="; wanted a report.json, which 'crosscheck run' writes",
)


class JsonReport:
    """Writes ``report.json`` when the run has ended, in whatever way it did.

    Args:
        folder: Where to write it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "report.json"
        self._tally = Tally()

    def handle(self, event: Event) -> None:
        """Take the next event."""
        self._tally.add(event)

    def close(self) -> None:
        """Write the report, unless the run never came to its last event."""
        if self._tally.finished is not None:
            write_text_atomically(self._path, as_text(self._tally))


def as_text(tally: Tally) -> str:
    """What ``report.json`` holds."""
    return json.dumps(document(tally), indent=1, allow_nan=False) + "\n"


def document(tally: Tally) -> dict[str, Any]:
    """The report as what `json.dumps` takes."""
    return KIND.sealed(RECORDS.apart(document_of(tally)))


def schema() -> dict[str, Any]:
    """What JSON Schema (2020-12) says of ``report.json``."""
    return KIND.schema(RECORDS.schema(Document))
