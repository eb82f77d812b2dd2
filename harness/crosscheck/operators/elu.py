"""ELU: z for z > 0, else eᶻ - 1; the derivative has no jump at 0."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("elu", "What is negative is pressed between -1 and 0.")
