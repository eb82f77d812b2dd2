"""Cross-entropy of logits with targets that are shares: -c Σ y log softmax(a).

    ∂J/∂a = c (softmax(a) Σ y - y),

for any y; where a row of y adds up to 1 that is c (softmax(a) - y), which is what functions that
take it for granted return, as TensorFlow's: of targets that add up to something else they return
the derivative of something else. ``reduction="rows"`` is the mean over rows, as PyTorch's
``cross_entropy``. Term by term or row by row, its derivative too: `crosscheck.program.compounds`.
"""

from __future__ import annotations

from crosscheck.formulas.tree import Call, Product
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.operators.reductions import (
    check_reduction,
    counted,
    loss_lines,
    reduced_formula,
    row_lines,
    summed,
)
from crosscheck.program.alternatives import ways
from crosscheck.program.graph import Var

__all__ = ["OPERATOR", "in_both_ways"]


def in_both_ways(a: Var, y: Var, factor: Attribute, count: int) -> Var:
    """-c Σ y log softmax(a) over all terms, or over the rows of sums of them.

    Args:
        a: The logits.
        y: The targets, of its shape.
        factor: A part of c.
        count: The other part is 1 / count.
    """
    terms = summed((a.log_softmax() * y).times(-1), factor, count)
    return ways((a, y), terms, summed(a.cross_entropy(y), factor, count))


def _expand(a: Var, y: Var, factor: Attribute, reduction: Attribute) -> Var:
    return in_both_ways(a, y, factor, counted(a.shape, reduction))


_LOG_SOFTMAX = loss_lines(
    {
        "torch": {"log_softmax": "-y * F.log_softmax(a, -1)"},
        "tensorflow": {"log_softmax": "-y * tf.nn.log_softmax(a)"},
        "jax": {"log_softmax": "-y * jax.nn.log_softmax(a)"},
    }
)
_OF_ROWS = row_lines(
    {
        "torch": {
            "cross_entropy": 'F.cross_entropy(a.movedim(-1, 1), y.movedim(-1, 1), reduction="none")'
        },
        "tensorflow": {"with_logits": "tf.nn.softmax_cross_entropy_with_logits(y, a)"},
        "jax": {"einsum": 'jnp.einsum("...i,...i", -y, jax.nn.log_softmax(a))'},
    }
)

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
    lines={name: {**each, **_OF_ROWS[name]} for name, each in _LOG_SOFTMAX.items()},
    words="What goes down is the shares that were given less those that were wanted.",
    is_drawn=False,
)
