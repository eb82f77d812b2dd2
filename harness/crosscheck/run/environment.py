"""What a result may depend on besides the frameworks' versions: libraries, processor, threads.

Subnormal numbers are the one thing here that no variable or version tells: a processor replaces
them by zero while a flag in its control register is set, any library may set it, and a compiler
may generate code that behaves so anyway. So they are measured, in NumPy and in each framework.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import ask
from crosscheck.frameworks.refusals import Refused
from crosscheck.frameworks.remote import Remote
from crosscheck.network.dense import worked_example
from crosscheck.numbers.formats import format_of
from crosscheck.tools.loaded import loaded_libraries

__all__ = ["environment", "keeps_subnormals", "processor_model"]

_PACKAGES = ("gradient-crosscheck", "numpy", "ml_dtypes", "hypothesis", "sympy", "python-flint")
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "XLA_FLAGS",
)
"""Variables that set how many threads a sum is split over, and so its order."""


def environment(frameworks: Sequence[Framework] = (), dtype: str = "float64") -> dict[str, str]:
    """What a result may depend on, by name.

    Args:
        frameworks: Of these it is measured what they do with subnormal numbers.
        dtype: In which precision.
    """
    loaded = loaded_libraries()
    elsewhere = [each.loaded for each in frameworks if isinstance(each, Remote)]
    found = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "processor": processor_model(),
        "processors": str(os.cpu_count()),
        "blas": "; ".join(sorted(loaded.union(*elsewhere))) or "none that tells",
        "threads": ", ".join(f"{name}={os.environ[name]}" for name in _THREADS if _is_set(name))
        or "not limited",
        "subnormal numbers, numpy": _told(_numpy_keeps_subnormals()),
    }
    for framework in frameworks:
        kept = keeps_subnormals(framework, dtype)
        found[f"subnormal numbers, {framework.name}"] = f"{_told(kept)} ({dtype})"
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def keeps_subnormals(framework: Framework, dtype: str = "float64") -> bool | None:
    """Whether ``framework`` computes with subnormal numbers of ``dtype`` as they are.

    In the worked example let x = s, the smallest subnormal number, w1 = 1 and y = 2. Then
    z1 = s > 0, a1 = s, and a2 = 3 s + 1 rounds to 1, so ∂J/∂w2 = (1 − 2) s = −s: with gradual
    underflow exactly, and 0 if s is replaced by zero, as an operand or as a result.

    Returns:
        ``None`` where the framework cannot do the dtype, or fails: then there is no answer.
    """
    size = format_of(dtype).smallest_subnormal
    given = ask(framework, worked_example(x=size, w1=1.0, y=2.0, dtype=dtype))
    if isinstance(given, Refused):  # which becomes a verdict when cases are checked
        return None
    return float(given.weights[1].item()) == -size


def _numpy_keeps_subnormals() -> bool:
    tiny = np.full(64, format_of("float64").smallest_subnormal)
    return bool(np.all(tiny * 2.0 == np.ldexp(tiny, 1)) and np.all(tiny * 2.0 > 0.0))


def _told(kept: bool | None) -> str:
    return {True: "kept", False: "replaced by zero", None: "not known"}[kept]


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name))


def processor_model() -> str:
    """The processor's model; its architecture where the system does not tell."""
    try:
        if sys.platform == "linux":
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
                name, _, value = line.partition(":")
                if name.strip() == "model name":
                    return value.strip()
        elif sys.platform == "darwin":
            words = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=10)
            return done.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pass
    return platform.processor() or platform.machine()
