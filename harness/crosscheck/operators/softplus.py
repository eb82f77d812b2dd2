"""Softplus: log(1 + eᶻ), a ReLU with a rounded corner; its derivative is σ(z)."""

from __future__ import annotations

from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth("softplus", "What is negative becomes small and passes little on.")
