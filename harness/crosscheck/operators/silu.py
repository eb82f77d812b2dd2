"""SiLU, or swish: z σ(z)."""

from __future__ import annotations

from crosscheck.formulas.tree import Call, Product
from crosscheck.operators.smooth import smooth

__all__ = ["OPERATOR"]

OPERATOR = smooth(
    "silu",
    "Each number is multiplied by how open its own sigmoid is.",
    formula=lambda z: Product((z, Call("sigmoid", (z,)))),
)
