"""Verdicts on storms: wide networks in which thousands of pre-activations are exactly zero.

What goes beyond the smooth verdict there, which slopes explain a gradient and whether it is a
generalised derivative, has budgets that are counted (`crosscheck.tools.budget`); this measures what
they come to. Each storm is judged in a process of its own, so that its memory is its own too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from crosscheck.judge.compare import Judge
from crosscheck.judge.door import Answer, judge
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.reference import gradients
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model

__all__ = ["GRADIENTS", "STORMS", "Storm", "measure_storms"]


@dataclass(frozen=True)
class Storm:
    """What one verdict takes.

    Attributes:
        name: A key of `STORMS`.
        gradient: A key of `GRADIENTS`.
        verdict: What it is.
        kinks: Gates that are open.
        validity: Whether the gradient is a generalised derivative, by block.
        seconds: Of the verdict alone.
        memory: Bytes of the process; 0 where the system does not say.
    """

    name: str
    gradient: str
    verdict: str
    kinks: int
    validity: Mapping[str, str]
    seconds: float
    memory: int


def _zero_weights(widths: tuple[int, ...], rows: int) -> Case:
    rng = np.random.default_rng(0)
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    return Case.of(
        [np.zeros(pair) for pair in pairs],
        [np.zeros(units) for units, _ in pairs],
        rng.standard_normal((rows, widths[0])),
        rng.standard_normal((rows, widths[-1])),
        dtype="float32",
    )


def _zero_rows(widths: tuple[int, ...], rows: int, zero: int) -> Case:
    rng = np.random.default_rng(0)
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    x = rng.standard_normal((rows, widths[0]))
    x[:zero] = 0.0
    return Case.of(
        [rng.standard_normal(pair) / np.sqrt(pair[1]) for pair in pairs],
        [np.zeros(units) for units, _ in pairs],
        x,
        rng.standard_normal((rows, widths[-1])),
        dtype="float32",
    )


def _small_numbers() -> Case:
    rng = np.random.default_rng([3, 42])
    widths, rows = (4, 2, 4, 6, 6), 5
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    weights = [rng.integers(-2, 3, pair).astype(float) for pair in pairs]
    biases = [rng.integers(-1, 2, units) * (rng.random() < 0.5) for units, _ in pairs]
    x, y = rng.integers(-2, 3, (rows, 4)), 3 * rng.standard_normal((rows, 6))
    return Case.of(weights, biases, x, y, output="identity")


STORMS: Mapping[str, Callable[[], Case]] = MappingProxyType(
    {
        "(64, 64, 1), 8 rows, all weights zero": lambda: _zero_weights((64, 64, 1), 8),
        "(64, 64, 64, 64, 64), 32 rows, all weights zero": lambda: _zero_weights((64,) * 5, 32),
        "(784, 512, 512, 10), zero biases, 2 of 4 rows zero": lambda: _zero_rows(
            (784, 512, 512, 10), 4, 2
        ),
        "(4, 2, 4, 6, 6), 5 rows, small whole numbers": _small_numbers,
    }
)
"""Cases by what they are."""


def _right(case: Case) -> Gradients:
    return gradients(case)


def _uniform(case: Case) -> Gradients:
    return gradients(case, kink_slope=0.5)


def _outside(case: Case) -> Gradients:
    return gradients(case, kink_slope=2.0)


def _wrong_input(case: Case) -> Gradients:
    right = gradients(case)
    return replace(right, x=right.x + 1.0)


GRADIENTS: Mapping[str, Callable[[Case], Gradients]] = MappingProxyType(
    {"λ = 0": _right, "λ = 1/2": _uniform, "λ = 2": _outside, "dJ/dx too large by 1": _wrong_input}
)
"""What is judged, right or wrong."""


def measure_storms(tell: Callable[[str], None] = lambda line: None) -> list[Storm]:
    """The time and memory of a verdict on each storm and gradient.

    Args:
        tell: Takes a line about each.
    """
    found = []
    for name in STORMS:
        for gradient in GRADIENTS:
            words = [sys.executable, "-m", "crosscheck.studies.bench.storms", name, gradient]
            said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
            found.append(storm := Storm(**json.loads(said)))
            told = f"{storm.seconds:.1f} s, {storm.memory / 2**20:,.0f} MiB"
            tell(f"{name}, {gradient}: {storm.verdict}, {told}")
    return found


def _largest_memory() -> int:
    """Bytes that this process held at the most, what started it apart; 0 if it cannot be told."""
    status = Path("/proc/self/status")
    line = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.M) if status.is_file() else None
    return int(line[1]) * 1024 if line else 0


def main(words: Sequence[str]) -> None:
    """One verdict; prints what `Storm` says of it."""
    name, gradient = words
    case = STORMS[name]()
    form = format_of(case.dtype)
    given = GRADIENTS[gradient](case).map(form.round)
    start = time.perf_counter()
    verdict = judge(case).another(Answer(given))
    seconds = time.perf_counter() - start
    validity: dict[str, str] = {each.block: str(each.status) for each in verdict.validity}
    kinks = len(Judge(case).enclosed(Model(form)).open_gates)
    kind, memory = str(verdict.kind), _largest_memory()
    print(json.dumps(asdict(Storm(name, gradient, kind, kinks, validity, seconds, memory))))


if __name__ == "__main__":
    main(sys.argv[1:])
