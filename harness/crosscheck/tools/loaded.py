"""Libraries in this process that split sums over threads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from threadpoolctl import threadpool_info

__all__ = ["loaded_libraries"]


def loaded_libraries() -> set[str]:
    """Libraries in this process that split sums over threads; BLAS by version and processor type.

    As they are now: which kernels a library takes, and how many threads, is decided when it is
    loaded. Apple's Accelerate does not tell.
    """
    return {_library(each) for each in threadpool_info()}


def _library(told: Mapping[str, Any]) -> str:
    name = f"{told['internal_api']} {told['version'] or ''}".strip()
    kernels = f" ({told['architecture']})" if told.get("architecture") else ""
    threads = told["num_threads"]
    return f"{name}{kernels}, {threads} thread{'' if threads == 1 else 's'}"
