"""Counting what comes of hostile files: resumed where it was ended, kept as JSON."""

from __future__ import annotations

import json
import resource
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.errors import UsageError
from hostile.targets import FORBIDDEN, TARGETS, Target, Untrue, one

__all__ = ["SECONDS", "Counts", "measure", "read", "tried", "write"]

SECONDS, MEGABYTES = 2.0, 1024
"""More than these are findings. Seconds are the process's own, whatever else the machine does."""

GROWN = 64
"""MiB by which a process that begins with more may grow: it has run tests of other things."""

_PATIENCE = 60
_LONGEST_COMPLAINT = 700
_KEPT = 20


@dataclass
class Counts:
    """What came of the files of a kind.

    Attributes:
        name: Of the kind.
        group: What it is counted with.
        files: How many there were.
        read: How many of them were read: what had been changed does not matter.
        refused: How many were refused in a line.
        findings: How many of something else.
        slowest: Seconds of processor time, of one file.
        largest: MiB of the process, at the most.
        kept: The first findings: the file's number, and what happened.
    """

    name: str
    group: str
    files: int = 0
    read: int = 0
    refused: int = 0
    findings: int = 0
    slowest: float = 0.0
    largest: int = 0
    kept: list[tuple[int, str]] = field(default_factory=list)

    def find(self, number: int, what: str) -> None:
        """Count a finding."""
        self.findings += 1
        self.kept = [*self.kept, (number, what)][:_KEPT]


class TooLong(BaseException):
    """A file takes a minute."""


@contextmanager
def limited() -> Iterator[None]:
    """Raises `TooLong` after a minute."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(_PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def tried(target: Target, content: bytes, folder: Path) -> tuple[str, str]:
    """What comes of a file: "read", "refused" or "found"; and why."""
    path = folder / target.name
    path.write_bytes(content)
    try:
        with limited():
            target.use(path)
    except UsageError as error:
        words = str(error)
        if FORBIDDEN.search(words) or "\n" in words or len(words) > _LONGEST_COMPLAINT:
            return "found", f"a complaint that is no short line: {words[:200]!r}"
        return "refused", words
    except Untrue as error:
        return "found", f"believed: {error}"
    except TooLong:
        return "found", f"more than {_PATIENCE} s"
    except BaseException as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        return "found", f"{type(error).__name__} at {place}: {str(error)[:200]!r}"
    return "read", ""


def measure(
    found: dict[str, Counts],
    wanted: dict[str, int],
    seed: int,
    after: Callable[[Counts], None],
    *,
    chunk: int = 1000,
) -> None:
    """Go on until of each kind there were as many as are wanted.

    Args:
        found: What there was before; changed.
        wanted: Kind to number of files.
        seed: Of the changes.
        after: Called after each chunk, to keep what was found.
        chunk: How many files that is.
    """
    begun = _peak()
    limit = MEGABYTES if begun < MEGABYTES else begun + GROWN
    with tempfile.TemporaryDirectory() as name:
        for kind, files in wanted.items():
            target = TARGETS[kind]
            counts = found.setdefault(kind, Counts(kind, target.group))
            while counts.files < files:
                for number in range(counts.files, min(counts.files + chunk, files)):
                    _count(counts, target, number, seed, Path(name), limit)
                after(counts)


def _count(
    counts: Counts, target: Target, number: int, seed: int, folder: Path, limit: int
) -> None:
    content = one(target, seed, number)
    if number == 0:
        tried(target, content, folder)  # what is imported and compiled first is not the file's
    begin, before = time.process_time(), _peak()
    outcome, why = tried(target, content, folder)
    seconds, peak = time.process_time() - begin, _peak()
    counts.files += 1
    counts.slowest = max(counts.slowest, round(seconds, 3))
    counts.largest = max(counts.largest, peak)
    if outcome == "found":
        counts.find(number, why)
    elif seconds > SECONDS:
        counts.find(number, f"{seconds:.1f} s")
    elif peak > max(before, limit):
        counts.find(number, f"{peak} MiB")
    else:
        setattr(counts, outcome, getattr(counts, outcome) + 1)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def read(path: Path, seed: int) -> dict[str, Counts]:
    """What was counted before with this seed."""
    if not path.is_file():
        return {}
    content = json.loads(path.read_text("utf-8"))
    if content["seed"] != seed:
        return {}
    return {each["name"]: Counts(**each) for each in content["kinds"]}


def write(path: Path, found: dict[str, Counts], seed: int) -> None:
    """Keep what was counted."""
    groups: dict[str, dict[str, int]] = {}
    for each in found.values():
        total = groups.setdefault(each.group, dict.fromkeys(_SUMS, 0))
        for name in _SUMS:
            total[name] += getattr(each, name)
    content: dict[str, Any] = {
        "seed": seed,
        "limits": {"seconds": SECONDS, "mebibytes": MEGABYTES},
        "groups": groups,
        "kinds": [asdict(each) for each in found.values()],
    }
    write_text_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


_SUMS: Sequence[str] = ("files", "read", "refused", "findings")
