"""The square root of what is positive: √z, with the derivative 1 / (2 √z)."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("sqrt", "What goes down is divided by twice what came out.")
