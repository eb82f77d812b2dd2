"""``python -m crosscheck.studies.adversary``: how near to its bound each rule is brought."""

from __future__ import annotations

import click


@click.command()
@click.option("--tries", type=click.IntRange(min=1), default=1_000_000, show_default=True)
@click.option("--only", multiple=True, metavar="TEXT", help="Rules with TEXT in the name.")
@click.option("--seed", default=0, show_default=True)
def main(tries: int, only: tuple[str, ...], seed: int) -> None:
    """Climb towards the largest error / bound of each rule; fails where one is above 1."""
    from crosscheck.studies.adversary.measure import NAMES, worst_of

    outside = []
    for name in NAMES:
        if only and not any(text in name for text in only):
            continue
        found = worst_of(name, tries=tries, seed=seed)
        where = f"{found.form}{', flushing' if found.flush else ''}"
        click.echo(f"{name}: {found.ratio:.6f} in {found.tries:,} tries ({where})")
        outside += [name] if found.ratio > 1.0 else []
    raise SystemExit(1 if outside else 0)


if __name__ == "__main__":
    main()
