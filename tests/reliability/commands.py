"""What comes of frameworks that misbehave, in each command: one word each, or what went wrong.

What ends its process or hangs has a command for itself, but in `run`, where each framework has a
process of its own. What only raises or returns something is there beside others of its kind, and so
is, but in `sweep`, what changes its process. Where one of several does not come out as it was to,
each is tried by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import misbehaving
import numpy as np

from crosscheck.cases.stream.families import Mix
from crosscheck.cases.stream.generate import block
from crosscheck.cases.stream.settings import Settings, Shape
from crosscheck.network.dense import Case, Network
from crosscheck.network.files import write_case
from crosscheck.workers.patience import patient
from reliability.ways import COMMANDS, DIES, HANGS, RAISES, WAYS

__all__ = ["Ended", "Place", "groups", "outcomes", "place", "program"]

_CASES, _SEED = 60, 28
_MIX = "uniform=1"
_SHAPE = ("--widths", "2,3,1", "--mix", _MIX)
_SILENT = "does not say so"
_NUMBERS = {name: number for number, name in enumerate(WAYS)}
_MODEST = [name for name in WAYS if name in RAISES or name.startswith("returns ")]
"""These do nothing to their process."""

_TEST = """
import misbehaving_frameworks as frameworks
import numpy as np

from crosscheck.network.dense import Case
from crosscheck.network.reference import gradients


class Given:
    def __init__(self, weights, biases, x, y):
        self.weights, self.biases, self.x, self.y = weights, biases, x, y


def right(weights, biases, x, y):
    with np.errstate(all="ignore"):
        return gradients(Case.of(weights, biases, x, y))


def function(way):
    def misbehaves(weights, biases, x, y):
        frameworks.calls[way] += 1
        if frameworks.WAYS[way][2] and frameworks.calls[way] != 3:
            return right(weights, biases, x, y)
        given = Given(weights, biases, x, y)
        return frameworks.misbehaved(way, lambda: right(weights, biases, x, y), given, np.True_)

    return misbehaves


def test_before(crosscheck):
    crosscheck(numpy=right)

"""
_MINE = """
def test_{number}(crosscheck):
    crosscheck(numpy=function({way!r}))

"""
_AFTER = """
def test_after(crosscheck):
    crosscheck(numpy=right)
