"""All axes behind the first one as one: nothing is computed."""

from __future__ import annotations

from crosscheck.formulas.tree import Call
from crosscheck.operators.operator import Line, Operator
from crosscheck.operators.places import moved
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]


def _expand(x: Var) -> Var:
    if len(x.shape) < 2:
        raise UsageError(f"flatten: shape {x.shape}, wanted two axes at least")
    return moved(x, lambda places: places.reshape(len(places), -1))


def _line(text: str) -> Line:
    return lambda use: text.replace("COUNT", str(len(use.shapes["x"]) - 1))


OPERATOR = Operator(
    name="flatten",
    role="stage",
    formula=lambda x: Call("flatten", (x,)),
    operands=("x",),
    tried_on=(2, 2, 2),
    expand=_expand,
    lines={
        "torch": {"flatten": _line("x.flatten(-COUNT)")},
        "tensorflow": {"reshape": _line("tf.reshape(x, (*x.shape[:-COUNT], -1))")},
        "jax": {"reshape": _line("x.reshape(*x.shape[:-COUNT], -1)")},
    },
    words="The numbers of a row are put side by side.",
)
