"""The exponential function less one: eᶻ - 1, good next to 0 too."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("expm1", "As the exponential function, without what cancels next to 0.")
