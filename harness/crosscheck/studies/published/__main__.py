"""``python -m crosscheck.studies.published``: judge, and write the table and its page."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import click

_PACKAGES = ("jax", "torch", "equinox", "flax", "optax", "transformers")


@click.command()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default="reports",
    show_default=True,
    help="Of both files.",
)
@click.option("--model", "names", multiple=True, help="All if not given; then nothing is written.")
def main(folder: Path, names: tuple[str, ...]) -> None:
    """Judge models of installed packages, each as it is and with a planted fault."""
    from crosscheck.studies.published.measure import MODELS, measure
    from crosscheck.studies.published.page import page
    from crosscheck.tools.atomic import write_text_atomically

    rows = []
    for row in measure(iter(names or MODELS)):
        rows.append(row)
        click.echo(
            f"{row.name}: {row.kind or 'not read'}, certified {row.certified}, fault in "
            f"{row.planted or 'none'}, named {row.named or 'none'} {' '.join(row.unread)}"
        )
    if names:
        return
    versions = {name: metadata.version(name) for name in _PACKAGES}
    found = {"versions": versions, "models": [asdict(each) for each in rows]}
    write_text_atomically(folder / "models.json", json.dumps(found, indent=1) + "\n")
    write_text_atomically(folder / "models.md", page(rows, versions))


if __name__ == "__main__":
    main()
