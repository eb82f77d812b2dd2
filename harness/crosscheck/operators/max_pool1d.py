"""Max pooling over one axis: the largest of each window, feature by feature.

It is sent what comes to the window; of several that are the largest each has a weight, and the
weights add up to 1. An entry of several windows has the sum of what they send it. Padding is
of what never is the largest.
"""

from __future__ import annotations

from crosscheck.operators.pooling import max_pooling

__all__ = ["OPERATOR"]

OPERATOR = max_pooling(
    "max_pool1d",
    1,
    {
        "torch": {
            "max_pool": "F.max_pool1d(x.movedim(-1, 1), WINDOW, STRIDEPADDING).movedim(1, -1)"
        },
        "tensorflow": {"max_pool": "tf.nn.max_pool1d(x, WINDOW, STRIDE, PADDING)"},
        "jax": {
            "reduce_window": "jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, *WINDOW, 1), "
            "(1, *STRIDE, 1), PADDING)"
        },
    },
    "The largest of each window is taken, and is sent what comes to it.",
)
