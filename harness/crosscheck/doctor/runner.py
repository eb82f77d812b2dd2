"""Running an examination in a process of its own, with a time limit for each step."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from crosscheck.doctor.probe import Answer, do
from crosscheck.workers.process import Worker, WorkerHung, WorkerLostError

__all__ = ["Outcome", "Runner"]

_IMPORT = "import"
_LAST_WORDS = 3
"""Lines of a process's error output that are kept when it dies."""


@dataclass
class Outcome:
    """What came of the steps.

    Attributes:
        found: Step to what it found.
        seconds: Step to its duration.
        failed: Step to what went wrong: an error that was raised, a crash, or a hang.
        plan: The steps in their order, those included that were not done because importing failed.
    """

    found: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    plan: list[str] = field(default_factory=lambda: [_IMPORT])


class Runner:
    """Runs examinations, and ends whatever of them is still running when it is closed.

    Args:
        limit: Seconds that one step may take.
        compilation: Whether modes that wait for a compiler are tried.
    """

    def __init__(self, limit: float, *, compilation: bool = True) -> None:
        self.limit, self._compilation = limit, compilation
        self._alive: set[Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, name: str) -> Outcome:
        """Examine ``name``; after a crash or a hang, go on with the steps that are left.

        Nothing is started any more once this is closed.
        """
        outcome = Outcome()
        while not self._closed and _IMPORT not in outcome.failed and _left(outcome):
            self._attempt(name, outcome)
        return outcome

    def _attempt(self, name: str, outcome: Outcome) -> None:
        """One process, until all is done, or it dies or hangs."""
        with self._worker() as (worker, words):
            step, done = "", {""}
            while not self._closed:
                try:
                    answer: Answer = worker.call(
                        do, name, step, self._compilation, deadline=self.limit
                    )
                except WorkerHung:
                    outcome.failed[step or _IMPORT] = f"no answer within {self.limit:g} s"
                    return
                except WorkerLostError as error:
                    outcome.failed[step or _IMPORT] = _death(error, words)
                    return
                done.add(step)
                outcome.plan = list(answer.plan)
                if answer.error:
                    outcome.failed[step] = answer.error
                elif step:
                    outcome.found[step], outcome.seconds[step] = answer.found, answer.seconds
                if _IMPORT in outcome.plan and _IMPORT not in done:
                    step = _IMPORT  # again in each process
                elif _IMPORT in outcome.failed or not (left := _left(outcome)):
                    return
                else:
                    step = left[0]

    @contextmanager
    def _worker(self) -> Iterator[tuple[Worker, IO[str]]]:
        """A process, and what it writes to its error output; it is ended with the block.

        It has a place of its own for compiled code: what a compiler has kept from an earlier run
        would hide that it no longer works.
        """
        with (
            tempfile.TemporaryDirectory(prefix="crosscheck-", ignore_cleanup_errors=True) as folder,
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words,
        ):
            environment = {"TORCHINDUCTOR_CACHE_DIR": folder}
            worker = Worker(environment=environment, errors=words)
            with self._lock:
                self._alive.add(worker)
                if self._closed:
                    worker.end(patience=0.0)
            try:
                yield worker, words
            finally:
                worker.end(patience=0.0)
                with self._lock:
                    self._alive.discard(worker)

    def close(self) -> None:
        """End every process that is still running."""
        with self._lock:
            self._closed = True
            for worker in self._alive:
                worker.end(patience=0.0)


def _left(outcome: Outcome) -> list[str]:
    """The steps that have not been done."""
    done = {*outcome.found, *outcome.failed}
    return [step for step in outcome.plan if step not in done]


def _death(error: WorkerLostError, words: IO[str]) -> str:
    """How a process ended before it was done, and the last that it wrote."""
    words.seek(0)
    said = words.read().partition("Fatal Python error")[0]  # the stack, which is nobody's words
    last = [line.strip() for line in said.splitlines() if line.strip()][-_LAST_WORDS:]
    text = f"the process {error.what}"
    return f"{text}: {' / '.join(last)}"[:500] if last else text
