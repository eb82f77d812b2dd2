"""ReLU6: min(max(z, 0), 6), with the derivative 1 between 0 and 6 and 0 elsewhere."""

from __future__ import annotations

from crosscheck.numbers.piecewise import piecewise
from crosscheck.operators.elementwise import activation
from crosscheck.operators.formulas import larger, number, smaller

__all__ = ["OPERATOR"]

OPERATOR = activation(
    piecewise("relu6", "min(max(z, 0), 6)", "0 6", "0", "0 1", "6"),
    {
        "torch": {"relu6": "F.relu6(z)", "clamp": "torch.clamp(z, 0, 6)"},
        "tensorflow": {"relu6": "tf.nn.relu6(z)", "clip": "tf.clip_by_value(z, 0, 6)"},
        "jax": {"relu6": "jax.nn.relu6(z)", "clip": "jnp.clip(z, 0, 6)"},
    },
    formula=lambda z: smaller(larger(z, number(0)), number(6)),
    words="What is negative becomes zero, what is above six becomes six.",
)
