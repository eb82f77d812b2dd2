"""The hyperbolic tangent: tanh z, with the derivative 1 - tanh² z."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("tanh", "Everything is pressed between -1 and 1; at the ends little goes down.")
