"""``crosscheck report``."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.cli.options import DEFAULT_REPORT
from crosscheck.run.events import ExitCode

__all__ = ["report"]


@click.command()
@click.argument("source", type=click.Path(path_type=Path), default=DEFAULT_REPORT)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    metavar="FILE",
    help="Where to write the page; - for the standard output. Default: report.html beside the "
    "report.",
)
def report(source: Path, output: Path | None) -> int:
    """Make the HTML page of a report, as a run does at its end.

    SOURCE is a report.json or the folder that holds it (default: reports/latest). The page is
    one file that needs no network and no JavaScript.

    \b
    Examples:
      crosscheck report
      crosscheck report artifacts/report.json --output nightly.html
    """  # noqa: D301  (click wants the control character)
    from crosscheck.report.reading import Report

    found = Report.read(source)
    if output is not None and str(output) == "-":
        click.echo(found.html(), nl=False)
        return int(ExitCode.OK)
    output = output or found.folder / "report.html"
    found.save_html(output)
    click.echo(f"report: {output}")
    return int(ExitCode.OK)
