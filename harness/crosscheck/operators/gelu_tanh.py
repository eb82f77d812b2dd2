"""GELU as it is computed by tanh: ½ z (1 + tanh(√(2/π) (z + 0.044715 z³)))."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth(
    "gelu_tanh",
    "Near GELU, and a function of its own, with a derivative of its own.",
)
