"""``python -m hostile``, with ``tests`` among the places where modules are."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from crosscheck.tools.options import names_option, report_option, run_program
from hostile.measure import Counts, measure, read, write
from hostile.targets import TARGETS, one


@click.command("hostile")
@report_option("Folder of reliability-files.json.")
@click.option("--cases", default=30_000, show_default=True, help="Of each kind of case file.")
@click.option("--others", default=2_000, show_default=True, help="Of each other kind of file.")
@names_option("--kinds", "kinds", tuple(TARGETS))
@click.option("--seed", default=20261130, show_default=True)
@click.option("--show", type=int, help="Write file number N of the kind to the standard output.")
def main(
    report: Path, cases: int, others: int, kinds: tuple[str, ...], seed: int, show: int | None
) -> None:
    """Put every reader to files that were tampered with; resumed if ended."""
    if show is not None:
        sys.stdout.buffer.write(one(TARGETS[kinds[0]], seed, show))
        return
    place = report / "reliability-files.json"
    found = read(place, seed)
    wanted = {name: cases if TARGETS[name].group == "cases" else others for name in kinds}

    def after(counts: Counts) -> None:
        write(place, found, seed)
        click.echo(
            f"{counts.name}: {counts.files:,} files, {counts.refused:,} refused, {counts.read:,} "
            f"read, {counts.findings:,} findings; {counts.slowest:.2f} s, {counts.largest} MiB",
            err=True,
        )

    measure(found, wanted, seed, after)
    for counts in found.values():
        for number, what in counts.kept:
            click.echo(f"{counts.name} {number}: {what}")
    raise SystemExit(1 if any(each.findings for each in found.values()) else 0)


if __name__ == "__main__":
    run_program(main)
