"""The smaller of two numbers, whose derivative is what the larger one's leaves.

    smaller    y = min(a₁, a₂)      (1 - w₁) g, (1 - w₂) g

along the last axis, of length 2, with the weights w that ``largest`` has at the same site
(`crosscheck.program.rules`): where the two are equal whoever takes one for the larger takes the
other for the smaller. As w₁ + w₂ = 1, what the larger is not sent is what the other one is: 1 - w
is w with its entries exchanged, and nothing is subtracted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.program.graph import Node, Var
from crosscheck.program.places import Places

__all__ = ["PAIRS"]

Settings = Mapping[str, Any]
_MINUS = (Fraction(-1),)


def _value(n: Any, node: Node, x: Sequence[Any]) -> Any:
    return n.times(n.maximum(n.times(x[0], _MINUS)), _MINUS)


def _exchanged(a: Var) -> Var:
    places = np.arange(int(np.prod(a.shape))).reshape(a.shape)[..., ::-1]
    return a.take(Places(places.ravel().tolist()), a.shape)


def _rest(a: Var, c: Var) -> Var:
    return _exchanged(a.graph.apply("largest", (a, _exchanged(c)), a.shape))


def _vjp(g: Var, y: Var, x: Sequence[Var], _: Settings) -> Sequence[Var]:
    (a,) = x
    whole = g.expand(-1).broadcast(a.shape)
    return (_exchanged(a.graph.apply("largest", (a, whole), a.shape)),)


def _jvp(t: Sequence[Var | None], y: Var, x: Sequence[Var], _: Settings) -> Var | None:
    return None if t[0] is None else _rest(x[0], t[0]).sum(-1)


PAIRS: tuple[tuple[str, Callable[..., Any], Callable[..., Any], Callable[..., Any]], ...] = (
    ("smaller", _value, _vjp, _jvp),
)
"""As of `crosscheck.program.compounds.COMPOUNDS`."""
