"""The quotient a / b, entry by entry, with the derivatives 1 / b and -a / b².

As a program it is the product with a reciprocal, and so bounded as one, with the roundings that
were measured of divisions: that holds a quotient that is rounded once, and one that a compiler
makes of a product with a rounded reciprocal. Where 1 / b is not a number of the dtype, nothing is
known of a / b.
"""

from __future__ import annotations

from crosscheck.formulas.tree import Call, Expression
from crosscheck.operators.operator import Operator
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]


def _expand(a: Var, b: Var) -> Var:
    return a * b.elementary("reciprocal", row="quotient")


def _formula(a: Expression, b: Expression) -> Expression:
    return Call("quotient", (a, b))


OPERATOR = Operator(
    name="division",
    role="join",
    formula=_formula,
    operands=("a", "b"),
    expand=_expand,
    lines={each: {"division": "a / b"} for each in ("torch", "tensorflow", "jax")},
    words="What goes down is divided by b; to b goes minus the quotient times that.",
    is_drawn=False,
    is_of_positive=True,
)
