"""``crosscheck diff``."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.cli.results import echo_json, result_options
from crosscheck.run.events import ExitCode

__all__ = ["diff"]

_FILE = click.Path(path_type=Path)


@click.command()
@click.argument("first", type=_FILE, metavar="A")
@click.argument("second", type=_FILE, metavar="B")
@result_options
def diff(first: Path, second: Path, as_json: bool) -> int:
    """Say what changed from A to B: two reports, or two tables of one kind.

    A report is a report.json or its folder; a table is a conventions.json, accuracy.json or
    operators.json. What changed alike is one line; with --json there are also the groups that the
    lines are of, from which every single change can be had. Exits with 1 if anything differs.

    \b
    Examples:
      crosscheck diff before/ reports/latest
      crosscheck diff reports/conventions.json new/conventions.json
      crosscheck diff reports/accuracy.json new/accuracy.json --json
    """  # noqa: D301  (click wants the control character)
    from crosscheck.report.differences import difference

    found = difference(first, second)
    if as_json:
        echo_json(found.as_json())
    else:
        for line in found.text():
            click.echo(line)
    return int(ExitCode.OK if found.same else ExitCode.DISAGREEMENT)
