"""A report that was written earlier, read back for Python and for notebooks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from crosscheck.report.document import Document
from crosscheck.report.json_ import KIND, laid_out
from crosscheck.report.plausible import require_plausible
from crosscheck.run.events import ExitCode
from crosscheck.run.records import RECORDS
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.sealed import bare

__all__ = ["Report"]

_NAME = "report.json"


@dataclass(frozen=True, eq=False)
class Report:
    """The report of a cross-check.

    In a notebook it shows its first screen: the result, and a line for each framework.

    Attributes:
        document: What ``report.json`` holds; `crosscheck.report.json_.schema` is its schema.
        folder: Where it was read from; a table of conventions is looked for there.
    """

    document: Mapping[str, Any]
    folder: Path = Path()

    @classmethod
    def read(cls, source: str | os.PathLike[str]) -> Report:
        """Read a report.

        Args:
            source: A ``report.json``, or a folder that holds one.

        Raises:
            UsageError: There is no such file, or it is no report of this version, or damaged, or
                what it says cannot be; see `crosscheck.report.plausible`.
        """
        path = Path(source)
        path = path / _NAME if path.is_dir() else path
        report = cls(KIND.read(path), path.parent)
        try:
            require_plausible(report.content)
        except ValueError as error:
            raise KIND.damaged(path, str(error)) from None
        return report

    @cached_property
    def content(self) -> Document:
        """The report as records."""
        return RECORDS.together(bare(self.document), Document)

    @property
    def passed(self) -> bool:
        """Whether the run ended with exit code 0."""
        return bool(self.document["run"]["exit_code"] == 0)

    @property
    def text(self) -> str:
        """What ``report.json`` holds."""
        return laid_out(self.document)

    def html(self) -> str:
        """The report as one HTML page."""
        from crosscheck.report.html import page
        from crosscheck.report.html.grid import find_table

        return page(self.document, find_table(self.folder))

    def save_html(self, path: str | os.PathLike[str]) -> None:
        """Write the page to a file.

        Raises:
            UsageError: The file cannot be written there.
        """
        write_text_atomically(path, self.html())

    def _repr_html_(self) -> str:
        from crosscheck.report.html import excerpt

        return excerpt(self.document)

    def __repr__(self) -> str:
        run = self.document["run"]
        word = ExitCode(run["exit_code"]).word
        return f"<Report {word}: {run['reason']}; {run['cases']:,} cases>"
