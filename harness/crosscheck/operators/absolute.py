"""The absolute value: |z|, with the derivative -1 and 1; at 0 a choice in [-1, 1]."""

from __future__ import annotations

from crosscheck.formulas.tree import Absolute
from crosscheck.numbers.piecewise import piecewise
from crosscheck.operators.elementwise import activation

__all__ = ["OPERATOR"]

OPERATOR = activation(
    piecewise("abs", "|z|", "0", "0 -1", "0 1"),
    {
        "torch": {"abs": "torch.abs(z)", "maximum": "torch.maximum(z, -z)"},
        "tensorflow": {"abs": "tf.abs(z)", "maximum": "tf.maximum(z, -z)"},
        "jax": {"abs": "jnp.abs(z)", "maximum": "jnp.maximum(z, -z)"},
    },
    formula=lambda z: Absolute(z),
    words="The sign is taken away; what comes down has it put back.",
)
