"""Binary cross-entropy of logits: c Σ (log(1 + eᵃ) - a y); its derivative is c (σ(a) - y)."""

from __future__ import annotations

from crosscheck.formulas.tree import Call, Difference, Product
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.operators.reductions import check_reduction, loss_lines, reduced, reduced_formula
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]


def _expand(a: Var, y: Var, factor: Attribute, reduction: Attribute) -> Var:
    return reduced(a.elementary("softplus") - a * y, factor, reduction)


OPERATOR = Operator(
    name="binary_cross_entropy",
    role="loss",
    formula=reduced_formula(lambda a, y: Difference(Call("softplus", (a,)), Product((a, y)))),
    operands=("a", "y"),
    targets=frozenset({"y"}),
    attributes={"factor": 1.0, "reduction": "mean"},
    check=check_reduction,
    variants=({"reduction": "sum"},),
    expand=_expand,
    lines=loss_lines(
        {
            "torch": {"softplus": "F.softplus(a) - a * y"},
            "tensorflow": {"softplus": "tf.nn.softplus(a) - a * y"},
            "jax": {"softplus": "jax.nn.softplus(a) - a * y"},
        }
    ),
    words="What goes down is the share that was given less the one that was wanted.",
    is_drawn=False,
)
