"""A convolution over one axis: (rows, length, features); see `operators.convolution`."""

from __future__ import annotations

from crosscheck.operators.convolution import convolution, jax_line, tensorflow_line, torch_line

__all__ = ["OPERATOR"]

OPERATOR = convolution(
    1,
    {
        "torch": ("conv1d", torch_line(1)),
        "tensorflow": ("conv1d", tensorflow_line(1)),
        "jax": ("conv_general_dilated", jax_line(1)),
    },
)
