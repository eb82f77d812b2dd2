"""The hinge loss: c Σ max(0, 1 - y a); ∂J/∂a = -c y where the margin y a is below 1, else 0."""

from __future__ import annotations

from crosscheck.formulas.tree import Difference, Product
from crosscheck.numbers.piecewise import piecewise
from crosscheck.operators.formulas import larger, number
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.operators.reductions import check_reduction, loss_lines, reduced, reduced_formula
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]

_POSITIVE = piecewise("max(m, 0)", "max(m, 0)", "0", "0", "0 1")


def _expand(a: Var, y: Var, factor: Attribute, reduction: Attribute) -> Var:
    missing = a.graph.ones(a.shape) - y * a
    return reduced(missing.piecewise(_POSITIVE), factor, reduction)


OPERATOR = Operator(
    name="hinge",
    role="loss",
    formula=reduced_formula(lambda a, y: larger(number(0), Difference(number(1), Product((y, a))))),
    operands=("a", "y"),
    targets=frozenset({"y"}),
    attributes={"factor": 1.0, "reduction": "sum"},
    check=check_reduction,
    variants=({"factor": 1.0, "reduction": "mean"}, {"reduction": "rows"}, {"factor": "1/3"}),
    expand=_expand,
    lines=loss_lines(
        {
            "torch": {"relu": "torch.relu(1 - y * a)"},
            "tensorflow": {"relu": "tf.nn.relu(1 - y * a)"},
            "jax": {"relu": "jax.nn.relu(1 - y * a)"},
        }
    ),
    words="Outputs that are on the right side by a margin of 1 cost nothing.",
)
