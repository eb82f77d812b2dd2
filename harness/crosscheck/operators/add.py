"""A residual sum: two arrays of one shape added, each of which has the cotangent of the sum."""

from __future__ import annotations

from crosscheck.formulas.tree import Sum
from crosscheck.operators.operator import Operator
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]


def _expand(a: Var, b: Var) -> Var:
    if a.shape != b.shape:
        raise UsageError(f"add: shapes {a.shape} and {b.shape}, wanted one shape")
    return a + b


OPERATOR = Operator(
    name="add",
    role="join",
    formula=lambda a, b: Sum((a, b)),
    operands=("a", "b"),
    expand=_expand,
    lines={each: {"add": "a + b"} for each in ("torch", "tensorflow", "jax")},
    words="Two paths meet: what comes down goes to both.",
)
