"""``python -m crosscheck.studies.published``: judge, and write the table and its page."""

from __future__ import annotations

import json
from dataclasses import asdict
from importlib import metadata
from pathlib import Path

import click

from crosscheck.tools.errors import require_known
from crosscheck.tools.options import names_option, report_option, run_program

_PACKAGES = ("jax", "torch", "equinox", "flax", "optax", "transformers")


@click.command("models")
@report_option("Folder of models.json and models.md.")
@names_option("--models", "names", (), "Only these; then nothing is written. Default: all.")
def main(report: Path, names: tuple[str, ...]) -> None:
    """Judge models of installed packages, each as it is and with a planted fault."""
    from crosscheck.studies.published.measure import MODELS, measure
    from crosscheck.studies.published.page import page
    from crosscheck.tools.atomic import write_text_atomically

    require_known("--models", names, MODELS)
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
    write_text_atomically(report / "models.json", json.dumps(found, indent=1) + "\n")
    write_text_atomically(report / "models.md", page(rows, versions))


if __name__ == "__main__":
    run_program(main)
