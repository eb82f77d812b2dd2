"""Rules of what norms are made of: statistics by updates, and derivatives as libraries write them.

    updated        m = Σ z / n, or S = Σ (z - m)²      g / n repeated, or 2 (z - m) g
    derived        y of operands z, w, b               as one of two

*By updates* means and variances are formed number by number or by merging parts, which rounds in
another way than sums do (`crosscheck.numbers.updates`).

*Derived* is a norm y = w (z - m) r + b, in whatever way it was computed, with r = 1 / √(S / n + ε),
whose derivative is written out. With ĝ = g w and all sums along the axis of the mean, ``"folded"``

    ∂J/∂z = r ĝ + β z + γ,    β = (m Σ ĝ - Σ ĝ z) r³ / n,    γ = -β m - r Σ ĝ / n

and ``"centred"``, for a w that is the same along that axis,

    ∂J/∂z = (g - Σ g / n - (z - m) κ) r w,    κ = r² / n Σ (z - m) g.

The first takes a large mean out of z only at the end: where |m| is far beyond the deviation it
loses as many digits as the ratio has, and its bound says so. ∂J/∂w is Σ g (r z - r m), or
r Σ (z - m) g.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from crosscheck.program.graph import Node, Var

__all__ = ["NORMS"]

Settings = Mapping[str, Any]


def _updated_value(n: Any, node: Node, x: Sequence[Any]) -> Any:
    return n.updated(x[0], node.settings["axis"], node.settings["order"])


def _mean(z: Var, axis: int) -> Var:
    return z.sum(axis, keep=True).times(Fraction(1, z.shape[axis]))


def _updated_vjp(g: Var, y: Var, x: Sequence[Var], s: Settings) -> Sequence[Var]:
    (z,) = x
    if s["order"] == 1:
        return (g.times(Fraction(1, z.shape[s["axis"]])).broadcast(z.shape),)
    return (((z - _mean(z, s["axis"])) * g).times(2),)


def _updated_jvp(t: Sequence[Var | None], y: Var, x: Sequence[Var], s: Settings) -> Var | None:
    if t[0] is None:
        return None
    if s["order"] == 1:
        return _mean(t[0], s["axis"])
    return ((x[0] - _mean(x[0], s["axis"])) * t[0]).sum(s["axis"], keep=True).times(2)


def _derived_vjp(g: Var, y: Var, x: Sequence[Var], s: Settings) -> Sequence[Var | None]:
    """Of y, m, r, z, w and b; nothing goes down by the first three."""
    _, m, r, z, w, b = x
    axes: tuple[int, ...] = s["axes"]
    share = Fraction(1, math.prod(z.shape[axis] for axis in axes))
    if s["form"] == "folded":
        total = (g * w).sum(*axes, keep=True)
        beta = ((total * m - (g * z * w).sum(*axes, keep=True)) * r * r * r).times(share)
        gamma = (beta * m).times(-1) + (total * r).times(-share)
        by_z = r * g * w + beta * z + gamma
        by_w = g * (r * z + (r * m).times(-1))
    else:
        centred = z - m
        dot = (centred * g).sum(*axes, keep=True)
        kappa = (dot * r * r).times(share)
        average = g.sum(*axes, keep=True).times(-share)
        by_z = (g + average + (centred * kappa).times(-1)) * r * w
        by_w = dot * r
    return None, None, None, by_z, _to_shape(by_w, w), _to_shape(g, b)


def _to_shape(g: Var, operand: Var) -> Var:
    """Σ over the axes along which an operand is repeated."""
    axes = [
        at - len(g.shape)
        for at, (size, wanted) in enumerate(zip(g.shape, operand.shape, strict=True))
        if wanted == 1 and size != 1
    ]
    return g.sum(*axes, keep=True) if axes else g


NORMS: tuple[tuple[str, Callable[..., Any], Callable[..., Any], Callable[..., Any]], ...] = (
    ("updated", _updated_value, _updated_vjp, _updated_jvp),
    ("derived", lambda n, node, x: x[0], _derived_vjp, lambda t, y, x, s: t[0]),
)
"""As of `crosscheck.program.compounds.COMPOUNDS`."""
