"""PReLU: z for z > 0 and α z for z < 0, with α a parameter, one for each feature.

In primitives max(z, 0) + α min(z, 0), whose derivatives decide at one and the same place: slope
λ + (1 - λ) α at z = 0. One of the two terms is zero, so their sum is exact.
"""

from __future__ import annotations

from collections.abc import Mapping

from crosscheck.formulas.tree import Expression, Product, Sum
from crosscheck.numbers.piecewise import piecewise
from crosscheck.operators.formulas import larger, number, smaller
from crosscheck.operators.operator import Operator
from crosscheck.program.graph import Shape, Var

__all__ = ["OPERATOR"]

_POSITIVE = piecewise("max(z, 0)", "max(z, 0)", "0", "0", "0 1")
_NEGATIVE = piecewise("min(z, 0)", "min(z, 0)", "0", "0 1", "0")


def _expand(z: Var, alpha: Var) -> Var:
    return z.piecewise(_POSITIVE) + z.piecewise(_NEGATIVE) * alpha.expand(-2)


def _formula(z: Expression, alpha: Expression) -> Expression:
    zero = number(0)
    return Sum((larger(z, zero), Product((alpha, smaller(z, zero)))))


def _parameters(shape: Shape, units: int) -> Mapping[str, Shape]:
    return {"alpha": (shape[-1],)}


OPERATOR = Operator(
    name="prelu",
    role="activation",
    formula=_formula,
    operands=("z", "alpha"),
    expand=_expand,
    parameters=_parameters,
    lines={
        "torch": {"where": "torch.where(z > 0, z, alpha.unsqueeze(-2) * z)"},
        "tensorflow": {"where": "tf.where(z > 0, z, tf.expand_dims(alpha, -2) * z)"},
        "jax": {"where": "jnp.where(z > 0, z, alpha[..., None, :] * z)"},
    },
    words="What is negative is scaled by a number that is learned.",
)
