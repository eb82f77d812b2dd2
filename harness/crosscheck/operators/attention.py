"""Scaled dot-product attention: softmax(Q Kᵀ / √d) V, with rows as tokens and d features.

Axes in front of these two are over sequences: each has shares of its own.

With P the shares and G the cotangent of the result

    ∂J/∂V = Pᵀ G,    S = P ∘ (G Vᵀ - Σ P ∘ G Vᵀ),    ∂J/∂Q = S K / √d,    ∂J/∂K = Sᵀ Q / √d.

A mask says which keys a row takes shares of: ``"causal"``, those up to its own; a pattern along the
keys, ``"1 0 1"``, the same for every row; or one for each row, ``"1 0 / 1 1"``. Patterns are
repeated over what is there, as that of `crosscheck.operators.where`. A share that is masked is 0.
A row without keys would be 0 / 0, of which frameworks make NaN or zeros, and is refused.

The scale may be put to the products, to Q, or its root to Q and to K; and what comes may be divided
by the sum of the exponentials after the product with V (`crosscheck.program.compounds`). That is
so for up to 512 keys; kernels take more in blocks, and round once more for each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from crosscheck.formulas.tree import Call, Expression, Product, Symbol, Transposed, Words
from crosscheck.operators.operator import (
    Attribute,
    Line,
    Operator,
    Use,
    exact,
    require_shape,
)
from crosscheck.operators.words import wholes
from crosscheck.program.alternatives import ways
from crosscheck.program.graph import Var
from crosscheck.program.places import Places
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]

_BITS = 200


def _scale(features: int) -> float:
    """1 / √d as float64 has it, which is what every line has."""
    return 1.0 / math.sqrt(features)


def _root(number: Fraction) -> Fraction:
    """Its square root, to within 2^-`_BITS`."""
    scaled = number * 4**_BITS
    return Fraction(math.isqrt(scaled.numerator // scaled.denominator), 2**_BITS)


def _kept(mask: Attribute, rows: int, keys: int) -> NDArray[np.bool_] | None:
    """For each row and key whether it is kept; ``None`` if all are.

    Raises:
        UsageError: It says something else, or leaves a row without keys.
    """
    if mask == "none":
        return None
    if mask == "causal":
        return np.tril(np.ones((rows, keys), dtype=bool))
    patterns = [wholes("mask", each) for each in str(mask).split("/")]
    if not all(set(each) <= {0, 1} for each in patterns):
        raise UsageError(f"mask={mask!r}, wanted none, causal, or zeros and ones: '1 0 / 1 1'")
    found = [np.resize(np.array(each, dtype=bool), keys) for each in patterns]
    kept = np.array([found[row % len(found)] for row in range(rows)])
    if not kept.any(axis=1).all():
        raise UsageError(
            f"mask={mask!r}: row {int(kept.any(axis=1).argmin())} keeps no key, where softmax is "
            f"0 / 0; wanted a 1 in each row, or the row left out"
        )
    return kept


def _expand(q: Var, k: Var, v: Var, mask: Attribute) -> Var:
    require_shape("attention", [q.shape, k.shape, v.shape], max(2, len(q.shape)))
    kept = _kept(mask, q.shape[-2], k.shape[-2])
    places = None
    if kept is not None:
        kept = np.broadcast_to(kept, (*q.shape[:-1], k.shape[-2]))
        numbers = np.arange(kept.size).reshape(kept.shape)
        places = Places(np.where(kept, numbers, -1).ravel().tolist())
    scale = exact(_scale(q.shape[-1]))
    root = _root(scale)
    scores = (q @ k.transposed).times(scale)
    of_one = q.times(scale) @ k.transposed
    of_both = q.times(root) @ k.times(scale / root).transposed
    results = [each.softmax(places) @ v for each in (scores, of_one, of_both)]
    return ways((q, k, v), *results, scores.softmax_product(v, places))


def _formula(q: Expression, k: Symbol, v: Expression, mask: Attribute) -> Expression:
    scores = Product((q, Transposed(k)))
    of = (scores,) if mask == "none" else (scores, Words(f"mask {mask}"))
    return Product((Call("softmax", of), v))


def _check(attributes: Mapping[str, Attribute]) -> None:
    patterns = str(attributes["mask"]).split("/")
    _kept(attributes["mask"], len(patterns), max(map(len, patterns)))


_MASKS = {"torch": "torch.tensor({})", "tensorflow": "tf.constant({})", "jax": "np.array({})"}


def _mask(framework: str, use: Use) -> str:
    """The mask as source; empty if there is none."""
    kept = _kept(use.attributes["mask"], use.shapes["q"][-2], use.shapes["k"][-2])
    return "" if kept is None else _MASKS[framework].format(kept.tolist())


def _composed(framework: str, product: str, softmax: str, masked: str) -> Line:
    """Products, a softmax of them in which ``masked`` takes a mask in, and a product."""

    def line(use: Use) -> str:
        scores = f"{product} * {_scale(use.shapes['q'][-1])!r}"
        if mask := _mask(framework, use):
            scores = masked.format(mask=mask, scores=scores)
        return f"{softmax.format(scores)} @ v"

    return line


def _own(framework: str, call: str, of_mask: str) -> Line:
    """A library's function, with an argument for a mask, or its own for a causal one."""

    def line(use: Use) -> str:
        mask, argument = use.attributes["mask"], ""
        if mask == "causal":
            argument = ", is_causal=True"
        elif mask != "none":
            argument = of_mask.format(_mask(framework, use))
        return call.format(argument)

    return line


