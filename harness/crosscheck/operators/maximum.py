"""The larger of two numbers, entry by entry; see `crosscheck.operators.extremes`."""

from __future__ import annotations

from crosscheck.operators.extremes import of_two

__all__ = ["OPERATOR"]

OPERATOR = of_two(
    "maximum",
    1,
    {
        "torch": {"maximum": "torch.maximum(a, b)"},
        "tensorflow": {"maximum": "tf.maximum(a, b)"},
        "jax": {"maximum": "jnp.maximum(a, b)"},
    },
    "The larger of two numbers is taken, and is sent what comes to it.",
)
