"""Running an examination in a process of its own, with a time limit for each step."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, TypeAlias

from crosscheck.doctor.probe import NO_COMPILATION

__all__ = ["Outcome", "Runner"]

Messages: TypeAlias = "queue.Queue[dict[str, Any] | None]"

_PROBE = "crosscheck.doctor.probe"
_PATIENCE = 5.0
"""Seconds that are waited for a process that was killed to fall silent: one that it started and
that has left its process group may hold its output open for ever."""
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
    plan: list[str] = field(default_factory=list)


class Runner:
    """Runs examinations, and ends whatever of them is still running when it is closed.

    Args:
        limit: Seconds that one step may take.
        compilation: Whether modes that wait for a compiler are tried.
    """

    def __init__(self, limit: float, *, compilation: bool = True) -> None:
        self.limit = limit
        self._options = () if compilation else (NO_COMPILATION,)
        self._alive: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._closed = False

    def run(self, name: str) -> Outcome:
        """Examine ``name``; after a crash or a hang, go on with the steps that are left.

        Nothing is started any more once this is closed.
        """
        outcome = Outcome()
        steps: list[str] = []
        while not self._closed:
            outcome.plan = plan = self._attempt(name, steps, outcome)
            done = {*outcome.found, *outcome.failed}
            steps = [step for step in plan if step not in done]
            if not steps or "import" in outcome.failed:
                break
        return outcome

    def _attempt(self, name: str, steps: list[str], outcome: Outcome) -> list[str]:
        """One process, until it is done, dies or hangs; returns the steps it had planned."""
        with (
            tempfile.TemporaryDirectory(prefix="crosscheck-", ignore_cleanup_errors=True) as folder,
            tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as words,
            self._watched(
                subprocess.Popen(
                    # -P: no module in the current folder may pass for a library.
                    [sys.executable, "-P", "-m", _PROBE, *self._options, name, *steps],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=words,
                    text=True,
                    encoding="utf-8",
                    env=_environment(folder),
                    start_new_session=True,
                )
            ) as (process, messages),
        ):
            return self._listen(process, messages, words, outcome)

    def _listen(
        self,
        process: subprocess.Popen[str],
        messages: Messages,
        words: IO[str],
        outcome: Outcome,
    ) -> list[str]:
        """Take down what the process says until it is done, dies or hangs."""
        plan: list[str] = ["import"]
        current = "import"
        while True:
            try:
                message = messages.get(timeout=self.limit)
            except queue.Empty:
                outcome.failed[current] = f"no answer within {self.limit:g} s"
                return plan
            if message is None:
                outcome.failed[current] = _death(process, words)
                return plan
            if "plan" in message:
                plan = message["plan"]
            elif "begin" in message:
                current = message["begin"]
            elif "fail" in message:
                outcome.failed[message["fail"]] = message["error"]
            elif "end" in message:
                outcome.found[message["end"]] = message["found"]
                outcome.seconds[message["end"]] = message["seconds"]
            else:
                return plan

    @contextlib.contextmanager
    def _watched(
        self, process: subprocess.Popen[str]
    ) -> Iterator[tuple[subprocess.Popen[str], Messages]]:
        """The process and what it says; it is ended afterwards, however far it is."""
        messages: Messages = queue.Queue()
        reader = threading.Thread(target=_read, args=(process, messages), daemon=True)
        reader.start()
        with self._lock:
            self._alive.add(process)
            if self._closed:
                _end(process)
        try:
            yield process, messages
        finally:
            _end(process)
            reader.join(timeout=_PATIENCE)
            with self._lock:
                self._alive.discard(process)

    def close(self) -> None:
        """End every process that is still running."""
        with self._lock:
            self._closed = True
            for process in self._alive:
                _end(process)


def _environment(folder: str) -> dict[str, str]:
    """This process's environment, with its module path, and a place for compiled code.

    What a compiler has kept from an earlier run would hide that it no longer works.
    """
    path = os.pathsep.join(filter(None, [os.getcwd() if "" in sys.path else "", *sys.path]))
    return {**os.environ, "PYTHONPATH": path, "TORCHINDUCTOR_CACHE_DIR": folder}


def _read(process: subprocess.Popen[str], messages: Messages) -> None:
    """Pass on every line as a message, then ``None``."""
    assert process.stdout is not None
    with contextlib.suppress(ValueError), process.stdout:  # a line that is no message
        for line in process.stdout:
            messages.put(json.loads(line))
    messages.put(None)


def _end(process: subprocess.Popen[str]) -> None:
    """Kill the process and all it started; they share a process group of its number."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _death(process: subprocess.Popen[str], words: IO[str]) -> str:
    """How a process ended that closed its output before it was done."""
    end = time.monotonic() + 5
    while process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    code = process.returncode
    if code is None:
        text = "closed its output and went on"
    elif code < 0:
        text = f"died of {signal.Signals(-code).name}"
    else:
        text = f"ended with exit code {code}"
    words.seek(0)
    last = [line.strip() for line in words.read().splitlines() if line.strip()][-_LAST_WORDS:]
    return f"{text}: {' / '.join(last)}"[:500] if last else text
