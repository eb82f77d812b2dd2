"""The smallest number along axes; see `crosscheck.operators.extremes`."""

from __future__ import annotations

from crosscheck.operators.extremes import along_axes

__all__ = ["OPERATOR"]

OPERATOR = along_axes(
    "min",
    -1,
    {
        "torch": {"amin": "torch.amin(x, AXES)"},
        "tensorflow": {"reduce_min": "tf.reduce_min(x, axis=AXES)"},
        "jax": {"min": "jnp.min(x, axis=AXES)"},
    },
    "The smallest number is taken, and is sent what comes to it.",
)
