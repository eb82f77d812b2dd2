"""Average pooling over two axes: Σ / k over each window of k numbers.

Each entry of a window is sent 1/k of what comes to it; where windows overlap these are added up.
"""

from __future__ import annotations

from fractions import Fraction

from crosscheck.operators.pooling import pooling
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]


def _mean(windows: Var) -> Var:
    return windows.sum(-1).times(Fraction(1, windows.shape[-1]))


OPERATOR = pooling(
    "avg_pool2d",
    2,
    _mean,
    {
        "torch": {"avg_pool": "F.avg_pool2d(x.movedim(-1, 1), WINDOW, STRIDE).movedim(1, -1)"},
        "tensorflow": {"avg_pool": 'tf.nn.avg_pool2d(x, WINDOW, STRIDE, "VALID")'},
        "jax": {
            "reduce_window": "jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, *WINDOW, 1), "
            "(1, *STRIDE, 1), 'VALID') / COUNT"
        },
    },
    "Each window is averaged; its entries are sent equal shares.",
)
