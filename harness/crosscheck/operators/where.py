"""One number or another, as a third is positive or not: what comes down goes to the one taken.

The condition c > 0 is on numbers that are given, which everybody has exactly, so that nothing is
open; it is no kink where c = 0, as it does not move. In primitives m a + (1 - m) b, where m is 1 or
0: products that are exact, and a sum of which one term is zero.
"""

from __future__ import annotations

from crosscheck.formulas.tree import Cases, Comparison, Expression
from crosscheck.numbers.piecewise import piecewise
from crosscheck.operators.formulas import number
from crosscheck.operators.operator import Operator
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]

_TAKEN = piecewise("1 where c > 0", "1 where c > 0", "0", "0", "1")
_OTHER = piecewise("1 where c <= 0", "1 where c <= 0", "0", "1", "0")


def _expand(c: Var, a: Var, b: Var) -> Var:
    if not a.shape == b.shape == c.shape:
        raise UsageError(f"where: shapes {c.shape}, {a.shape}, {b.shape}, wanted one shape")
    if c.node.op != "input":
        raise UsageError("where: its condition is computed, wanted an array that is given")
    return c.piecewise(_TAKEN) * a + c.piecewise(_OTHER) * b


def _formula(c: Expression, a: Expression, b: Expression) -> Expression:
    return Cases(((a, Comparison(c, ">", number(0))),), b)


OPERATOR = Operator(
    name="where",
    role="join",
    formula=_formula,
    operands=("c", "a", "b"),
    targets=frozenset({"c"}),
    expand=_expand,
    lines={
        "torch": {"where": "torch.where(c > 0, a, b)"},
        "tensorflow": {"where": "tf.where(c > 0, a, b)"},
        "jax": {"where": "jnp.where(c > 0, a, b)"},
    },
    words="One of two numbers is taken, and is sent what comes to it.",
)
