"""A convolution over two axes: (rows, height, width, features); see `operators.convolution`."""

from __future__ import annotations

from crosscheck.operators.convolution import convolution, jax_line, tensorflow_line, torch_line

__all__ = ["OPERATOR"]

OPERATOR = convolution(
    2,
    {
        "torch": ("conv2d", torch_line(2)),
        "tensorflow": ("conv2d", tensorflow_line(2)),
        "jax": ("conv_general_dilated", jax_line(2)),
    },
)
