"""The same numbers in the same order under another shape: nothing is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping

from crosscheck.formulas.tree import Call, Expression, Words
from crosscheck.operators.operator import Attribute, Line, Operator, Use
from crosscheck.operators.places import moved
from crosscheck.operators.words import wholes
from crosscheck.program.graph import Shape, Var
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]


def _shape(value: Attribute) -> Shape:
    found = wholes("shape", value)
    if min(found) < 1:
        raise UsageError(f"shape={value!r}, wanted whole numbers from 1 on")
    return found


def _expand(x: Var, shape: Attribute) -> Var:
    wanted = _shape(shape)
    if math.prod(wanted) != math.prod(x.shape):
        raise UsageError(f"reshape: shape {x.shape} to {wanted}, wanted as many numbers")
    return moved(x, lambda places: places.reshape(wanted))


def _formula(x: Expression, shape: Attribute) -> Expression:
    return Call("reshape", (x, Words(" × ".join(map(str, _shape(shape))))))


def _check(attributes: Mapping[str, Attribute]) -> None:
    _shape(attributes["shape"])


def _line(text: str) -> Line:
    def line(use: Use) -> str:
        return text.format(repr(_shape(use.attributes["shape"])))

    return line


OPERATOR = Operator(
    name="reshape",
    role="stage",
    formula=_formula,
    operands=("x",),
    attributes={"shape": "2 3 2"},
    check=_check,
    tried_on=(2, 6),
    of_one_case=True,
    expand=_expand,
    lines={
        "torch": {"reshape": _line("x.reshape({})")},
        "tensorflow": {"reshape": _line("tf.reshape(x, {})")},
        "jax": {"reshape": _line("x.reshape({})")},
    },
    words="The numbers stay in their order; only where an axis ends is another matter.",
    is_drawn=False,
)
