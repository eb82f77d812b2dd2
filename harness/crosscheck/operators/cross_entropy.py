"""Cross-entropy of logits with targets that are shares: -c Σ y log softmax(a).

    ∂J/∂a = c (softmax(a) Σ y - y),

for any y; where a row of y adds up to 1 that is c (softmax(a) - y), which is what functions that
take it for granted return. ``reduction="rows"`` is the mean over rows, as PyTorch's
``cross_entropy``.
"""

from __future__ import annotations

from crosscheck.formulas.tree import Call, Product
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.operators.reductions import check_reduction, loss_lines, reduced, reduced_formula
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]


def _expand(a: Var, y: Var, factor: Attribute, reduction: Attribute) -> Var:
    return reduced((a.log_softmax() * y).times(-1), factor, reduction)


OPERATOR = Operator(
    name="cross_entropy",
    role="loss",
    formula=reduced_formula(lambda a, y: Product((y, Call("-logsoftmax", (a,))))),
    operands=("a", "y"),
    targets=frozenset({"y"}),
    attributes={"factor": 1.0, "reduction": "rows"},
    check=check_reduction,
    variants=({"reduction": "sum"},),
    expand=_expand,
    lines=loss_lines(
        {
            "torch": {"log_softmax": "-y * F.log_softmax(a, -1)"},
            "tensorflow": {"log_softmax": "-y * tf.nn.log_softmax(a)"},
            "jax": {"log_softmax": "-y * jax.nn.log_softmax(a)"},
        }
    ),
    words="What goes down is the shares that were given less those that were wanted.",
    is_drawn=False,
)
