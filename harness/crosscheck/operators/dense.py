"""A dense layer: z = x Wᵀ + b, with W (units, features) and b (units,), for x (rows, features).

    ∂J/∂W = gᵀ x,    ∂J/∂b = Σ over rows of g,    ∂J/∂x = g W,

for the cotangent g of z: rules of `contract`, `transpose`, `add` and `broadcast`. In every
framework it is a matrix product and a sum that broadcasts, which a compiler may fuse. Where the
product is written as (W xᵀ)ᵀ, its derivative by W is formed in the memory order of W.
"""

from __future__ import annotations

from collections.abc import Mapping

from crosscheck.formulas.tree import Expression, Product, Sum, Symbol, Transposed
from crosscheck.operators.operator import Line, Operator, require_shape
from crosscheck.program.graph import Shape, Var

__all__ = ["OPERATOR", "TURNED"]

TURNED = "turned"
"""The formulation (W xᵀ)ᵀ, in frameworks where it makes a difference."""


def _expand(x: Var, W: Var, b: Var | None = None) -> Var:
    require_shape("dense", [x.shape, W.shape], 2)
    z = x @ W.transposed
    return z if b is None else z + b.expand(-2)


def _formula(x: Expression, W: Symbol, b: Expression | None = None) -> Expression:
    product = Product((x, Transposed(W)))
    return product if b is None else Sum((product, b))


def _parameters(shape: Shape, units: int) -> Mapping[str, Shape]:
    return {"W": (units, shape[-1]), "b": (units,)}


def _line(product: str, bias: str) -> Line:
    return lambda use: f"{product} + {bias}" if "b" in use.operands else product


_TORCH, _TENSORFLOW, _JAX = "b.unsqueeze(-2)", "tf.expand_dims(b, -2)", "b[..., None, :]"

OPERATOR = Operator(
    name="dense",
    role="layer",
    formula=_formula,
    operands=("x", "W", "b"),
    optional=frozenset({"b"}),
    expand=_expand,
    parameters=_parameters,
    lines={
        "torch": {
            "dense": _line("x @ W.transpose(-1, -2)", _TORCH),
            TURNED: _line("(W @ x.transpose(-1, -2)).transpose(-1, -2)", _TORCH),
        },
        "tensorflow": {"dense": _line("tf.matmul(x, W, transpose_b=True)", _TENSORFLOW)},
        "jax": {
            "dense": _line("x @ jnp.swapaxes(W, -1, -2)", _JAX),
            TURNED: _line("jnp.swapaxes(W @ jnp.swapaxes(x, -1, -2), -1, -2)", _JAX),
        },
    },
    words="Each unit is a weighted sum of the inputs, and a bias.",
)
