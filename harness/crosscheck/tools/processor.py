"""What of a processor results may depend on: its architecture, and how wide its vectors are."""

from __future__ import annotations

import platform

import numpy as np

__all__ = ["processor"]


def processor() -> dict[str, str]:
    """The architecture, and the widest vectors that NumPy finds."""
    found = {"machine": platform.machine(), "vectors": "unknown"}
    try:
        features = np._core._multiarray_umath.__cpu_features__  # type: ignore[attr-defined]
        found["vectors"] = next(
            name for name in ("AVX512_SKX", "AVX2", "ASIMD", "SSE2") if features.get(name)
        )
    except (AttributeError, StopIteration):
        pass
    return found
