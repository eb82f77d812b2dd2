"""``crosscheck nightly``."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.cli.options import pairs
from crosscheck.cli.results import echo_json, result_options
from crosscheck.run.events import ExitCode

__all__ = ["nightly"]


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--job",
    "results",
    multiple=True,
    callback=pairs,
    metavar="NAME=RESULT",
    help="How a job of the workflow ended, e.g. newest=failure. One that failed is told even where "
    "it left nothing.",
)
@click.option("--run", "address", default="", metavar="URL", help="The address of the run.")
@result_options
def nightly(folder: Path, results: dict[str, str], address: str, as_json: bool) -> int:
    """Write the text of the nightly issue: what changed, what failed, and the run.

    FOLDER holds a folder for each job, with what the job left. Exits with 1 if there is anything
    to tell.

    \b
    Examples:
      crosscheck nightly found --job newest=failure
      crosscheck nightly found --job crosscheck=success -o issue.md
    """  # noqa: D301  (click wants the control character)
    from crosscheck.report.nightly import jobs, text

    found = jobs(folder)
    if as_json:
        echo_json(
            [
                {"job": job.name, "failed": list(job.failed)}
                | {"changed": {what: list(lines) for what, _, lines in job.changed}}
                for job in found
            ]
        )
    else:
        click.echo(text(found, results, address), nl=False)
    is_fine = all(job.is_fine for job in found) and {*results.values()} <= {"success"}
    return int(ExitCode.OK if is_fine else ExitCode.DISAGREEMENT)
