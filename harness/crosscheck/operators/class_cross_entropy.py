"""Cross-entropy of logits with a class for each row: -c Σ log softmax(a) at the class.

    ∂J/∂a = c (softmax(a) - 1 at the class).

The classes are part of the network, as an attribute: whole numbers, one for each row; fewer of them
are repeated over the rows. ``reduction`` is ``"sum"``, or ``"rows"`` or ``"mean"``, both of which
are the mean over rows. It is `crosscheck.operators.cross_entropy` with ones and zeros for targets.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crosscheck.formulas.tree import Call, Expression, Over, Symbol, Words
from crosscheck.operators.cross_entropy import in_both_ways
from crosscheck.operators.formulas import scaled
from crosscheck.operators.operator import Attribute, Line, Operator, Use, require_shape
from crosscheck.operators.reductions import check_reduction, counted, row_lines
from crosscheck.operators.words import wholes
from crosscheck.program.graph import Var
from crosscheck.program.places import Places
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]


def _classes(classes: Attribute, rows: int = 1) -> list[int]:
    """The class of each row."""
    found = wholes("classes", classes)
    if min(found) < 0:
        raise UsageError(f"classes={classes!r}, wanted numbers of classes, from 0 on")
    return [int(each) for each in np.resize(np.array(found), rows)]


def _expand(a: Var, classes: Attribute, factor: Attribute, reduction: Attribute) -> Var:
    require_shape("class_cross_entropy", [a.shape], 2)
    rows, count = a.shape
    given = len(wholes("classes", classes))
    chosen = _classes(classes, rows)
    if given > rows or max(wholes("classes", classes)) >= count:
        raise UsageError(
            f"class_cross_entropy: classes={classes!r} of logits of shape {a.shape}, wanted at "
            f"most a class for each of {rows} rows, from 0 to {count - 1}"
        )
    places = Places([row * count + each for row, each in enumerate(chosen)])
    wanted = a.graph.ones((rows,)).scatter(places, a.shape)
    return in_both_ways(a, wanted, factor, counted((rows,), reduction))


def _formula(a: Symbol, classes: Attribute, factor: Attribute, reduction: Attribute) -> Expression:
    words = " ".join(map(str, wholes("classes", classes)))
    term = Call("-logsoftmax", (a, Words(f"classes {words}")))
    total = Over((("r", 0),), term) if reduction == "sum" else Call("mean", (term,))
    return scaled(factor, total)


def _check(attributes: Mapping[str, Attribute]) -> None:
    _classes(attributes["classes"])
    check_reduction(attributes)


def _line(write: str) -> Line:
    def line(use: Use) -> str:
        chosen = _classes(use.attributes["classes"], use.shapes["a"][-2])
        return write.replace("CLASSES", repr(chosen))

    return line


_NLL = 'F.nll_loss(F.log_softmax(a, -1).movedim(-1, 1), {}, reduction="none")'
_TORCH = "torch.tensor(CLASSES).expand(a.shape[:-1])"

OPERATOR = Operator(
    name="class_cross_entropy",
    role="loss",
    formula=_formula,
    operands=("a",),
    attributes={"classes": "1 0", "factor": 1.0, "reduction": "rows"},
    check=_check,
    variants=({"reduction": "sum"},),
    expand=_expand,
    lines=row_lines(
        {
            "torch": {
                "cross_entropy": _line(
                    f'F.cross_entropy(a.movedim(-1, 1), {_TORCH}, reduction="none")'
                ),
                "nll_loss": _line(_NLL.format(_TORCH)),
            },
            "tensorflow": {
                "with_logits": _line(
                    "tf.nn.sparse_softmax_cross_entropy_with_logits("
                    "tf.broadcast_to(CLASSES, tf.shape(a)[:-1]), a)"
                ),
                "log_softmax": _line(
                    "-tf.gather(tf.nn.log_softmax(a), "
                    "tf.broadcast_to(CLASSES, tf.shape(a)[:-1]), batch_dims=len(a.shape) - 1)"
                ),
            },
            "jax": {
                "log_softmax": _line(
                    "-jnp.take_along_axis(jax.nn.log_softmax(a), jnp.broadcast_to("
                    "np.array(CLASSES), a.shape[:-1])[..., None], -1)[..., 0]"
                ),
                "one_hot": _line(
                    "-jnp.sum(jax.nn.one_hot(np.array(CLASSES), a.shape[-1], dtype=a.dtype) "
                    "* jax.nn.log_softmax(a), -1)"
                ),
            },
        },
        is_one_term=True,
    ),
    words="What goes down is the shares that were given, less 1 for the class that was wanted.",
    is_drawn=False,
)
