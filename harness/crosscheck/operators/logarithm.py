"""The natural logarithm of what is positive, with the derivative 1 / z."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("log", "What goes down is divided by what came in.")
