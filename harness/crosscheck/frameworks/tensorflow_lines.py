"""TensorFlow's ways of writing units with kinks and selections, and of differentiating them."""

from __future__ import annotations

from crosscheck.frameworks.pointwise import Pointwise
from crosscheck.numbers.formats import WORKING
from crosscheck.operators.selections import selection_lines_of
from crosscheck.operators.units import lines_of

__all__ = ["LINES"]


_REVERSE = """\
def measure(z):
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = f(z)
    return value, tape.gradient(value, z)"""

LINES = Pointwise(
    setup="import numpy as np\nimport tensorflow as tf",
    units=lines_of("tensorflow"),
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
    selections=selection_lines_of("tensorflow"),
    of_windows={
        "forward": """\
def measure(z):
    slopes = []
    for one in tf.eye(z.shape[1], dtype=z.dtype):
        with tf.autodiff.ForwardAccumulator(z, tf.broadcast_to(one, z.shape)) as accumulator:
            value = f(z)
        slopes.append(accumulator.jvp(value))
    return value, tf.stack(slopes, 1)""",
    },
)
