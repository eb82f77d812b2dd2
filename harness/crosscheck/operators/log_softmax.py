"""The logarithm of softmax over features: z - log Σ eᶻ in each row.

    ∂J/∂z = g - softmax(z) Σ g

for the cotangent g of y: `crosscheck.program.compounds`.
"""

from __future__ import annotations

from crosscheck.formulas.tree import Call
from crosscheck.operators.operator import Operator
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]


def _expand(z: Var) -> Var:
    return z.log_softmax()


OPERATOR = Operator(
    name="log_softmax",
    role="activation",
    formula=lambda z: Call("logsoftmax", (z,)),
    operands=("z",),
    expand=_expand,
    lines={
        "torch": {"log_softmax": "F.log_softmax(z, -1)"},
        "tensorflow": {"log_softmax": "tf.nn.log_softmax(z)"},
        "jax": {"log_softmax": "jax.nn.log_softmax(z)"},
    },
    words="The logarithms of shares of 1; what goes down is g less the shares of its sum.",
    is_drawn=False,
)
