"""The functions of one number whose conventions at kinks are measured, in the order of the tables.

Some of them are operators; others are measured only.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from crosscheck.numbers.piecewise import Piecewise, piecewise
from crosscheck.operators import absolute, hard_sigmoid, hardtanh, relu, relu6
from crosscheck.operators.operator import Line
from crosscheck.operators.pooled import jax_pooled, tensorflow_pooled, torch_pooled

__all__ = ["UNITS", "lines_of"]

_OPERATORS = (relu, absolute, relu6, hardtanh, hard_sigmoid)

_MEASURED: tuple[tuple[Piecewise, Mapping[str, Mapping[str, str]]], ...] = (
    (
        piecewise("hardswish", "z min(max(z + 3, 0), 6) / 6", "-3 3", "0", "0 1/2 1/6", "0 1"),
        {
            "torch": {"hardswish": "F.hardswish(z)"},
            "tensorflow": {"hard_swish": "tf.keras.activations.hard_swish(z)"},
            "jax": {"hard_swish": "jax.nn.hard_swish(z)"},
        },
    ),
    (
        piecewise(
            "softshrink",
            "z - ½ for z > ½, z + ½ for z < -½, else 0",
            "-1/2 1/2",
            "1/2 1",
            "0",
            "-1/2 1",
        ),
        {
            "torch": {"softshrink": "F.softshrink(z)"},
            "tensorflow": {"soft_shrink": "tf.keras.activations.soft_shrink(z)"},
        },
    ),
    (
        # It stands for pooling with a tie between two inputs, at z = 1.
        piecewise("max_pool", "the largest of z and 1", "1", "1", "0 1"),
        {
            "torch": {
                "max_pool": torch_pooled("z, torch.ones_like(z)"),
                "max_pool_last": torch_pooled("torch.ones_like(z), z"),
            },
            "tensorflow": {
                "max_pool": tensorflow_pooled("z, tf.ones_like(z)"),
                "max_pool_last": tensorflow_pooled("tf.ones_like(z), z"),
            },
            "jax": {
                "max_pool": jax_pooled("z, jnp.ones_like(z)"),
                "max_pool_last": jax_pooled("jnp.ones_like(z), z"),
            },
        },
    ),
)

UNITS: Mapping[str, Piecewise] = MappingProxyType(
    {
        **{each.OPERATOR.name: each.OPERATOR.unit for each in _OPERATORS if each.OPERATOR.unit},
        **{unit.name: unit for unit, _ in _MEASURED},
    }
)
"""Every unit by name."""


def lines_of(framework: str) -> Mapping[str, Mapping[str, str]]:
    """Unit to formulation to an expression in ``z``, of those that a framework has."""
    found: dict[str, Mapping[str, Line]] = {
        each.OPERATOR.name: each.OPERATOR.formulations(framework) for each in _OPERATORS
    }
    found |= {unit.name: lines.get(framework, {}) for unit, lines in _MEASURED}
    return {
        unit: {name: line for name, line in lines.items() if isinstance(line, str)}
        for unit, lines in found.items()
        if lines
    }
