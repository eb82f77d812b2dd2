"""``crosscheck sweep --program``: many cases of a network of one's own, in stacks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from crosscheck.cli.options import Checking
from crosscheck.cli.session import Session
from crosscheck.cli.workers import Workers
from crosscheck.run.events import RunStarted

if TYPE_CHECKING:
    from crosscheck.network.composed import Composed
    from crosscheck.run.checker import Checker
    from crosscheck.run.sweep.stacks import Stacks

__all__ = ["stacks_of", "sweep_program"]


def stacks_of(
    case: Composed, checking: Checking, cases: int | None, seed: int, *, certified: bool
) -> Stacks:
    """The sweep of a network.

    Args:
        case: Its steps, shapes and dtype are kept, its numbers are not.
        checking: The frameworks.
        cases: How many; without end if ``None``.
        seed: Of the numbers.
        certified: Whether each step is certified too.
    """
    from crosscheck.run.sweep.stacks import Stacks

    return Stacks(
        Stacks.network_of(case),
        cases,
        seed,
        checking.frameworks or (),
        tuple(sorted(checking.formulations.items())),
        tuple(sorted(checking.modes.items())),
        checking.allow,
        certified,
    )


def sweep_program(
    session: Session, source: str, stacks: Stacks, workers: Workers, until: float | None
) -> int:
    """Check generated numbers for the network of a case file; the exit code.

    Args:
        session: The frameworks, and where the report goes.
        source: The file.
        stacks: What is in it, and what is drawn for it.
        workers: Who does the work.
        until: Seconds after which no more is begun, or counted; ``None`` for no end.
    """
    from crosscheck.run.environment import environment
    from crosscheck.run.sweep.checkpoint import made_with
    from crosscheck.run.sweep.stacks import take

    words = ["crosscheck", "sweep", "--program", source, "--seed", str(stacks.seed)]
    words += [] if stacks.cases is None else ["--cases", str(stacks.cases)]
    words += ["--steps"] if stacks.are_certified else []
    started = RunStarted(
        command=session.command(words),
        profile="",
        seed=stacks.seed,
        dtypes=(stacks.dtype,),
        frameworks=session.states,
        environment=environment(session.frameworks, stacks.dtype),
        planned=stacks.cases,
    )
    begun = time.monotonic()

    def is_over() -> bool:
        return until is not None and time.monotonic() - begun >= until

    def here(checker: Checker) -> None:
        for number in range(stacks.places):
            if is_over():
                break
            stacks.check(number, checker)
        checker.finish()

    def elsewhere(checker: Checker) -> None:
        versions = made_with(session.states, environment())
        with (
            workers.at_work(stacks, session.frameworks, versions) as results,
            contextlib.closing(results(0, None if until is None else begun + until)) as steps,
        ):
            for step in steps:
                if not take(checker, step) or is_over():
                    break

    work: Callable[[Checker], None] = elsewhere if workers.are_wanted else here
    return session.run(started, work, stacks.command)
