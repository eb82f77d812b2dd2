"""``crosscheck module``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from crosscheck.cli.options import names
from crosscheck.run.events import ExitCode

__all__ = ["module"]


@click.command()
@click.argument("where", metavar="PKG:MODEL")
@click.option(
    "--input",
    "example_file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE.npz",
    help="Arrays by the names of the model's arguments; params.layer.w is a leaf of a tree.",
)
@click.option(
    "--loss", metavar="F", help="PKG:F, or F beside the model: a loss of what it returns."
)
@click.option("--wrt", callback=names, metavar="A,B", help="What it is differentiated by.")
@click.option("--dtype", metavar="D", help="Of the real numbers; by default the model's own.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write a page there, with the graph of operations.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def module(
    where: str,
    example_file: Path,
    loss: str | None,
    wrt: tuple[str, ...] | None,
    dtype: str | None,
    seed: int,
    report: Path | None,
    as_json: bool,
) -> int:
    """Check a whole model's gradients, operation by operation.

    The model is a JAX function, a pair of a function and its parameters, an object that is called
    and holds arrays, or something without arguments that makes one. Its gradients by parameters and
    real inputs are held to proved bounds, and so is each operation on the numbers that it had.

    \b
    Examples:
      crosscheck module my_models:net --input batch.npz
      crosscheck module my_models.py:net --input batch.npz --loss cross_entropy --report page
    """  # noqa: D301  (\b is click's, not Python's)
    from crosscheck.report.module import as_json_of, lines_of
    from crosscheck.run.modules.checking import check_model
    from crosscheck.run.modules.loading import ask, example

    asked = ask(where, example(example_file), loss=loss, wrt=wrt or (), dtype=dtype)
    outcome = check_model(asked, seed=seed, is_loss=loss is not None)
    if report is not None:
        from crosscheck.report.html import model_page
        from crosscheck.tools.atomic import write_text_atomically

        report.mkdir(parents=True, exist_ok=True)
        write_text_atomically(report / "module.html", model_page(outcome))
    if as_json:
        click.echo(json.dumps(as_json_of(outcome), indent=2))
    else:
        for line in lines_of(outcome):
            click.echo(line)
    if not outcome.passed:
        return int(ExitCode.DISAGREEMENT)
    return int(ExitCode.OK if outcome.certified else ExitCode.NOTHING_CHECKED)
