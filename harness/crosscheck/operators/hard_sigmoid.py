"""Hard sigmoid: min(max(z + 3, 0), 6) / 6, with the derivative 1/6 between -3 and 3.

A sum, at most three roundings for the division by 6 (by a rounded sixth, perhaps), and a sum again
where it is formed as z / 6 + ½: five roundings of a term at most. Its two terms are ½ at the
breakpoints and the slope is a sixth; what is compared there, with 0 and 6 or 1, is rounded:
fl(z + 3) is 6 for z a little below 3, where JAX's and Keras's slope is that at 6 therefore.

PyTorch's kernel holds the sixth in float32 also where it differentiates in float64: 2.5e-8 off, and
DISAGREES by a factor of millions. So it is not drawn unless it is asked for.
"""

from __future__ import annotations

from crosscheck.numbers.piecewise import piecewise
from crosscheck.operators.elementwise import activation

__all__ = ["OPERATOR"]

OPERATOR = activation(
    piecewise(
        "hard_sigmoid",
        "min(max(z + 3, 0), 6) / 6",
        "-3 3",
        "0",
        "1/2 1/6",
        "1",
        roundings=5,
        blur=6,
    ),
    {
        "torch": {"hardsigmoid": "F.hardsigmoid(z)"},
        "tensorflow": {"hard_sigmoid": "tf.keras.activations.hard_sigmoid(z)"},
        "jax": {"hard_sigmoid": "jax.nn.hard_sigmoid(z)"},
    },
    words="A straight line from 0 at -3 to 1 at 3.",
    is_drawn=False,
)
