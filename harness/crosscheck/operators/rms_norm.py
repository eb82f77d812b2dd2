"""RMS norm: each row divided by the root of its mean square, times a weight for each feature.

    y = w ∘ z r,    r = 1 / √(Σ z² / n + ε).

In primitives, and so its derivative: g ∘ w r - z r³ Σ (g ∘ w ∘ z) / n.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from crosscheck.formulas.tree import Call, Expression, Product
from crosscheck.operators.normalized import check_eps
from crosscheck.operators.operator import Attribute, OfOneCase, Operator, exact
from crosscheck.program.graph import Shape, Var

__all__ = ["OPERATOR"]


def _expand(z: Var, weight: Var, eps: Attribute) -> Var:
    squares = (z * z).sum(-1, keep=True).times(Fraction(1, z.shape[-1]))
    small = z.graph.ones(squares.shape).times(exact(eps))
    root = (squares + small).elementary("rsqrt")
    return z * root * weight.expand(-2)


def _formula(z: Expression, weight: Expression, eps: Attribute) -> Expression:
    return Product((weight, Call("rmsnorm", (z,))))


def _parameters(shape: Shape, units: int) -> Mapping[str, Shape]:
    return {"weight": (shape[-1],)}


OPERATOR = Operator(
    name="rms_norm",
    role="activation",
    formula=_formula,
    operands=("z", "weight"),
    attributes={"eps": 2.0**-13},
    parameters=_parameters,
    check=check_eps,
    expand=_expand,
    lines={
        "torch": {
            "rsqrt": "z * torch.rsqrt(z.square().mean(-1, keepdim=True) + eps) "
            "* weight.unsqueeze(-2)",
            "rms_norm": OfOneCase("F.rms_norm(z, z.shape[-1:], weight, eps)"),
        },
        "tensorflow": {
            "rsqrt": "z * tf.math.rsqrt(tf.reduce_mean(tf.square(z), -1, keepdims=True) + eps) "
            "* tf.expand_dims(weight, -2)"
        },
        "jax": {
            "rsqrt": "z * jax.lax.rsqrt(jnp.mean(jnp.square(z), -1, keepdims=True) + eps) "
            "* weight[..., None, :]"
        },
    },
    words="Each row is brought to the size 1; what goes down has no part along the row.",
    is_drawn=False,
)
