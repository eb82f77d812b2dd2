"""How long whole commands take, and how much memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from crosscheck.cases.stream.settings import Shape
from crosscheck.network.dense import Network
from crosscheck.studies.bench.batches import Plan

__all__ = ["Growth", "StartUp", "measure_growth", "measure_start_up"]


@dataclass(frozen=True)
class StartUp:
    """How long a command takes to start and end.

    Attributes:
        command: What is typed.
        seconds: Wall-clock, one for each repeat.
    """

    command: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """In seconds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Growth:
    """What a sweep of some length takes.

    Attributes:
        command: What is typed.
        cases: How many are swept.
        seconds: Wall-clock, from the start of the command to its end.
        memory: Bytes of its largest process; 0 where the system does not say.
    """

    command: str
    cases: int
    seconds: float
    memory: int


def measure_growth(
    plan: Plan, lengths: Sequence[int], tell: Callable[[str], None] = lambda line: None
) -> list[Growth]:
    """How time and memory grow with the number of cases.

    Args:
        plan: Whose networks, dtypes and frameworks are swept. Of the network in the middle, in the
            first dtype, there are sweeps of all lengths; of the others, of the shortest.
        lengths: Numbers of cases.
        tell: Takes a line about each.
    """
    shapes = [Shape(Network(each), 1, dtype) for each in plan.shapes for dtype in plan.dtypes]
    middle = Shape(Network(plan.shapes[len(plan.shapes) // 2]), 1, plan.dtypes[0])
    found = []
    for shape in shapes:
        words = ["sweep", *shape.words(), "--frameworks", ",".join(plan.frameworks), "--cases"]
        # The first one fills the caches on disk: of what is compiled, and of files.
        for cases in (None, *(lengths if shape == middle else lengths[:1])):
            with tempfile.TemporaryDirectory() as place:
                options = [str(cases or 1), "--seed", str(plan.seed), "--report", place]
                seconds, memory = _run([*words, *options])
            if cases is None:
                continue
            found.append(
                Growth(" ".join(["crosscheck", *words, str(cases)]), cases, seconds, memory)
            )
            tell(f"{found[-1].command}: {seconds:.1f} s, {memory / 2**20:,.0f} MiB")
    return found


def _run(words: Sequence[str]) -> tuple[float, int]:
    """Seconds that a command takes, and bytes of its largest process.

    Linux counts what the calling process holds when it starts another as that one's. So this is to
    be called before frameworks are imported here.

    Raises:
        RuntimeError: It ends with an exit code that is not a sweep's.
    """
    program, memory = [sys.executable, "-m", "crosscheck", *words], 0
    with tempfile.TemporaryFile("w+", encoding="utf-8") as told:
        start = time.perf_counter()
        process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=told)
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            memory = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        code = process.wait()
        seconds = time.perf_counter() - start
        told.seek(0)
        if code not in (0, 1):  # 1 is a finding
            raise RuntimeError(f"{' '.join(words)}: exit code {code}; {told.read().strip()}")
    return seconds, memory


def measure_start_up(
    commands: Sequence[str], repeats: int, tell: Callable[[str], None] = lambda line: None
) -> list[StartUp]:
    """How long each command takes to show its help, and the package to be imported.

    Args:
        commands: Of ``crosscheck``; the empty one is that by itself.
        repeats: How often each is started.
        tell: Takes a line about each.
    """
    programs = {"import crosscheck": [sys.executable, "-c", "import crosscheck"]}
    for name in commands:
        words = ["crosscheck", *([name] if name else []), "--help"]
        programs[" ".join(words)] = [sys.executable, "-m", "crosscheck", *words[1:]]
    found = []
    for typed, program in programs.items():
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            subprocess.run(program, check=True, stdout=subprocess.DEVNULL)
            seconds.append(time.perf_counter() - start)
        found.append(StartUp(typed, tuple(seconds)))
        tell(f"{typed}: {found[-1].median:.2f} s")
    return found
