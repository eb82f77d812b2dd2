"""A dense layer: z = x Wᵀ + b, with W (units, features) and b (units,), for x (rows, features).

    ∂J/∂W = gᵀ x,    ∂J/∂b = Σ over rows of g,    ∂J/∂x = g W,

for the cotangent g of z: rules of `contract`, `transpose`, `add` and `broadcast`. In every
framework it is a matrix product and a sum that broadcasts, which a compiler may fuse.
"""

from __future__ import annotations

from collections.abc import Mapping

from crosscheck.formulas.tree import Expression, Product, Sum, Symbol, Transposed
from crosscheck.operators.operator import Operator, Use, require_shape
from crosscheck.program.graph import Shape, Var

__all__ = ["OPERATOR"]


def _expand(x: Var, W: Var, b: Var | None = None) -> Var:
    require_shape("dense", [x.shape, W.shape], 2)
    z = x @ W.transposed
    return z if b is None else z + b.expand(-2)


def _formula(x: Expression, W: Symbol, b: Expression | None = None) -> Expression:
    product = Product((x, Transposed(W)))
    return product if b is None else Sum((product, b))


def _parameters(shape: Shape, units: int) -> Mapping[str, Shape]:
    return {"W": (units, shape[-1]), "b": (units,)}


def _torch(use: Use) -> str:
    return "x @ W.transpose(-1, -2)" + (" + b.unsqueeze(-2)" if "b" in use.operands else "")


def _tensorflow(use: Use) -> str:
    bias = " + tf.expand_dims(b, -2)" if "b" in use.operands else ""
    return f"tf.matmul(x, W, transpose_b=True){bias}"


def _jax(use: Use) -> str:
    return "x @ jnp.swapaxes(W, -1, -2)" + (" + b[..., None, :]" if "b" in use.operands else "")


OPERATOR = Operator(
    name="dense",
    role="layer",
    formula=_formula,
    operands=("x", "W", "b"),
    optional=frozenset({"b"}),
    expand=_expand,
    parameters=_parameters,
    lines={
        "torch": {"dense": _torch},
        "tensorflow": {"dense": _tensorflow},
        "jax": {"dense": _jax},
    },
    words="Each unit is a weighted sum of the inputs, and a bias.",
)
