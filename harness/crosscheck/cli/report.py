"""``crosscheck report``."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.cli.options import DEFAULT_REPORT
from crosscheck.cli.results import file_option, json_option, printed_to
from crosscheck.run.events import ExitCode

__all__ = ["report"]


@click.command()
@click.argument("source", type=click.Path(path_type=Path), default=DEFAULT_REPORT)
@file_option(
    "Where to write the page; - for the standard output. Default: report.html beside the report."
)
@json_option
def report(source: Path, file: Path | None, as_json: bool) -> int:
    """Make the HTML page of a report, as a run does at its end.

    SOURCE is a report.json or the folder that holds it (default: reports/latest). The page is
    one file that needs no network and no JavaScript. With --json the report itself is printed,
    after its checksum was looked at.

    \b
    Examples:
      crosscheck report
      crosscheck report artifacts/report.json -o nightly.html
    """  # noqa: D301  (click wants the control character)
    from crosscheck.report.reading import Report

    found = Report.read(source)
    if as_json:
        with printed_to(file):
            click.echo(found.text, nl=False)
        return int(ExitCode.OK)
    if file is not None and str(file) == "-":
        click.echo(found.html(), nl=False)
        return int(ExitCode.OK)
    file = file or found.folder / "report.html"
    found.save_html(file)
    click.echo(f"report: {file}")
    return int(ExitCode.OK)
