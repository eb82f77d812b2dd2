"""Commands that are killed at random moments: nothing is half-written, and the result is the same.

Each command is run once to its end. Then it is started anew, gets SIGKILL at a random moment of the
time that this took, and is run again in the same folder: resumed, if it can be. What comes of it is
`SAME` if no file was cut off, no process was left behind, nothing of the one that was killed is
there in the end, and exit code and result are those of the undisturbed run.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crosscheck.workers.patience import patient
from reliability.commands import program
from reliability.rows import Found, Kill

__all__ = ["COMMANDS", "SAME", "Command", "Runs", "complaint", "killed", "left_behind"]

SAME = "the same"
_TOKEN = "RELIABILITY_TOKEN"
_WHO = ("--frameworks", "plain")


@dataclass(frozen=True)
class Command:
    """A command that takes some seconds.

    Attributes:
        words: What is typed; ``{}`` is its folder.
        kills: How often it is killed.
        resume: What is typed afterwards; the same, if nothing is said.
    """

    words: Sequence[str]
    kills: int
    resume: Sequence[str] | None = None


def _study(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"crosscheck.studies.{name}", "--report", "{}", *words]


_JAX = ("--frameworks", "jax", "--dtype", "float64")
_RUN = ("--seed", "7", *_WHO, "--report", "{}")
_SWEEP = program("sweep", "--cases", "150000", "--widths", "1,1", *_RUN)
_RESUME = program("sweep", "--resume", "--report", "{}")

COMMANDS: Mapping[str, Command] = {
    "run": Command(program("run", "--max-examples", "24", *_RUN), 9),
    "run --profile nightly": Command(
        program("run", "--profile", "nightly", "--max-examples", "40", *_RUN), 6
    ),
    "digits": Command(program("digits", *_WHO, "--dtype", "float64", "--report", "{}"), 6),
    "sweep": Command(_SWEEP, 8, _RESUME),
    "sweep --jobs": Command([*_SWEEP, "--jobs", "2"], 8, [*_RESUME, "--jobs", "2"]),
    "conventions": Command(
        program("conventions", "--accept", "--baseline", "{}", "--frameworks", "numpy,sympy"), 9
    ),
    "accuracy": Command(
        [
            *program("accuracy", "--here", "{}", "--frameworks", "jax"),
            "--function",
            "tanh,exp",
            "--dtype",
            "float16",
        ],
        4,
    ),
    "operators": Command(
        _study("operators", *_JAX, "--orders", "1", "--operators", "relu,abs"),
        1,
    ),
}
"""Fifty kills and more, over all commands that take long."""


def killed(
    found: Found, folder: Path, environment: Mapping[str, str], after: Callable[[Kill], None]
) -> None:
    """Kill what was not killed before.

    Args:
        found: What was; changed.
        folder: For the folders of commands.
        environment: Of them.
        after: Called with each, to keep it.
    """
    known = {(kill.command, kill.number) for kill in found.kills}
    for name, command in COMMANDS.items():
        numbers = [each for each in range(command.kills) if (name, each) not in known]
        if not numbers:
            continue
        undisturbed = Runs(name, command, folder, environment)
        for number in numbers:
            draw = random.Random(f"{found.seed} {name} {number}").random()
            found.kills.append(undisturbed.kill(number, draw))
            after(found.kills[-1])


class Runs:
    """A command that has come to its end once, and how long that took."""

    def __init__(
        self, name: str, command: Command, folder: Path, environment: Mapping[str, str]
    ) -> None:
        self._name, self._command = name, command
        self._folder, self._environment = folder, environment
        place = self._place()
        began = time.monotonic()
        code = self._run(command.words, place)
        self._seconds = time.monotonic() - began
        self._wanted = code, _result(place)

    def kill(self, number: int, draw: float) -> Kill:
        """Kill it at a share of the time that it takes."""
        place, token = self._place(), uuid.uuid4().hex
        after = draw * self._seconds
        with self._started(self._command.words, place, token) as process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(after)
            where = "it had ended" if process.poll() is not None else ""
            process.send_signal(signal.SIGKILL)
        outcome = complaint(place) or _behind(token)
        where = where or (_there(place) and "half-way") or "nothing was there"
        return Kill(self._name, number, round(after, 2), where, outcome or self._again(place))

    def _again(self, place: Path) -> str:
        """What comes of running it again."""
        resume = self._command.resume
        begun = resume is not None and (place / "sweep.json").is_file()
        code = self._run(resume if begun and resume is not None else self._command.words, place)
        left = [path.name for path in place.rglob(".crosscheck*")]
        if left:
            return f"{left} are left"
        return SAME if (code, _result(place)) == self._wanted else f"another result, {code}"

    def _place(self) -> Path:
        place = self._folder / uuid.uuid4().hex
        place.mkdir()
        return place

    def _run(self, words: Sequence[str], place: Path) -> int:
        with self._started(words, place, "") as process:
            return process.wait(patient(600.0))

    @contextlib.contextmanager
    def _started(
        self, words: Sequence[str], place: Path, token: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        given = [word.format(place) if word == "{}" else word for word in words]
        process = subprocess.Popen(
            given,
            cwd=self._folder,
            env={**self._environment, _TOKEN: token},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def _there(place: Path) -> bool:
    return any(not path.name.startswith(".") for path in place.iterdir())


def complaint(place: Path) -> str:
    """Which file of a folder was cut off; empty if none was."""
    for path in place.rglob("*"):
        if path.name.startswith(".") or not path.is_file():
            continue
        text = path.read_text("utf-8")
        if path.suffix == ".json":
            try:
                json.loads(text)
            except ValueError as error:
                return f"{path.name} is cut off: {error}"
        elif path.suffix == ".html" and not text.rstrip().endswith("</html>"):
            return f"{path.name} is cut off"
    return ""


def left_behind(token: str) -> list[int]:
    """The processes that have a token in their environment."""
    wanted = f"{_TOKEN}={token}".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
    return found


def _behind(token: str) -> str:
    """Complains of processes that go on although that which has started them was killed."""
    end = time.monotonic() + patient(10.0)
    while processes := left_behind(token):
        if time.monotonic() > end:
            for each in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            return f"{len(processes)} processes are left behind"
        time.sleep(0.05)
    return ""


_OF_TIME = {
    *("seconds", "checksum", "started", "blas", "workers", "workers_lost", "date", "command"),
}


def _result(place: Path) -> Any:
    """All JSON of a folder, without what depends on the time and on who did the work."""
    return {
        path.name: _timeless(json.loads(path.read_text("utf-8")))
        for path in sorted(place.glob("*.json"))
    }


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in _OF_TIME}
    return [_timeless(each) for each in value] if isinstance(value, list) else value
