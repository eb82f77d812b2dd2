"""Scaled dot-product attention: softmax(Q Kᵀ / √d) V, with rows as tokens and d features.

With P the shares and G the cotangent of the result

    ∂J/∂V = Pᵀ G,    S = P ∘ (G Vᵀ - Σ P ∘ G Vᵀ),    ∂J/∂Q = S K / √d,    ∂J/∂K = Sᵀ Q / √d.
"""

from __future__ import annotations

import math

from crosscheck.formulas.tree import Call, Expression, Product, Symbol, Transposed
from crosscheck.operators.operator import Line, Operator, Use, exact, require_shape
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]


def _scale(features: int) -> float:
    """1 / √d as float64 has it, which is what every line has."""
    return 1.0 / math.sqrt(features)


def _expand(q: Var, k: Var, v: Var) -> Var:
    require_shape("attention", [q.shape, k.shape, v.shape], 2)
    scores = (q @ k.transposed).times(exact(_scale(q.shape[-1])))
    return scores.softmax() @ v


def _formula(q: Expression, k: Symbol, v: Expression) -> Expression:
    return Product((Call("softmax", (Product((q, Transposed(k))),)), v))


def _line(product: str, softmax: str) -> Line:
    def line(use: Use) -> str:
        scale = repr(_scale(use.shapes["q"][-1]))
        return f"{softmax.format(f'{product} * {scale}')} @ v"

    return line


OPERATOR = Operator(
    name="attention",
    role="join",
    formula=_formula,
    operands=("q", "k", "v"),
    expand=_expand,
    lines={
        "torch": {"composed": _line("q @ k.transpose(-2, -1)", "torch.softmax({}, -1)")},
        "tensorflow": {"composed": _line("tf.matmul(q, k, transpose_b=True)", "tf.nn.softmax({})")},
        "jax": {"composed": _line("q @ jnp.swapaxes(k, -2, -1)", "jax.nn.softmax({})")},
    },
    words="Each row takes of the others what its scores say; what goes down goes three ways.",
    is_drawn=False,
)
