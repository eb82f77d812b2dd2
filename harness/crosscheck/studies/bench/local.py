"""What a local verdict takes, beside PyTorch's eager gradient of the same case, in one run.

A verdict is the gradient watched, every step held to its bounds, and what comes of that: records,
reference and bounds included. Both are measured in turns, after a turn that is not counted, in a
process of their own with two threads, whatever the bench itself has.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from crosscheck.frameworks.leaves import constants_of, leaves_of
from crosscheck.judge.local.judge import LocalJudge
from crosscheck.network.dense import Case

__all__ = ["Local", "measure_local"]

_WIDTHS, _ROWS = (784, 512, 512, 10), 128
_THREADS = 2
_TURNS = 9


@dataclass(frozen=True)
class Local:
    """What local verdicts on one case take.

    Attributes:
        widths: Of the network.
        rows: Of the case.
        dtype: Of the case.
        gradients: Seconds of PyTorch's eager gradient, turn by turn.
        verdicts: Seconds of the verdict, in the same turns.
    """

    widths: tuple[int, ...]
    rows: int
    dtype: str
    gradients: tuple[float, ...]
    verdicts: tuple[float, ...]

    @property
    def ratios(self) -> list[float]:
        """How many gradients a verdict takes, turn by turn."""
        return [b / a for a, b in zip(self.gradients, self.verdicts, strict=True)]


def measure_local(
    dtypes: Sequence[str], tell: Callable[[str], None] = lambda line: None
) -> list[Local]:
    """The time of a local verdict on a network of ordinary size.

    Args:
        dtypes: Of the cases.
        tell: Takes a line about each.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(_THREADS))}
    found = []
    for dtype in dtypes:
        words = [sys.executable, "-m", "crosscheck.studies.bench.local", dtype]
        said = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
        data = json.loads(said.stdout)
        found.append(one := Local(**{**data, "widths": tuple(data["widths"])}))
        tell(f"local verdict, {dtype}: {statistics.median(one.ratios):.1f} gradients")
    return found


def case_of(dtype: str) -> Case:
    """A network with ordinary weights, and ordinary inputs."""
    rng = np.random.default_rng(0)
    pairs = list(zip(_WIDTHS[1:], _WIDTHS[:-1], strict=True))
    return Case.of(
        [rng.standard_normal((n, m)) / np.sqrt(m) for n, m in pairs],
        [rng.standard_normal(n) / 8 for n, _ in pairs],
        x=rng.standard_normal((_ROWS, _WIDTHS[0])),
        y=rng.standard_normal((_ROWS, _WIDTHS[-1])),
        dtype=dtype,
    )


def measured(dtype: str) -> Local:
    """Both, in turns, in this process."""
    from crosscheck.frameworks.torch_ import TorchFramework

    framework, case = TorchFramework(mode="eager"), case_of(dtype)
    leaves = [framework.send(array, dtype) for array in leaves_of(case)]
    rest = [framework.send(array, dtype) for array in constants_of(case)]

    def gradient() -> None:
        framework.differentiate(case, leaves, rest)

    def verdict() -> None:
        if not LocalJudge(case).check(framework.recorded(case)).of(0).is_gradual:
            raise RuntimeError(f"{dtype}: a step is not inside its bounds")

    def seconds(what: Callable[[], Any]) -> float:
        start = time.perf_counter()
        what()
        return time.perf_counter() - start

    turns = [(seconds(gradient), seconds(verdict)) for _ in range(_TURNS + 1)][1:]
    gradients, verdicts = zip(*turns, strict=True)
    return Local(_WIDTHS, _ROWS, dtype, gradients, verdicts)


if __name__ == "__main__":
    print(json.dumps(asdict(measured(sys.argv[1]))))
