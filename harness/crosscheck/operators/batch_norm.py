"""Batch norm as in training: mean and deviation of each feature are those over the rows.

Of (rows, positions …, features) they are those over rows and positions. Nothing is kept from one
batch to the next.
"""

from __future__ import annotations

from crosscheck.operators.normalized import norm

__all__ = ["OPERATOR"]

OPERATOR = norm(
    "batch_norm",
    lambda count: tuple(range(-count, -1)),
    "Each feature is brought to mean 0 and deviation 1 over the rows.",
)
