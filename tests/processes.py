"""Processes that tests start: none outlives its test, and none is waited for without end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from crosscheck.workers.patience import patient

__all__ = ["LIMIT", "ended", "interruptible", "is_running", "run", "started", "wait_until"]

LIMIT = patient(120.0)
"""Seconds after which what a test waits for is taken not to come: several times what the slowest
needs on a slow machine. CROSSCHECK_PATIENCE makes them more."""


def run(
    words: Sequence[str | Path], *, timeout: float = LIMIT, **options: Any
) -> subprocess.CompletedProcess[str]:
    """`subprocess.run` on text, with an end: a test whose process goes on fails and says why."""
    try:
        return subprocess.run(words, timeout=timeout, text=True, **options)
    except subprocess.TimeoutExpired as error:
        said = [_text(part)[-2000:] for part in (error.stdout, error.stderr)]
        pytest.fail("\n".join([f"{words[0]}: not done within {timeout:g} s; it said:", *said]))


@contextlib.contextmanager
def started(
    words: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """A process that is killed in the end, however the test ends; it hears interrupts."""
    environment = {**(os.environ if env is None else env), "PYTHONFAULTHANDLER": "1"}
    with interruptible():
        process = subprocess.Popen(words, env=environment, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def ended(process: subprocess.Popen[str], *, within: float = LIMIT) -> tuple[str, str]:
    """What the process writes until it ends; if it does not, the test fails with its stacks."""
    try:
        return process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # Python's faulthandler writes all stacks
        said = ["", ""]
        with contextlib.suppress(subprocess.TimeoutExpired):
            said = [part or "" for part in process.communicate(timeout=10)]
        pytest.fail("\n".join([f"not ended within {within:g} s; it said:", *said]))


def wait_until(
    condition: Callable[[], bool],
    process: subprocess.Popen[str] | None = None,
    *,
    within: float = LIMIT,
) -> None:
    """Wait for the condition, and fail if it does not come, or the process ends before it does."""
    end = time.monotonic() + within
    while not condition():
        if process is not None and process.poll() is not None and not condition():
            pytest.fail(f"ended with {process.returncode} too early: {ended(process)}")
        if time.monotonic() > end:
            if process is not None:
                ended(process, within=0.0)
            pytest.fail(f"waited {within:g} s in vain")
        time.sleep(0.02)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C is heard, here and in what is started here.

    A shell script starts its background jobs so that they ignore it, and what they start ignores
    it too: tests that are run in such a job would interrupt nothing.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def is_running(pid: int) -> bool:
    """Whether there is such a process, one that has ended and not been fetched aside."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.is_file() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def _text(said: str | bytes | None) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said or ""
