"""The absolute error: c Σ |a - y|; ∂J/∂a = c sign(a - y), a choice in [-c, c] where a = y."""

from __future__ import annotations

from crosscheck.formulas.tree import Absolute, Difference
from crosscheck.numbers.piecewise import piecewise
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.operators.reductions import check_reduction, loss_lines, reduced, reduced_formula
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]

_SIZE = piecewise("|d|", "|d|", "0", "0 -1", "0 1")


def _expand(a: Var, y: Var, factor: Attribute, reduction: Attribute) -> Var:
    return reduced((a - y).piecewise(_SIZE), factor, reduction)


OPERATOR = Operator(
    name="absolute_error",
    role="loss",
    formula=reduced_formula(lambda a, y: Absolute(Difference(a, y))),
    operands=("a", "y"),
    targets=frozenset({"y"}),
    attributes={"factor": 1.0, "reduction": "sum"},
    check=check_reduction,
    variants=({"factor": 1.0, "reduction": "mean"}, {"reduction": "rows"}, {"factor": "1/3"}),
    expand=_expand,
    lines=loss_lines(
        {
            "torch": {"abs": "torch.abs(a - y)"},
            "tensorflow": {"abs": "tf.abs(a - y)"},
            "jax": {"abs": "jnp.abs(a - y)"},
        }
    ),
    words="The residuals' sizes are added up; what goes down is their sign.",
)
