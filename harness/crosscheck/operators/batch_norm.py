"""Batch norm as in training: mean and deviation of each feature are those over the rows.

Nothing is kept from one batch to the next.
"""

from __future__ import annotations

from crosscheck.formulas.tree import Call, Expression, Product, Sum
from crosscheck.operators.normalized import (
    EPS,
    check_eps,
    norm_lines,
    normalized,
    of_features,
)
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]


def _expand(z: Var, weight: Var, bias: Var, eps: Attribute) -> Var:
    return normalized(z, weight, bias, eps, -2)


def _formula(z: Expression, weight: Expression, bias: Expression, eps: Attribute) -> Expression:
    return Sum((Product((weight, Call("batchnorm", (z,)))), bias))


OPERATOR = Operator(
    name="batch_norm",
    role="activation",
    formula=_formula,
    operands=("z", "weight", "bias"),
    attributes={"eps": EPS},
    parameters=of_features,
    check=check_eps,
    expand=_expand,
    lines=norm_lines(-2),
    words="Each feature is brought to mean 0 and deviation 1 over the rows.",
    is_drawn=False,
)
