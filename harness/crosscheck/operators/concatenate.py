"""Two arrays put side by side along an axis: each has its part of what comes down."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from crosscheck.formulas.tree import Call, Expression, Words
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.operators.places import moved
from crosscheck.operators.words import axes_of
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]


def _expand(a: Var, b: Var, axis: Attribute) -> Var:
    at = _axis(axis)
    others = [tuple(np.delete(each.shape, at)) if -at <= len(each.shape) else () for each in (a, b)]
    if len(a.shape) != len(b.shape) or others[0] != others[1] or -at > len(a.shape):
        raise UsageError(
            f"concatenate: shapes {a.shape} and {b.shape}, wanted equal ones but for axis {at}"
        )

    def beside(before: int, after: int) -> list[tuple[int, int]]:
        return [(before, after) if k - len(a.shape) == at else (0, 0) for k in range(len(a.shape))]

    def put(x: Var, before: int, after: int) -> Var:
        def change(places: NDArray[np.intp]) -> NDArray[np.intp]:
            return np.pad(places, beside(before, after), constant_values=-1)

        return moved(x, change)

    return put(a, 0, b.shape[at]) + put(b, a.shape[at], 0)


def _axis(axis: Attribute) -> int:
    found = axes_of(axis)
    if len(found) > 1:
        raise UsageError(f"axis={axis!r}, wanted one, counted from the last: -1, -2, …")
    return found[0]


def _formula(a: Expression, b: Expression, axis: Attribute) -> Expression:
    return Call("concatenate", (a, b, Words(f"axis {_axis(axis)}")))


def _check(attributes: Mapping[str, Attribute]) -> None:
    _axis(attributes["axis"])


OPERATOR = Operator(
    name="concatenate",
    role="join",
    formula=_formula,
    operands=("a", "b"),
    attributes={"axis": -1},
    check=_check,
    variants=({"axis": -2},),
    expand=_expand,
    lines={
        "torch": {"cat": lambda use: f"torch.cat([a, b], {_axis(use.attributes['axis'])})"},
        "tensorflow": {"concat": lambda use: f"tf.concat([a, b], {_axis(use.attributes['axis'])})"},
        "jax": {
            "concatenate": lambda use: f"jnp.concatenate([a, b], {_axis(use.attributes['axis'])})"
        },
    },
    words="Two arrays are put side by side; each is sent what comes to its part.",
)
