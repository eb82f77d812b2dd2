"""Layer norm: each row has its mean taken away and is divided by its deviation."""

from __future__ import annotations

from crosscheck.operators.normalized import norm

__all__ = ["OPERATOR"]

OPERATOR = norm(
    "layer_norm",
    lambda count: (-1,),
    "Each row is brought to mean 0 and deviation 1; what goes down has neither of them.",
)
