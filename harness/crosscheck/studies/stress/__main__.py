"""``python -m crosscheck.studies.stress``: judge records, count, and write the page."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.numbers.formats import WORKING
from crosscheck.tools.options import names_option, report_option, run_program

_FRAMEWORKS = ("torch", "tensorflow", "jax")


@click.command("stress")
@report_option("Folder of stress.json and stress.md.")
@click.option(
    "--records",
    type=click.IntRange(min=1),
    default=300_000,
    show_default=True,
    help="At least so many for each framework and dtype.",
)
@names_option("--frameworks", "frameworks", _FRAMEWORKS)
@names_option("--dtype", "dtypes", WORKING)
@click.option(
    "--cases", type=click.IntRange(min=1), default=512, show_default=True, help="In each stack."
)
@click.option("--seed", default=20261125, show_default=True)
@click.option("--page", is_flag=True, help="Only write the page from what was counted before.")
def main(
    report: Path,
    records: int,
    frameworks: tuple[str, ...],
    dtypes: tuple[str, ...],
    cases: int,
    seed: int,
    page: bool,
) -> None:
    """Hold every step of the eager frameworks to its own bounds, on numbers out of the way.

    What was counted before, of the same versions and seed, is kept and gone on with.
    """
    from crosscheck.frameworks.registry import open_frameworks
    from crosscheck.studies.stress.measure import Key, Tally, measure, read, write
    from crosscheck.studies.stress.page import page as text
    from crosscheck.tools.atomic import write_text_atomically

    opened, _ = open_frameworks(frameworks, {}, dict.fromkeys(frameworks, "eager"))
    versions = {each.name: dict(each.versions()) for each in opened}
    place = report / "stress.json"
    state = read(place, versions, seed)

    def after(key: Key, tally: Tally) -> None:
        write(place, state)
        click.echo(
            f"{' '.join(key)}: {tally.records:,} records, {tally.violations} violations", err=True
        )

    if not page:
        measure(opened, dtypes, state, records=records, after=after, cases=cases)
    write_text_atomically(report / "stress.md", text(state))
    failed = [key for key, tally in state.tallies.items() if tally.violations]
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    run_program(main)
