"""The reciprocal: 1 / z for z ≠ 0, with the derivative -1 / z²."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("reciprocal", "What is large becomes small; what goes down changes its sign.")
