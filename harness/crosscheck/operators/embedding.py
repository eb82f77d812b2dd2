"""Rows of a table, by their numbers: each is sent the sum of what comes to all its places.

The numbers are part of the network, as an attribute; a row that none of them names is sent zero.
"""

from __future__ import annotations

from collections.abc import Mapping

from crosscheck.formulas.tree import Call, Expression, Words
from crosscheck.operators.operator import Attribute, Operator, Use
from crosscheck.operators.places import moved
from crosscheck.operators.words import wholes
from crosscheck.program.graph import Shape, Var
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]

_ROWS = 4


def _numbers(indices: Attribute) -> list[int]:
    found = list(wholes("indices", indices))
    if min(found) < 0:
        raise UsageError(f"indices={indices!r}, wanted numbers of rows, from 0 on")
    return found


def _expand(W: Var, indices: Attribute) -> Var:
    chosen = _numbers(indices)
    if len(W.shape) != 2 or max(chosen) >= W.shape[0]:
        raise UsageError(f"embedding: shape {W.shape}, wanted a table with row {max(chosen)}")
    return moved(W, lambda places: places[chosen])


def _formula(W: Expression, indices: Attribute) -> Expression:
    return Call("rows", (W, Words(", ".join(map(str, _numbers(indices))))))


def _check(attributes: Mapping[str, Attribute]) -> None:
    _numbers(attributes["indices"])


def _parameters(shape: Shape, units: int) -> Mapping[str, Shape]:
    return {"W": (_ROWS, units)}


def _torch(use: Use) -> str:
    return f"F.embedding(torch.tensor({_numbers(use.attributes['indices'])}), W)"


def _tensorflow(use: Use) -> str:
    return f"tf.gather(W, {_numbers(use.attributes['indices'])}, axis=-2)"


def _jax(use: Use) -> str:
    return f"jnp.take(W, np.array({_numbers(use.attributes['indices'])}), axis=-2)"


OPERATOR = Operator(
    name="embedding",
    role="table",
    formula=_formula,
    operands=("W",),
    attributes={"indices": "2 0 2 3 2"},
    check=_check,
    parameters=_parameters,
    of_one_case=True,
    expand=_expand,
    lines={
        "torch": {"embedding": _torch},
        "tensorflow": {"gather": _tensorflow},
        "jax": {"take": _jax},
    },
    words="Rows of a table are looked up; each is sent what comes to all its places.",
)
