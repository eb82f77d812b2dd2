"""The smaller of two numbers, entry by entry; see `crosscheck.operators.extremes`."""

from __future__ import annotations

from crosscheck.operators.extremes import of_two

__all__ = ["OPERATOR"]

OPERATOR = of_two(
    "minimum",
    -1,
    {
        "torch": {"minimum": "torch.minimum(a, b)"},
        "tensorflow": {"minimum": "tf.minimum(a, b)"},
        "jax": {"minimum": "jnp.minimum(a, b)"},
    },
    "The smaller of two numbers is taken, and is sent what comes to it.",
)
