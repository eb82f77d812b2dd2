"""``crosscheck sweep --program``: many cases of a network of one's own, in stacks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from crosscheck.cli.session import Session
from crosscheck.run.events import RunStarted

if TYPE_CHECKING:
    from crosscheck.network.composed import Composed

__all__ = ["sweep_program"]


def sweep_program(
    session: Session,
    source: str,
    case: Composed,
    *,
    cases: int | None,
    until: float | None,
    seed: int,
) -> int:
    """Check generated numbers for the network of a case file; the exit code.

    Args:
        session: The frameworks, and where the report goes.
        source: The file.
        case: What is in it: its steps, shapes and dtype are kept, its numbers are not.
        cases: How many; without end if ``None``.
        until: Seconds after which no stack is begun; ``None`` for no end.
        seed: Of the numbers.
    """
    from crosscheck.cases.composed import STACK, Plan, seeded_stack
    from crosscheck.run.checker import Checker
    from crosscheck.run.environment import environment

    shapes = case.shapes
    plan = Plan(
        case.steps,
        {name: shapes[name] for name in case.parameters},
        {name: shapes[name] for name in case.inputs},
    )
    words = ["crosscheck", "sweep", "--program", source, "--seed", str(seed)]
    words += [] if cases is None else ["--cases", str(cases)]
    started = RunStarted(
        command=session.command(words),
        profile="",
        seed=seed,
        dtypes=(case.dtype,),
        frameworks=session.states,
        environment=environment(session.frameworks, case.dtype),
        planned=cases,
    )

    def work(checker: Checker) -> None:
        begun, number, left = time.monotonic(), 0, cases
        while left is None or left > 0:
            if until is not None and time.monotonic() - begun >= until:
                break
            count = STACK if left is None else min(STACK, left)
            stack, part = seeded_stack(plan, seed, number, count, case.dtype)
            checker.check_stack(stack, part, f"stack {seed}:{number}")
            number += 1
            left = None if left is None else left - count
        checker.finish()

    return session.run(started, work)
