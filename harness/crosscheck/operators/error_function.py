"""The error function: (2/√π) ∫ e⁻ᵗ² dt from 0 to z."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("erf", "Everything is pressed between -1 and 1, by the normal distribution.")
