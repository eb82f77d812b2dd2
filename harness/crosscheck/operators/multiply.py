"""Two arrays multiplied entry by entry: each is sent what comes, times the other.

A mask of zeros and ones, or of any numbers, is an input like any other.
"""

from __future__ import annotations

from crosscheck.formulas.tree import Product
from crosscheck.operators.operator import Operator
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]


def _expand(a: Var, b: Var) -> Var:
    if a.shape != b.shape:
        raise UsageError(f"multiply: shapes {a.shape} and {b.shape}, wanted one shape")
    return a * b


OPERATOR = Operator(
    name="multiply",
    role="join",
    formula=lambda a, b: Product((a, b)),
    operands=("a", "b"),
    expand=_expand,
    lines={each: {"multiply": "a * b"} for each in ("torch", "tensorflow", "jax")},
    words="Two paths are multiplied: what comes down goes to each, times the other.",
    is_drawn=False,
)
