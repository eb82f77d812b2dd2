"""The largest number along axes; see `crosscheck.operators.extremes`."""

from __future__ import annotations

from crosscheck.operators.extremes import along_axes

__all__ = ["OPERATOR"]

OPERATOR = along_axes(
    "max",
    1,
    {
        "torch": {"amax": "torch.amax(x, AXES)"},
        "tensorflow": {"reduce_max": "tf.reduce_max(x, axis=AXES)"},
        "jax": {"max": "jnp.max(x, axis=AXES)"},
    },
    "The largest number is taken, and is sent what comes to it.",
)
