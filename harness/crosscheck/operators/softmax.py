"""Softmax over features: eᶻ / Σ eᶻ in each row; its derivative is diag(y) - y yᵀ.

    ∂J/∂z = y ∘ (g - Σ g ∘ y)

for the cotangent g of y: `crosscheck.program.compounds`.
"""

from __future__ import annotations

from crosscheck.formulas.tree import Call
from crosscheck.operators.operator import Operator
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]


def _expand(z: Var) -> Var:
    return z.softmax()


OPERATOR = Operator(
    name="softmax",
    role="activation",
    formula=lambda z: Call("softmax", (z,)),
    operands=("z",),
    expand=_expand,
    lines={
        "torch": {"softmax": "torch.softmax(z, -1)"},
        "tensorflow": {"softmax": "tf.nn.softmax(z)"},
        "jax": {"softmax": "jax.nn.softmax(z)"},
    },
    words="Each row becomes shares of 1; what goes down has no part along the row's sum.",
    is_drawn=False,
)
