"""A report that was written earlier, read back for Python and for notebooks."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from crosscheck.report.json_ import SCHEMA_VERSION
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.errors import UsageError

__all__ = ["Report"]

_NAME = "report.json"


@dataclass(frozen=True, eq=False)
class Report:
    """The report of a cross-check.

    In a notebook it shows its first screen: the result, and a line for each framework.

    Attributes:
        document: What ``report.json`` holds; `crosscheck.report` ships its schema.
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
            UsageError: There is no such file, or it is no report of this version.
        """
        path = Path(source)
        path = path / _NAME if path.is_dir() else path
        try:
            document = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise UsageError(
                f"{path}: no such file; wanted a {_NAME}, which 'crosscheck run' writes"
            ) from None
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, json.JSONDecodeError) else "not JSON"
            raise UsageError(f"{path}: no report: {reason}; run 'crosscheck run' again") from None
        trouble = _trouble(document)
        if trouble:
            raise UsageError(f"{path}: {trouble}")
        return cls(document, path.parent)

    @property
    def passed(self) -> bool:
        """Whether the run ended with exit code 0."""
        return bool(self.document["run"]["exit_code"] == 0)

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
        word = "passed" if self.passed else "failed"
        return f"<Report {word}: {run['reason']}; {run['cases']:,} cases>"


def _trouble(document: Any) -> str:
    """What makes ``document`` no report, in a line; empty for a report."""
    if not isinstance(document, dict) or "schema_version" not in document:
        return f"JSON, but no report: no field schema_version; wanted a {_NAME} of 'crosscheck run'"
    version = document["schema_version"]
    if version != SCHEMA_VERSION:
        return (
            f"a report of version {version!r}, and this crosscheck reads version {SCHEMA_VERSION}; "
            "use the crosscheck that wrote it, or run 'crosscheck run' again"
        )
    import jsonschema

    schema = json.loads(resources.files("crosscheck.report").joinpath("schema.json").read_text())
    error = jsonschema.exceptions.best_match(
        jsonschema.Draft202012Validator(schema).iter_errors(document)
    )
    if error is None:
        return ""
    where = error.json_path.removeprefix("$").removeprefix(".") or "the report"
    what = " ".join(error.message.split())
    short = what if len(what) <= 120 else f"{what[:117]}…"
    return f"a damaged report: {where}: {short}; run 'crosscheck run' again"
