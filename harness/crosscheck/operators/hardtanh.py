"""Hard tanh: min(max(z, -1), 1), with the derivative 1 between -1 and 1 and 0 elsewhere."""

from __future__ import annotations

from crosscheck.numbers.piecewise import piecewise
from crosscheck.operators.elementwise import activation
from crosscheck.operators.formulas import larger, number, smaller

__all__ = ["OPERATOR"]

OPERATOR = activation(
    piecewise("hardtanh", "min(max(z, -1), 1)", "-1 1", "-1", "0 1", "1"),
    {
        "torch": {"hardtanh": "F.hardtanh(z)", "clamp": "torch.clamp(z, -1, 1)"},
        "tensorflow": {
            "hard_tanh": "tf.keras.activations.hard_tanh(z)",
            "clip": "tf.clip_by_value(z, -1, 1)",
        },
        "jax": {"hard_tanh": "jax.nn.hard_tanh(z)", "clip": "jnp.clip(z, -1, 1)"},
    },
    formula=lambda z: smaller(larger(z, number(-1)), number(1)),
    words="What is outside of [-1, 1] is put to the nearer end.",
)
