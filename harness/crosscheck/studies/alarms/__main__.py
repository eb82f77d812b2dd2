"""``python -m crosscheck.studies.alarms``: judge right gradients, count, and write the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from crosscheck.numbers.formats import WORKING
from crosscheck.studies.alarms.catalogue import CATALOGUE
from crosscheck.tools.options import names_option, report_option, run_program


@click.command("alarms")
@report_option("Folder of alarms.json and ALARMS.md.")
@click.option(
    "--share", default=1.0, show_default=True, help="Of the cases; all are about 3 · 10⁷ gradients."
)
@names_option("--dtype", "dtypes", WORKING)
@click.option(
    "--only", multiple=True, metavar="TEXT", help="Of implementations with TEXT in the name."
)
@click.option("--again", is_flag=True, help="Count again what was counted before.")
@click.option(
    "--peers", default=0, show_default=True, metavar="N", help="And what peers say of N cases each."
)
@click.option("--page", is_flag=True, help="Only write the page from what was counted before.")
def main(
    report: Path,
    share: float,
    dtypes: tuple[str, ...],
    only: tuple[str, ...],
    again: bool,
    peers: int,
    page: bool,
) -> None:
    """Put right gradients to the verdicts, part by part; what was counted before is kept."""
    from crosscheck.studies.alarms.measure import Tally, measure, read, write
    from crosscheck.studies.alarms.others import measure_peers
    from crosscheck.studies.alarms.page import page as text
    from crosscheck.tools.atomic import write_text_atomically

    place = report / "alarms.json"
    counted, rates = read(place)
    if not page:
        from crosscheck.studies.alarms.installed import installed

        rights = [*CATALOGUE.values(), *installed()]
        rights = [one for one in rights if not only or any(word in one.name for word in only)]
        if again:
            names = {one.name for one in rights}
            wanted = set(dtypes)
            counted = {
                key: tally
                for key, tally in counted.items()
                if key[0] not in names or key[1] not in wanted
            }

        def after(tallies: dict[Any, Tally]) -> None:
            write(place, tallies, rates)
            done = list(tallies)[-1]
            click.echo(
                f"{sum(one.kinds.total() for one in tallies.values()):,} {done[1:]}", err=True
            )

        counted = measure(rights, dtypes, share=share, known=counted, after=after)
        if peers:
            rates = measure_peers(rights, peers)
        write(place, counted, rates)
    write_text_atomically(report / "ALARMS.md", text(counted, rates))
    alarms = [f"{key}: {alarm}" for key, tally in counted.items() for alarm in tally.alarms]
    for alarm in alarms:
        click.echo(alarm)
    raise SystemExit(1 if alarms else 0)


if __name__ == "__main__":
    run_program(main)
