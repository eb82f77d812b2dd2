"""``python -m crosscheck.studies.adversary``: how near to its bound each rule is brought."""

from __future__ import annotations

from pathlib import Path

import click

from crosscheck.tools.options import run_program


@click.command("adversary")
@click.option("--tries", type=click.IntRange(min=1), default=1_000_000, show_default=True)
@click.option("--only", multiple=True, metavar="TEXT", help="Rules with TEXT in the name.")
@click.option("--seed", default=0, show_default=True)
@click.option(
    "--report",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Keep what is found in adversary.json there, and its page; what it holds already is not "
    "tried again.",
)
def main(tries: int, only: tuple[str, ...], seed: int, folder: Path | None) -> None:
    """Climb towards the largest error / bound of each rule; fails where one is above 1."""
    from crosscheck.studies.adversary.measure import NAMES, worst_of
    from crosscheck.studies.adversary.record import Record, read, versions, write

    now = versions()
    report = None if folder is None else folder / "adversary.json"
    record = Record({}) if report is None else read(report)
    outside = []
    for name in NAMES:
        if only and not any(text in name for text in only):
            continue
        kept = record.kept.get(name)
        if kept is None or kept.worst.tries < tries or not kept.is_current(seed, now):
            found = worst_of(name, tries=tries, seed=seed)
            if found.ratio <= 1.0 and report is not None:
                record = record.with_one(found, seed, now)
                write(report, record)
        else:
            found = kept.worst
        where = f"{found.form}{', flushing' if found.flush else ''}"
        click.echo(f"{name}: {found.ratio:.6f} in {found.tries:,} tries ({where})")
        outside += [name] if found.ratio > 1.0 else []
    raise SystemExit(1 if outside else 0)


if __name__ == "__main__":
    run_program(main)
