"""``crosscheck digits``."""

from __future__ import annotations

import click

from crosscheck.cli.options import Checking, checking_options
from crosscheck.cli.session import Session
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
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--dtype", default="float32", show_default=True, help="Of the trained network.")
@checking_options
def digits(
    model: str,
    seed: int,
    dtype: str,
    checking: Checking,
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
    from crosscheck.studies.digits import train_digits
    from crosscheck.studies.training import train_model

    format_of(dtype)
    by_steps = model != _MLP
    session = Session(checking, by_steps=by_steps)
    trained = (
        train_model(model, dtype=dtype, seed=seed)
        if by_steps
        else train_digits(dtype=dtype, seed=seed)
    )
    case, name = trained.case, f"digits, {model}" if by_steps else "digits"
    label = f"{name}: {trained.accuracy:.1%} right after {trained.steps} steps"
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
