"""The squared error: c Σ (a - y)²; c = ½ makes its derivative the residual.

∂J/∂a = 2 c (a - y), with c and 2 in any order and place. ``reduction="mean"`` with ``factor=1`` is
PyTorch's ``mse_loss`` and Keras's ``MeanSquaredError``.
"""

from __future__ import annotations

from crosscheck.formulas.tree import Difference, Square
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.operators.reductions import check_reduction, loss_lines, reduced, reduced_formula
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]


def _expand(a: Var, y: Var, factor: Attribute, reduction: Attribute) -> Var:
    residual = a - y
    return reduced(residual * residual, factor, reduction)


OPERATOR = Operator(
    name="squared_error",
    role="loss",
    formula=reduced_formula(lambda a, y: Square(Difference(a, y))),
    operands=("a", "y"),
    targets=frozenset({"y"}),
    attributes={"factor": 0.5, "reduction": "sum"},
    check=check_reduction,
    variants=({"factor": 1.0, "reduction": "mean"}, {"reduction": "rows"}, {"factor": "1/3"}),
    expand=_expand,
    lines=loss_lines(
        {
            "torch": {"square": "(a - y).square()"},
            "tensorflow": {"square": "tf.square(a - y)"},
            "jax": {"square": "jnp.square(a - y)"},
        }
    ),
    words="The residuals are squared and added up; what goes down is the residual.",
)
