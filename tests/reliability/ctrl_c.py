"""Ctrl-C at random moments: how long each command goes on after it."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from crosscheck.network.dense import Case
from crosscheck.network.files import write_case
from crosscheck.workers.patience import patient
from reliability.commands import program
from reliability.kills import left_behind
from reliability.rows import Found, Interrupt

__all__ = ["COMMANDS", "HEARD", "TIMES", "interrupted", "was_heard", "write_cases"]

HEARD = 2.0
"""Seconds after which a command is to have ended."""
TIMES = 2
_EARLIEST, _LATEST = 0.5, 10.0
"""Seconds between which Ctrl-C comes."""
_MEANT = {2: "interrupted", 1: "disagreement", 0: "it had ended", -2: "interrupted"}

_WHO = ("--frameworks", "plain")
_RUN = ("--seed", "7", "--report", "{}")
_LONG = ("--max-examples", "20000", *_RUN)
_SWEEP = program("sweep", "--cases", "1e8", "--widths", "4,8,1", *_RUN)
_FUNCTION = """
def softplus(z):
    import numpy as np
    return np.log1p(np.exp(z))

formulas = {"softplus": softplus}
"""


def _study(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"crosscheck.studies.{name}", "--report", "{}", *words]


COMMANDS: Mapping[str, Sequence[str]] = {
    "run": program("run", *_LONG, *_WHO),
    "run --in-process": program("run", *_LONG, *_WHO, "--in-process"),
    "run --profile nightly": program("run", "--profile", "nightly", *_RUN, *_WHO),
    "run, making failing cases small": program("run", *_LONG, "--frameworks", "wrong"),
    "run, a hundred kinks in one case (exact linear programs)": program(
        *("run", "--case", "kinks.json", "--case", "wide.json", *_RUN[2:], *_WHO)
    ),
    "run, a large case": program("run", "--case", "large.json", *_RUN[2:], *_WHO, "--in-process"),
    "explain, a large case (exact fractions)": program(
        "explain", "--case", "large.json", *_WHO, "--in-process"
    ),
    "explain --symbolic": program(
        "explain", "--case", "wide.json", "--symbolic", *_WHO, "--in-process"
    ),
    "sweep": [*_SWEEP, *_WHO],
    "sweep --in-process": [*_SWEEP, *_WHO, "--in-process"],
    "sweep --jobs": [*_SWEEP, *_WHO, "--jobs", "2"],
    "sweep --steps": [*_SWEEP, "--frameworks", "stepwise", "--steps"],
    "digits": program("digits", *_WHO, "--dtype", "float64,float32", "--report", "{}"),
    "conventions": program("conventions", "--frameworks", "numpy,sympy,jax"),
    "accuracy": program("accuracy", "--here", "{}", "--frameworks", "jax"),
    "precision": program("precision", "--frameworks", "plain"),
    "power": program("power", "--cases", "5000"),
    "doctor": program("doctor", "--frameworks", "jax"),
    "bench": program("bench"),
    "module": program("module", "torch.nn:TransformerEncoderLayer"),
    "operators": _study("operators", "--frameworks", "jax"),
    "stress": _study("stress", "--frameworks", "jax"),
    "alarms": [sys.executable, "-m", "crosscheck.studies.alarms", "--report", "{}"],
    "adversary": [sys.executable, "-m", "crosscheck.studies.adversary", "--report", "{}"],
}
"""Every command that takes long, and the places where its arithmetic is exact."""


def was_heard(each: Interrupt) -> bool:
    """Whether a command ended in time, and as it should."""
    return each.outcome in _MEANT.values() and each.seconds <= HEARD


def write_cases(folder: Path) -> None:
    """The files that the commands above are given."""
    rng = np.random.default_rng(7)

    def case(widths: Sequence[int], rows: int, kinks: bool) -> Case:
        weights = [
            rng.integers(-8, 8, (after, before)) / 4
            if kinks
            else rng.standard_normal((after, before))
            for before, after in itertools.pairwise(widths)
        ]
        x = np.zeros((rows, widths[0])) if kinks else rng.standard_normal((rows, widths[0]))
        biases = [np.zeros(after) for after in widths[1:]]
        return Case.of(weights, biases, x, np.ones((rows, widths[-1])))

    write_case(case((6, 50, 50, 1), 3, True), folder / "kinks.json")
    write_case(case((4, 12, 12, 2), 6, True), folder / "wide.json")
    write_case(case((48, 96, 96, 10), 32, False), folder / "large.json")


def interrupted(
    found: Found, folder: Path, environment: Mapping[str, str], after: Callable[[Interrupt], None]
) -> None:
    """Interrupt what was not interrupted before.

    Args:
        found: What was; changed.
        folder: Has the files of `write_cases`; for the folders of commands.
        environment: Of them.
        after: Called with each, to keep it.
    """
    known = {(each.command, each.number) for each in found.interrupts}
    for name, words in COMMANDS.items():
        for number in range(TIMES):
            if (name, number) not in known:
                draw = random.Random(f"{found.seed} {name} {number} Ctrl-C").random()
                moment = _EARLIEST + draw * (_LATEST - _EARLIEST)
                each = _one(name, number, words, moment, folder, environment)
                found.interrupts.append(each)
                after(each)


def _one(
    name: str,
    number: int,
    words: Sequence[str],
    moment: float,
    folder: Path,
    environment: Mapping[str, str],
) -> Interrupt:
    place, token = folder / uuid.uuid4().hex, uuid.uuid4().hex
    place.mkdir()
    with (folder / "said.txt").open("w+b") as said:
        process = subprocess.Popen(
            [word.replace("{}", str(place)) for word in words],
            cwd=folder,
            env={**environment, "RELIABILITY_TOKEN": token},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(moment)
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            code: int | None = None
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = process.wait(patient(60.0))
            seconds = time.monotonic() - began
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        last = said.read().decode("utf-8", "replace").strip().splitlines()[-1:]
    left = _left(token)
    outcome = "not heard" if code is None else _MEANT.get(code, f"{code}: {last}")
    if "Traceback" in str(last):
        outcome = f"{code}: {last}"
    if left:
        outcome = f"{left} processes are left behind"
    return Interrupt(name, number, round(moment, 2), round(seconds, 2), outcome)


def _left(token: str) -> int:
    """How many processes go on after the end of what has started them, a second after it."""
    end = time.monotonic() + patient(1.0)
    while processes := left_behind(token):
        if time.monotonic() > end:
            break
        time.sleep(0.02)
    for each in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    return len(processes)
