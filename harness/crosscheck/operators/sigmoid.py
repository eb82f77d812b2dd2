"""The logistic function: σ(z) = 1 / (1 + e⁻ᶻ), with the derivative σ (1 - σ)."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("sigmoid", "Everything is pressed between 0 and 1.")
