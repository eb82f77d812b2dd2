"""The exponential function: eᶻ, which is its own derivative."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("exp", "What goes down is multiplied by what came out.")