_TORCH = ("torch", "q @ k.transpose(-2, -1)", "torch.softmax({}, -1)")
_TENSORFLOW = ("tensorflow", "tf.matmul(q, k, transpose_b=True)", "tf.nn.softmax({})")
_JAX = ("jax", "q @ jnp.swapaxes(k, -2, -1)", "jax.nn.softmax({})")

OPERATOR = Operator(
    name="attention",
    role="join",
    formula=_formula,
    operands=("q", "k", "v"),
    attributes={"mask": "none"},
    check=_check,
    variants=({"mask": "causal"}, {"mask": "1 0 / 1 1 0 / 0 1"}),
    expand=_expand,
    lines={
        "torch": {
            "composed": _composed(*_TORCH, "({scores}).masked_fill(~{mask}, -torch.inf)"),
            "lowest": _composed(*_TORCH, "torch.where({mask}, {scores}, torch.finfo(q.dtype).min)"),
            "of_matrices": _own(
                "torch", "F.scaled_dot_product_attention(q, k, v{})", ", attn_mask={}"
            ),
            "of_heads": _own(
                "torch",
                "F.scaled_dot_product_attention(*(each.reshape(-1, 1, *each.shape[-2:]) "
                "for each in (q, k, v)){}).reshape(q.shape)",
                ", attn_mask={}",
            ),
        },
        "tensorflow": {
            "composed": _composed(
                *_TENSORFLOW, "tf.where({mask}, {scores}, tf.constant(-np.inf, q.dtype))"
            ),
            "lowest": _composed(*_TENSORFLOW, "tf.where({mask}, {scores}, q.dtype.min)"),
        },
        "jax": {
            "composed": _composed(*_JAX, "jnp.where({mask}, {scores}, -jnp.inf)"),
            "lowest": _composed(*_JAX, "jnp.where({mask}, {scores}, jnp.finfo(q.dtype).min)"),
            "dot_product_attention": _own(
                "jax",
                "jax.nn.dot_product_attention(*(each[..., None, :] for each in (q, k, v)){})"
                "[..., 0, :]",
                ", mask={}[None]",
            ),
        },
    },
    words="Each row takes of the others what its scores say; what goes down goes three ways.",
    is_drawn=False,
)
