"""The machine and the interpreter: what results and their speed may depend on."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from crosscheck.run.environment import environment

__all__ = ["system"]

_VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "JAX_ENABLE_X64",
    "JAX_PLATFORMS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "NVIDIA_TF32_OVERRIDE",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TORCH_COMPILE_DISABLE",
    "TORCHDYNAMO_DISABLE",
    "XLA_FLAGS",
)
"""Variables by which users change how the frameworks compute."""

_FLAGS = ("fma", "avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
"""Instructions that change how sums are rounded."""


def system() -> dict[str, str]:
    """Name to value, for people: Python, platform, processor, versions, variables that are set."""
    told = environment()
    found = {
        "python": f"{told['python']} ({sys.executable})",
        "platform": told["platform"],
        "processor": f"{told['processor']}; {_cores()}",
        "BLAS": told["blas"],
    }
    for package in ("gradient-crosscheck", "numpy", "ml_dtypes", "hypothesis", "sympy"):
        found[package] = told[package]
    found.update({name: os.environ[name] for name in _VARIABLES if name in os.environ})
    return found


def _cores() -> str:
    """How many cores may be used, and which instructions that matter they have."""
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed is not None else os.cpu_count()
    text = f"{cores} of {os.cpu_count()} cores"
    source = Path("/proc/cpuinfo")
    if not source.is_file():
        return text
    known: set[str] = set()
    for line in source.read_text("utf-8", "replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            known.update(value.split())
    flags = [flag for flag in _FLAGS if flag in known]
    return ", ".join([text, *flags])
