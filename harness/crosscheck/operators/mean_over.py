"""Means over axes: Σ / n, of n terms; what comes down is shared out among them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

from crosscheck.formulas.tree import Call, Expression
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.operators.sum_over import over_axes, words_of
from crosscheck.operators.words import axes_of
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]


def _expand(x: Var, axes: Attribute) -> Var:
    chosen = axes_of(axes, x.shape)
    return x.sum(*chosen).times(Fraction(1, math.prod(x.shape[axis] for axis in chosen)))


def _formula(x: Expression, axes: Attribute) -> Expression:
    return Call("mean", (x, words_of(axes)))


def _check(attributes: Mapping[str, Attribute]) -> None:
    axes_of(attributes["axes"])


OPERATOR = Operator(
    name="mean",
    role="stage",
    formula=_formula,
    operands=("x",),
    attributes={"axes": -2},
    check=_check,
    variants=({"axes": "-3 -2"},),
    tried_on=(2, 2, 3, 2),
    expand=_expand,
    lines={
        "torch": {"mean": over_axes("x.mean(AXES)")},
        "tensorflow": {"reduce_mean": over_axes("tf.reduce_mean(x, axis=AXES)")},
        "jax": {"mean": over_axes("jnp.mean(x, axis=AXES)")},
    },
    words="Terms are added up and divided by their number; each is sent its share.",
)
