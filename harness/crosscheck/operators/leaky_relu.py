"""Leaky ReLU: z for z > 0 and α z for z < 0; its slope at 0 is a choice between α and 1.

α is a number of float64 in every framework's source, and held in the dtype or more finely. But
TensorFlow's ``tf.nn.leaky_relu`` holds it in float32 also for float64 tensors, 2e-8 off for 0.01,
and DISAGREES by a factor of millions; so its line there is the second one.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from crosscheck.formulas.tree import Expression, Product, Sum
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.operators.elementwise import activation
from crosscheck.operators.formulas import larger, number, smaller
from crosscheck.operators.operator import Attribute, exact

__all__ = ["OPERATOR"]


def _function(slope: Attribute) -> Piecewise:
    alpha, zero = exact(slope), Fraction(0)
    pieces = ((zero, alpha), (zero, Fraction(1)))
    return Piecewise("leaky_relu", "max(z, 0) + slope min(z, 0)", (zero,), pieces, roundings=1)


def _formula(z: Expression, slope: Attribute) -> Expression:
    zero = number(0)
    return Sum((larger(z, zero), Product((number(slope), smaller(z, zero)))))


def _check(attributes: Mapping[str, Attribute]) -> None:
    exact(attributes["slope"])


OPERATOR = activation(
    _function(0.01),
    {
        "torch": {
            "leaky_relu": "F.leaky_relu(z, slope)",
            "where": "torch.where(z > 0, z, slope * z)",
        },
        "tensorflow": {
            "where": "tf.where(z > 0, z, slope * z)",
            "leaky_relu": "tf.nn.leaky_relu(z, slope)",
        },
        "jax": {
            "leaky_relu": "jax.nn.leaky_relu(z, slope)",
            "where": "jnp.where(z > 0, z, slope * z)",
        },
    },
    attributes={"slope": 0.01},
    function=_function,
    check=_check,
    variants=({"slope": 0.25}, {"slope": -0.5}),
    formula=_formula,
    words="What is negative is scaled down, and what comes down through it too.",
)
