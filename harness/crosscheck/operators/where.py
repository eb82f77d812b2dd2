"""One of two numbers, by a pattern along the features: what comes down goes to the one taken.

The pattern is part of the network, as an attribute: ``"1 0 0"`` takes a, b, b, a, b, b, … . A
condition on numbers that are computed is a function with breakpoints, as `clip` and `prelu` are.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from crosscheck.formulas.tree import Call, Expression, Words
from crosscheck.operators.operator import Attribute, Line, Operator
from crosscheck.operators.places import moved
from crosscheck.operators.words import wholes
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]


def _pattern(mask: Attribute, features: int = 1) -> NDArray[np.bool_]:
    """For each feature whether a is taken."""
    found = wholes("mask", mask)
    if not set(found) <= {0, 1}:
        raise UsageError(f"mask={mask!r}, wanted zeros and ones: '1 0'")
    return np.resize(np.array(found, dtype=bool), features)


def _expand(a: Var, b: Var, mask: Attribute) -> Var:
    if a.shape != b.shape or not a.shape:
        raise UsageError(f"where: shapes {a.shape} and {b.shape}, wanted one shape with features")
    taken = _pattern(mask, a.shape[-1])
    kept = moved(a, lambda places: np.where(taken, places, -1))
    return kept + moved(b, lambda places: np.where(taken, -1, places))


def _formula(a: Expression, b: Expression, mask: Attribute) -> Expression:
    return Call("where", (Words(str(mask)), a, b))


def _check(attributes: Mapping[str, Attribute]) -> None:
    _pattern(attributes["mask"])


def _line(write: str) -> Line:
    return lambda use: write.replace(
        "TAKEN", repr(_pattern(use.attributes["mask"], use.shapes["a"][-1]).tolist())
    )


OPERATOR = Operator(
    name="where",
    role="join",
    formula=_formula,
    operands=("a", "b"),
    attributes={"mask": "1 0"},
    check=_check,
    expand=_expand,
    lines={
        "torch": {"where": _line("torch.where(torch.tensor(TAKEN), a, b)")},
        "tensorflow": {"where": _line("tf.where(TAKEN, a, b)")},
        "jax": {"where": _line("jnp.where(np.array(TAKEN), a, b)")},
    },
    words="One of two numbers is taken, and is sent what comes to it.",
)
