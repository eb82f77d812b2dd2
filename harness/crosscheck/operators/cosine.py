"""The cosine, with the derivative -sin z."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("cos", "What goes down is multiplied by minus the sine.")
