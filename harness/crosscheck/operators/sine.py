"""The sine, with the derivative cos z."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("sin", "What goes down is multiplied by the cosine.")
