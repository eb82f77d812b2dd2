"""``FINDINGS.md``: what conventions, accuracy and second derivatives show, on one page."""

from __future__ import annotations

from pathlib import Path

from crosscheck.numbers.accuracy import RECORD, Record, read_record
from crosscheck.studies import second
from crosscheck.studies.accuracy import findings as accuracy
from crosscheck.studies.conventions import findings as conventions
from crosscheck.studies.conventions.baseline import FINDINGS, TABLE
from crosscheck.studies.conventions.measure import written
from crosscheck.studies.conventions.table import Table, read_table
from crosscheck.tools.atomic import write_text_atomically

__all__ = ["document", "write_findings"]


def document(table: Table | None, record: Record | None) -> str:
    """The page, of what there is of both."""
    parts = []
    if table is not None:
        parts.append(conventions.markdown(table, written()))
    if record is not None:
        parts.append(accuracy.markdown(record))
    if table is not None and record is not None:
        parts.append(second.markdown())
    return "\n".join(parts)


def write_findings(folder: Path) -> Path:
    """Write the page of the table and the record in a folder.

    Raises:
        UsageError: One of them is damaged, or the page cannot be written.
    """
    table, record = folder / TABLE, folder / RECORD
    path = folder / FINDINGS
    text = document(
        read_table(table) if table.is_file() else None,
        read_record(record) if record.is_file() else None,
    )
    write_text_atomically(path, text)
    return path
