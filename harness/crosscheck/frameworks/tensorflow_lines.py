"""TensorFlow's ways of writing units with kinks, and of differentiating them."""

from __future__ import annotations

from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.numbers.formats import WORKING

__all__ = ["LINES"]


def _pooled(pair: str) -> str:
    windows = f"tf.reshape(tf.stack([{pair}], -1), [1, -1, 1])"
    return f'tf.reshape(tf.nn.max_pool1d({windows}, 2, 2, "VALID"), tf.shape(z))'


_REVERSE = """\
def measure(z):
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = f(z)
    return value, tape.gradient(value, z)"""

LINES = Pointwise(
    setup="import numpy as np\nimport tensorflow as tf",
    units={
        "relu": {
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
            "max_pool": _pooled("z, tf.zeros_like(z)"),
        },
        "abs": {"abs": "tf.abs(z)", "maximum": "tf.maximum(z, -z)"},
        "relu6": {"relu6": "tf.nn.relu6(z)", "clip": "tf.clip_by_value(z, 0, 6)"},
        "hardtanh": {
            "hard_tanh": "tf.keras.activations.hard_tanh(z)",
            "clip": "tf.clip_by_value(z, -1, 1)",
        },
        "hard_sigmoid": {"hard_sigmoid": "tf.keras.activations.hard_sigmoid(z)"},
        "hardswish": {"hard_swish": "tf.keras.activations.hard_swish(z)"},
        "softshrink": {"soft_shrink": "tf.keras.activations.soft_shrink(z)"},
        "max_pool": {
            "max_pool": _pooled("z, tf.ones_like(z)"),
            "max_pool_last": _pooled("tf.ones_like(z), z"),
        },
    },
    modes={
        "eager": _REVERSE,
        "graph": f"@tf.function(autograph=False)\n{_REVERSE}",
        "xla": f"@tf.function(autograph=False, jit_compile=True)\n{_REVERSE}",
        "forward": """\
def measure(z):
    with tf.autodiff.ForwardAccumulator(z, tf.ones_like(z)) as accumulator:
        value = f(z)
    return value, accumulator.jvp(value)""",
    },
    make={
        # NumPy converts: tf.constant(points, tf.bfloat16) flushes subnormal numbers.
        dtype: f"tf.constant(np.array(points, tf.{dtype}.as_numpy_dtype))"
        for dtype in WORKING
    },
    home='array.numpy().astype("float64").tolist()',
)