"""


@dataclass(frozen=True)
class Ended:
    """How a command has ended.

    Attributes:
        code: Its exit code; minus the number of a signal; ``None`` if it had to be killed.
        out: What it wrote to the standard output.
        err: What it wrote to the standard error output.
    """

    code: int | None
    out: str
    err: str

    def __str__(self) -> str:
        last = (self.err.strip() or self.out.strip()).splitlines()[-1:] or [""]
        return f"it ended with {self.code}: {last[0][:200]}"


@dataclass(frozen=True)
class Place:
    """Where commands are run, with the package of frameworks.

    Attributes:
        folder: Has the cases ``bad.json`` and ``good.json`` and the baseline ``base``.
        environment: Of the commands.
        at: The number in x[0,0] of the one case of a sweep at which it happens.
    """

    folder: Path
    environment: Mapping[str, str]
    at: float

    def run(self, words: Sequence[str], *, seconds: float, **variables: str) -> Ended:
        """Run a command."""
        return _run(words, self.folder, {**self.environment, **variables}, seconds)


@contextmanager
def place() -> Iterator[Place]:
    """A `Place`, for as long as the block."""
    with tempfile.TemporaryDirectory(prefix="reliability-") as name:
        folder = Path(name)
        site = misbehaving.write(folder)
        path = os.pathsep.join([str(site), *filter(None, sys.path)])
        environment = {**os.environ, "PYTHONPATH": path}
        for variable in ("MISBEHAVES", "MISBEHAVES_AT", "PYTEST_ADDOPTS"):
            environment.pop(variable, None)
        write_case(_case(misbehaving.TRIGGER), folder / "bad.json")
        write_case(_case(1.0), folder / "good.json")
        settings = Settings((Shape(Network((2, 3, 1))),), _CASES, _SEED, Mix.parse(_MIX))
        cases = block(settings.shapes[0], _SEED, 0, settings.mix)
        numbers = [float(cases.case(place).x[0, 0]) for place in range(_CASES)]
        at = next(each for each in numbers[_CASES // 2 :] if numbers.count(each) == 1)
        found = Place(folder, environment, at)
        names = ["misbehaves", *map(_name, WAYS)]
        # As all of them are when they behave.
        accepted = found.run([*_conventions(names), "--accept"], seconds=patient(300.0))
        if accepted.code:
            raise RuntimeError(f"no baseline: {accepted}")
        yield found


def _case(number: float) -> Case:
    weights = [np.array([[1.0, -2.0], [0.5, 1.0]]), np.array([[2.0, 3.0]])]
    return Case.of(weights, [[0.25, 1.0], [0.5]], [[number, 0.5]], [[1.0]])


def _name(way: str) -> str:
    return f"way{_NUMBERS[way]}"


def program(*words: str) -> list[str]:
    """The words that start a command."""
    return [sys.executable, "-m", "crosscheck", *words]


def groups(ways: Sequence[str], command: str) -> list[list[str]]:
    """Which of the ways are tried together in a command."""
    if command == "run":  # what hangs takes as long as its deadline, and so all of it at once
        return _cut(sorted(ways, key=lambda each: each not in HANGS), 8)
    ends = [way for way in ways if WAYS[way].wanted[command] in _ENDS or way in {**DIES, **HANGS}]
    modest = [way for way in ways if way in _MODEST and way not in ends]
    ends += [way for way in ways if way in _FIRST and way not in ends]
    modest = [way for way in modest if way not in ends]
    changes = [way for way in ways if way not in modest and way not in ends]
    some = 1 if command == "sweep" else 6
    return [*_cut(modest, 30), *_cut(changes, some), *_cut(ends, 1)]


def _cut(ways: Sequence[str], size: int) -> list[list[str]]:
    return [list(ways[first : first + size]) for first in range(0, len(ways), size)]


_FLUSHES = (
    "replaces subnormal numbers by zero",
    "returns what is wrong, and replaces subnormal numbers by zero",
)
_FIRST = (
    *_FLUSHES,
    "breaks json",
    *("empties the module path", "forgets modules"),
    *("closes the standard output", "closes the standard error output"),
)
"""After one of these others do not find what they need, or compute in another way."""
_ENDS = ("DIED", "HUNG", "INTERRUPTED")


def outcomes(where: Place, ways: Sequence[str], command: str) -> dict[str, str]:
    """What came of each way in a command: a word of `reliability.ways`, or a sentence.

    Args:
        where: Where it is run.
        ways: Of `groups`.
        command: Of `COMMANDS`.
    """
    with tempfile.TemporaryDirectory(dir=where.folder, prefix="report-") as name:
        found = _OUTCOMES[command](where, ways, Path(name))
    if len(ways) == 1:
        return found
    for way, outcome in found.items():
        if outcome != WAYS[way].wanted[command]:
            alone = outcomes(where, [way], command)[way]
            found[way] = outcome if alone == outcome else f"{alone} alone; with others {outcome}"
    return found


def _deadline(ways: Sequence[str]) -> list[str]:
    return ["--deadline", f"{patient(8.0):g}s"] if any(way in HANGS for way in ways) else []


def _of_run(where: Place, ways: Sequence[str], report: Path) -> dict[str, str]:
    words = program("run", "--case", "bad.json", "--case", "good.json", "--report", str(report))
    words += ["--frameworks", ",".join(["plain", *map(_name, ways)]), *_deadline(ways)]
    return _verdicts(where.run(words, seconds=patient(300.0)), report, ways, 2)


def _of_sweep(where: Place, ways: Sequence[str], report: Path, *more: str) -> dict[str, str]:
    words = program("sweep", "--cases", str(_CASES), "--seed", str(_SEED), *_SHAPE, *more)
    words += ["--frameworks", ",".join(["plain", *map(_name, ways)]), *_deadline(ways)]
    words += ["--report", str(report)]
    ended = where.run(words, seconds=patient(300.0), MISBEHAVES_AT=repr(where.at))
    return _verdicts(ended, report, ways, _CASES)


def _verdicts(ended: Ended, report: Path, ways: Sequence[str], cases: int) -> dict[str, str]:
    """For each way the verdict on the one case, if all else is as it should be."""
    try:
        content = json.loads((report / "report.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        return dict.fromkeys(ways, f"no report ({type(error).__name__}); {ended}")
    counts = {each["framework"]: each["counts"] for each in content["verdicts"]}
    found = {way: _verdict(content, counts, way, cases) for way in ways}
    fails = any(each != "AGREES" for each in found.values())
    if ended.code != int(fails):
        return {way: f"{ended}, with {outcome}" for way, outcome in found.items()}
    return found


def _verdict(
    content: Mapping[str, Any], counts: Mapping[str, Mapping[str, int]], way: str, cases: int
) -> str:
    expected, found = counts.get("plain", {}), counts.get(_name(way), {})
    fails = {kind for kind in found if kind not in expected}
    if sum(expected.values()) != cases or sum(found.values()) != cases:
        return f"of {cases} cases: plain {dict(expected)}, it {dict(found)}"
    if not fails:
        return "AGREES" if found == expected else f"plain {expected}, it {found}"
    if len(fails) > 1 or found[max(fails)] != 1:
        return f"{dict(found)}"
    (kind,) = fails
    details = [
        verdict["detail"]
        for case in content["cases"]
        for verdict in case["verdicts"]
        if (verdict["framework"], verdict["verdict"]) == (_name(way), kind)
    ]
    if not details or not all(each.startswith(WAYS[way].detail) for each in details):
        return f"{kind}, but it {_SILENT}: {details[:1]}"
    return kind


def _conventions(names: Sequence[str]) -> list[str]:
    words = ("--operators", "relu", "--jobs", "1", "--baseline", "base")
    return program("conventions", "--frameworks", ",".join(names), *words)


def _of_conventions(where: Place, ways: Sequence[str], report: Path) -> dict[str, str]:
    one = len(ways) == 1
    names = {way: "misbehaves" if one else _name(way) for way in ways}
    words = [*_conventions(list(names.values())), "--check", *_deadline(ways)]
    ended = where.run(words, seconds=patient(300.0), MISBEHAVES=ways[0] if one else "all")
    found = {way: _convention(ended, way, names[way]) for way in ways}
    fails = any(each != "SAME" for each in found.values())
    if ended.code != int(fails) or (not fails and f"of {2 * len(ways)} measured" not in ended.out):
        return {way: f"{ended}, with {outcome}" for way, outcome in found.items()}
    return found


def _convention(ended: Ended, way: str, name: str) -> str:
    lost = re.search(f"^{name} relu acts by hand float64: ([A-Z_]+): (.*)$", ended.err, re.M)
    if lost:
        said = lost[2].startswith(WAYS[way].detail)
        return lost[1] if said else f"{lost[1]}, but it {_SILENT}: {lost[2]}"
    lines = [each for each in ended.out.splitlines() if each.startswith(f"changed: {name} ")]
    # What flushes does so to all that is measured in its process.
    subjects = (" acts: ", " relu, acts: ") if way in _FLUSHES else (" acts: ",)
    if all(each.startswith(tuple(f"changed: {name}{one}" for one in subjects)) for each in lines):
        return "CHANGED" if lines else "SAME"
    return f"more has changed than that: {lines[:3]}"


def _of_pytest(where: Place, ways: Sequence[str], report: Path) -> dict[str, str]:
    mine = [_MINE.format(number=_NUMBERS[way], way=way) for way in ways]
    (report / "test_mine.py").write_text("".join([_TEST, *mine, _AFTER]))
    words = [sys.executable, "-m", "pytest", "-p", "no:xdist", "--color=no"]
    hangs = any(WAYS[way].wanted["pytest"] == "HUNG" for way in ways)
    seconds = patient(45.0 if hangs else 300.0)
    ended = _run([*words, "--crosscheck-profile", "quick"], report, where.environment, seconds)
    counts = {word: int(number) for number, word in _COUNTS.findall(ended.out)}
    if sum(counts.values()) == len(ways) + 2 and ended.code in (0, 1):
        return {way: _test(ended, counts, way) for way in ways}
    stopped = -signal.SIGINT, 2
    if ended.code in stopped and "KeyboardInterrupt" in ended.out and len(ways) == 1:
        return {ways[0]: "INTERRUPTED"}
    if ended.code == 1 and re.search(_OF_ITS_OWN, ended.err, re.M) and len(ways) == 1:
        return {ways[0]: "ERROR"}
    if ended.code is None and counts == {"passed": 3} and len(ways) == 1:
        return {ways[0]: "HUNG"}
    if ended.code == 0 or len(ways) > 1:
        return dict.fromkeys(ways, str(ended))
    after = _run([*words, "--collect-only"], report, where.environment, patient(120.0))
    (way,) = ways
    said = f"test_mine.py::test_{_NUMBERS[way]} asked numpy misbehaves for case " in after.out
    if not said:
        return {way: f"{ended}; the next session {_SILENT}"}
    return {way: "HUNG" if ended.code is None else "DIED"}


_OF_ITS_OWN = "^(TypeError: |ValueError: |lost sys.stderr)"
_COUNTS = re.compile(r"\b(\d+) (passed|failed)\b")


def _test(ended: Ended, counts: Mapping[str, int], way: str) -> str:
    """What is said of the test of one way, where all tests have come to their end."""
    failed = re.findall(r"^FAILED test_mine\.py::test_(\w+)", ended.out, re.M)
    if "before" in failed or "after" in failed or len(failed) != counts.get("failed", 0):
        return f"{ended}: failed are {failed}"
    if bool(failed) != bool(ended.code):
        return f"{ended}, and failed are {failed}"
    if str(_NUMBERS[way]) not in failed:
        return "PASSED"
    # What functions of users return is told in other words.
    said = any(each in ended.out for each in (WAYS[way].detail.split(": ")[0], " returned"))
    return "FAILED" if said else f"FAILED, but it {_SILENT}"


_OUTCOMES: Mapping[str, Callable[[Place, Sequence[str], Path], dict[str, str]]] = dict(
    zip(
        COMMANDS,
        (
            _of_run,
            _of_sweep,
            lambda where, ways, report: _of_sweep(where, ways, report, "--jobs", "2"),
            _of_conventions,
            _of_pytest,
        ),
        strict=True,
    )
)


def _run(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float
) -> Ended:
    """Run a command in a session of its own, and end what is left of that."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return Ended(code, _text(out), _text(err))


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read().decode("utf-8", "replace"))
