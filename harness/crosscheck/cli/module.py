"""``crosscheck module``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from crosscheck.cli.options import names
from crosscheck.cli.results import echo_json, result_options
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
    metavar="FOLDER",
    help="Write a page there, with the graph of operations.",
)
@click.option(
    "--keras",
    type=click.Choice(["jax", "torch"]),
    default="jax",
    show_default=True,
    help="Backend of a Keras model, which is run in a process of its own.",
)
@result_options
def module(
    where: str,
    example_file: Path,
    loss: str | None,
    wrt: tuple[str, ...] | None,
    dtype: str | None,
    seed: int,
    report: Path | None,
    keras: str,
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
    from crosscheck.run.modules.keras_ import BackendError
    from crosscheck.run.modules.loading import ask, example

    try:
        asked = ask(where, example(example_file), loss=loss, wrt=wrt or (), dtype=dtype)
    except BackendError:
        if os.environ.get("KERAS_BACKEND") == keras:
            raise
        return _on_backend(keras, click.get_current_context())
    outcome = check_model(asked, seed=seed, is_loss=loss is not None)
    if report is not None:
        from crosscheck.report.html import model_page
        from crosscheck.tools.atomic import write_text_atomically

        report.mkdir(parents=True, exist_ok=True)
        write_text_atomically(report / "module.html", model_page(outcome))
    if as_json:
        echo_json(as_json_of(outcome))
    else:
        for line in lines_of(outcome):
            click.echo(line)
    if not outcome.passed:
        return int(ExitCode.DISAGREEMENT)
    return int(ExitCode.OK if outcome.certified else ExitCode.NOTHING_CHECKED)


def _on_backend(backend: str, context: click.Context) -> int:
    """The same command in a process of its own, in which Keras has another backend."""
    words = [str(context.params["where"])]
    for option in context.command.params:
        value = context.params.get(str(option.name))
        if not isinstance(option, click.Option) or value in (None, False) or option.name == "file":
            continue
        words.append(option.opts[0])
        if value is not True:
            words.append(",".join(value) if isinstance(value, tuple) else str(value))
    command = [sys.executable, "-m", "crosscheck", "module", *words]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, encoding="utf-8")
    click.echo(done.stdout, nl=False)  # to where this process prints
    return done.returncode
