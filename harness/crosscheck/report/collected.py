"""One report of all that the tests of one run have cross-checked, in however many processes.

Every comparison is appended to a file of its process as soon as it is made, so that a process that
dies takes no other comparison with it. At the end one process reads all the files.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from crosscheck.frameworks.state import FrameworkState
from crosscheck.report import Sink, listening
from crosscheck.report.html import HtmlReport
from crosscheck.report.json_ import JsonReport
from crosscheck.report.summary import MarkdownSummary
from crosscheck.run.environment import environment
from crosscheck.run.events import (
    CaseChecked,
    Event,
    ExitCode,
    RunFinished,
    RunStarted,
    StackChecked,
)

__all__ = ["Collected", "append", "write_reports"]


@dataclass(frozen=True, eq=False)
class Collected:
    """One comparison in one test.

    Attributes:
        test: The test's node id.
        states: The implementations.
        events: What was checked.
        keys: Of the cases that were checked.
        passed: Whether every gradient is explained.
    """

    test: str
    states: tuple[FrameworkState, ...]
    events: tuple[Event, ...]
    keys: frozenset[str]
    passed: bool


def append(folder: Path, collected: Collected) -> None:
    """Add a comparison to this process's file in ``folder``."""
    with open(folder / f"{os.getpid()}.pickle", "ab") as file:
        pickle.dump(collected, file)


def write_reports(
    parts: Path,
    folder: Path,
    *,
    command: str,
    profile: str,
    seed: int,
    started: str,
    seconds: float,
) -> bool:
    """Write ``report.json``, ``summary.md`` and ``report.html`` of everything in ``parts``.

    Args:
        parts: The folder with the processes' files; only files of this run's own processes.
        folder: Where to write.
        command: The command line that repeats the run.
        profile: How long the tests searched.
        seed: Of the generated cases.
        started: When the run began, ISO 8601.
        seconds: How long it took.

    Returns:
        Whether there was anything to report. If not, nothing is written.
    """
    everything = sorted(_read(parts), key=lambda each: each.test)
    if not everything:
        return False
    states = list({state.name: state for each in everything for state in each.states}.values())
    sinks: Sequence[Sink] = (JsonReport(folder), HtmlReport(folder), MarkdownSummary(folder))
    passed = all(each.passed for each in everything)
    with listening(sinks) as emit:
        emit(
            RunStarted(
                command=command,
                profile=profile,
                seed=seed,
                dtypes=_dtypes(everything),
                frameworks=tuple(states),
                environment={**environment(), "started": started},
            )
        )
        for each in everything:
            for event in each.events:
                emit(_named(event, each.test))
        emit(
            RunFinished(
                exit_code=ExitCode.OK if passed else ExitCode.DISAGREEMENT,
                reason="every gradient is explained"
                if passed
                else "at least one implementation disagrees or raised an error",
                seconds=seconds,
                distinct=len(frozenset[str]().union(*(each.keys for each in everything))),
            )
        )
    return True


def _read(parts: Path) -> Iterator[Collected]:
    for path in sorted(parts.glob("*.pickle")):
        with open(path, "rb") as file:
            while True:
                try:
                    yield pickle.load(file)
                except (EOFError, pickle.UnpicklingError):  # the end, or where a process died
                    break


def _dtypes(everything: Sequence[Collected]) -> tuple[str, ...]:
    found = [
        event.dtype
        for each in everything
        for event in each.events
        if isinstance(event, StackChecked)
    ]
    return tuple(dict.fromkeys(found))


def _named(event: Event, test: str) -> Event:
    if isinstance(event, CaseChecked):
        return replace(event, label=f"{test}, {event.label}")
    return event
