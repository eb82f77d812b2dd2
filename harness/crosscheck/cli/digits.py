"""``crosscheck digits``."""

from __future__ import annotations

import os
from functools import partial

import click

from crosscheck.cli.isolation import Place, isolation_options
from crosscheck.cli.options import Checking, checking_options
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
@click.option("--dtype", default="float32", show_default=True, help="Of the trained network.")
@isolation_options
@checking_options
def digits(
    model: str,
    seed: int,
    dtype: str,
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

    format_of(dtype)
    by_steps = model != _MLP
    # On another core, while the libraries are imported here: they ask how many threads they may
    # have, so not before the process has started that has one.
    pool = ProcessExecutor(1, deadline=None)
    try:
        pool.submit(os.getpid).result()
        training = pool.submit(_trained, model, dtype, seed)
        session = Session(checking, place, by_steps=by_steps)
        case, accuracy, steps = training.result()
    finally:
        pool.shutdown(cancel_futures=True)
    name = f"digits, {model}" if by_steps else "digits"
    label = f"{name}: {accuracy:.1%} right after {steps} steps"
    chosen = ["--model", model] if by_steps else []
    words = ["crosscheck", "digits", *chosen, "--seed", str(seed), "--dtype", dtype]
    started = RunStarted(
        command=session.command(words),
        profile="",
        seed=None,
        dtypes=(dtype,),
        frameworks=session.states,
        environment=environment(session.frameworks, dtype),
        planned=1,
    )
    return session.run(
        started,
        lambda checker: crosscheck.check_given(checker, [(label, case)]),
        command=BY_STEPS if by_steps else "run",
    )


def _trained(model: str, dtype: str, seed: int) -> tuple[AnyCase, float, int]:
    """A trained model as a case, the share of images that it has right, and the steps taken."""
    from crosscheck.studies.digits import train_digits
    from crosscheck.studies.training import train_model

    train = train_digits if model == _MLP else partial(train_model, model)
    found = train(dtype=dtype, seed=seed)
    return found.case, found.accuracy, found.steps
