"""ReLU: max(z, 0), with the derivative 0 for z < 0 and 1 for z > 0; at 0 a choice in [0, 1]."""

from __future__ import annotations

from crosscheck.numbers.piecewise import piecewise
from crosscheck.operators.elementwise import activation
from crosscheck.operators.formulas import larger, number
from crosscheck.operators.pooled import jax_pooled, tensorflow_pooled, torch_pooled

__all__ = ["OPERATOR"]

_PAIR = "torch.stack([z, torch.zeros_like(z)]"

OPERATOR = activation(
    piecewise("relu", "max(z, 0)", "0", "0", "0 1"),
    {
        "torch": {
            "relu": "torch.relu(z)",
            "clamp": "torch.clamp(z, min=0)",
            "clamp_min": "torch.clamp_min(z, 0)",
            "maximum": "torch.maximum(z, torch.zeros_like(z))",
            "maximum_swapped": "torch.maximum(torch.zeros_like(z), z)",
            "where": "torch.where(z > 0, z, 0)",
            "where_ge": "torch.where(z >= 0, z, 0)",
            "threshold": "F.threshold(z, 0, 0)",
            "abs": "(z + torch.abs(z)) / 2",
            "mask": "z * (z > 0)",
            "leaky_relu": "F.leaky_relu(z, 0.0)",
            "prelu": "F.prelu(z, torch.zeros(1, dtype=z.dtype))",
            "amax": f"{_PAIR}).amax(0)",
            "max": f"{_PAIR}).max(0).values",
            "max_pool": torch_pooled("z, torch.zeros_like(z)"),
        },
        "tensorflow": {
            "relu": "tf.nn.relu(z)",
            "keras": "tf.keras.activations.relu(z)",
            "maximum": "tf.maximum(z, 0)",
            # tf.function gives a plain 0 in the first place the type int32, and then fails.
            "maximum_swapped": "tf.maximum(tf.zeros_like(z), z)",
            "where": "tf.where(z > 0, z, 0)",
            "where_ge": "tf.where(z >= 0, z, 0)",
            # The upper end is infinite: z.dtype.max would clip infinity.
            "clip": "tf.clip_by_value(z, 0, float('inf'))",
            "abs": "(z + tf.abs(z)) / 2",
            "mask": "z * tf.cast(z > 0, z.dtype)",
            "leaky_relu": "tf.nn.leaky_relu(z, 0.0)",
            "reduce_max": "tf.reduce_max(tf.stack([z, tf.zeros_like(z)]), 0)",
            "max_pool": tensorflow_pooled("z, tf.zeros_like(z)"),
        },
        "jax": {
            "relu": "jax.nn.relu(z)",
            "maximum": "jnp.maximum(z, 0)",
            "maximum_swapped": "jnp.maximum(0, z)",
            "lax_max": "jax.lax.max(z, jnp.zeros_like(z))",
            "where": "jnp.where(z > 0, z, 0)",
            "where_ge": "jnp.where(z >= 0, z, 0)",
            "clip": "jnp.clip(z, 0)",
            "abs": "(z + jnp.abs(z)) / 2",
            "mask": "z * (z > 0)",
            "leaky_relu": "jax.nn.leaky_relu(z, 0.0)",
            "max": "jnp.max(jnp.stack([z, jnp.zeros_like(z)]), 0)",
            "max_pool": jax_pooled("z, jnp.zeros_like(z)"),
        },
    },
    formula=lambda z: larger(z, number(0)),
    words="What is negative becomes zero, and nothing goes down through it.",
)
