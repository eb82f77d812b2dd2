"""log(1 + z) for z > -1, good next to 0 too; its derivative is 1 / (1 + z)."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("log1p", "As the logarithm, one to the left of it.")
