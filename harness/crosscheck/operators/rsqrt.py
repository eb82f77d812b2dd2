"""The reciprocal of a square root: 1 / √z for z > 0."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("rsqrt", "What is large becomes small; norms are made of it.")
