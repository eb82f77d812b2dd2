"""``crosscheck digits``."""

from __future__ import annotations

import click

from crosscheck.cli.options import Checking, checking_options
from crosscheck.cli.session import Session
from crosscheck.numbers.formats import format_of
from crosscheck.run.events import RunStarted

__all__ = ["digits"]


@click.command()
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--dtype", default="float32", show_default=True, help="Of the trained network.")
@checking_options
def digits(
    seed: int,
    dtype: str,
    checking: Checking,
) -> int:
    """Cross-check a trained network on real data.

    Trains a small ReLU network on scikit-learn's digits (1,797 images of 8 x 8 whole-number
    pixels, many of them zero) and checks its gradient on the whole data set.
    """
    from crosscheck.run import crosscheck
    from crosscheck.run.environment import environment
    from crosscheck.studies.digits import train_digits

    format_of(dtype)
    session = Session(checking)
    trained = train_digits(dtype=dtype, seed=seed)
    case = trained.case
    label = f"digits: {trained.accuracy:.1%} right after {trained.steps} steps"
    words = ["crosscheck", "digits", "--seed", str(seed), "--dtype", dtype]
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
    )
