"""Layer norm: each row has its mean taken away and is divided by its deviation."""

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
    return normalized(z, weight, bias, eps, -1)


def _formula(z: Expression, weight: Expression, bias: Expression, eps: Attribute) -> Expression:
    return Sum((Product((weight, Call("layernorm", (z,)))), bias))


OPERATOR = Operator(
    name="layer_norm",
    role="activation",
    formula=_formula,
    operands=("z", "weight", "bias"),
    attributes={"eps": EPS},
    parameters=of_features,
    check=check_eps,
    expand=_expand,
    lines=norm_lines(-1),
    words="Each row is brought to mean 0 and deviation 1; what goes down has neither of them.",
    is_drawn=False,
)
