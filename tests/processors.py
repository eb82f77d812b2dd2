"""What libraries do otherwise on one processor than on another."""

from __future__ import annotations

import functools
import importlib
from typing import Any

__all__ = ["tensorflow_cuts"]


@functools.cache
def tensorflow_cuts() -> bool:
    """Whether TensorFlow cuts matrix products in bfloat16, as on processors with AVX2 only.

    That is the named arithmetic ``truncated`` (`crosscheck.numbers.named`).
    """
    tf: Any = importlib.import_module("tensorflow")
    one, other = (tf.constant([[each]], tf.bfloat16) for each in (0.091796875, -1.265625))
    return float(tf.matmul(one, other)[0, 0]) != float((one * other)[0, 0])
