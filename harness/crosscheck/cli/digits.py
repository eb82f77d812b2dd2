"""``crosscheck digits``."""

from __future__ import annotations

import os
from functools import partial

import click

from crosscheck.cli.isolation import Place, isolation_options
from crosscheck.cli.options import Checking, checking_options, names
from crosscheck.cli.session import Session
from crosscheck.network.composed import AnyCase
from crosscheck.numbers.formats import format_of
from crosscheck.run.events import RunStarted

__all__ = ["digits"]

_MLP = "mlp"


@click.command()
@click.option(
    "--model",
    type=click.Choice([_MLP, "cnn", "residual", "transformer", "recurrence"]),
    default=_MLP,
    show_default=True,
    help="What is trained; all but the first are checked step by step, uncompiled.",
)
@click.option("--seed", type=click.IntRange(0, 2**64 - 1), default=0, show_default=True)
@click.option(
    "--dtype",
    "dtypes",
    callback=names,
    default="float32",
    show_default=True,
    metavar="A,B",
    help="Of the trained network, a network each.",
)
@isolation_options
@checking_options
def digits(
    model: str,
    seed: int,
    dtypes: tuple[str, ...],
    checking: Checking,
    place: Place,
) -> int:
    """Cross-check a trained network on real data.

    Trains a network on scikit-learn's digits (1,797 images of 8 x 8 whole-number pixels, many of
    them zero) and checks its gradient: that of a small dense ReLU network on the whole data set;
    that of a CNN, a residual CNN, a transformer or a recurrence on a batch of images, each of
    its steps by itself.
    """
    from crosscheck.judge.certificates import BY_STEPS
    from crosscheck.run import crosscheck
    from crosscheck.run.environment import environment
    from crosscheck.workers.pool import ProcessExecutor

    for dtype in dtypes:
        format_of(dtype)
    by_steps = model != _MLP
    name = f"digits, {model}" if by_steps else "digits"
    # On another core, while the libraries are imported here: they ask how many threads they may
    # have, so not before the process has started that has one.
    pool = ProcessExecutor(1, deadline=None)
    try:
        pool.submit(os.getpid).result()
        training = [pool.submit(_trained, model, dtype, seed) for dtype in dtypes]
        session = Session(checking.reporting, place, by_steps=by_steps)
        cases = [(_told(name, each.result()), each.result()[0]) for each in training]
    finally:
        pool.shutdown(cancel_futures=True)
    chosen = ["--model", model] if by_steps else []
    words = ["crosscheck", "digits", *chosen, "--seed", str(seed), "--dtype", ",".join(dtypes)]
    started = RunStarted(
        command=session.command(words),
        profile="",
        seed=None,
        dtypes=dtypes,
        frameworks=session.states,
        environment=environment(session.frameworks, dtypes[0]),
        planned=len(cases),
    )
    return session.run(
        started,
        lambda checker: crosscheck.check_given(checker, cases),
        command=BY_STEPS if by_steps else "run",
    )


def _told(name: str, trained: tuple[AnyCase, float, int]) -> str:
    """What stands before a trained network's verdicts."""
    _, accuracy, steps = trained
    return f"{name}: {accuracy:.1%} right after {steps} steps"


def _trained(model: str, dtype: str, seed: int) -> tuple[AnyCase, float, int]:
    """A trained model as a case, the share of images that it has right, and the steps taken."""
    from crosscheck.studies.digits import train_digits
    from crosscheck.studies.training import train_model

    train = train_digits if model == _MLP else partial(train_model, model)
    found = train(dtype=dtype, seed=seed)
    return found.case, found.accuracy, found.steps
