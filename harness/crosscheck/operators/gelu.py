"""GELU: z Φ(z) with the normal distribution Φ, computed by erf."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("gelu", "Each number is multiplied by the share of numbers below it.")
