"""Sums over axes: whatever comes down goes to each term."""

from __future__ import annotations

from collections.abc import Mapping

from crosscheck.formulas.tree import Call, Expression, Words
from crosscheck.operators.operator import Attribute, Line, Operator, Use
from crosscheck.operators.words import axes_of
from crosscheck.program.graph import Var

__all__ = ["OPERATOR", "over_axes", "words_of"]


def over_axes(text: str) -> Line:
    """A line with the axes in it, as a tuple in the place of ``AXES``."""

    def line(use: Use) -> str:
        return text.replace("AXES", repr(axes_of(use.attributes["axes"])))

    return line


def words_of(axes: Attribute) -> Words:
    """Axes in a formula."""
    found = ", ".join(map(str, axes_of(axes)))
    return Words(f"over axis {found}" if "," not in found else f"over axes {found}")


def _expand(x: Var, axes: Attribute) -> Var:
    return x.sum(*axes_of(axes, x.shape))


def _formula(x: Expression, axes: Attribute) -> Expression:
    return Call("sum", (x, words_of(axes)))


def _check(attributes: Mapping[str, Attribute]) -> None:
    axes_of(attributes["axes"])


OPERATOR = Operator(
    name="sum",
    role="stage",
    formula=_formula,
    operands=("x",),
    attributes={"axes": -2},
    check=_check,
    variants=({"axes": "-3 -2"},),
    tried_on=(2, 2, 3, 2),
    expand=_expand,
    lines={
        "torch": {"sum": over_axes("x.sum(AXES)")},
        "tensorflow": {"reduce_sum": over_axes("tf.reduce_sum(x, axis=AXES)")},
        "jax": {"sum": over_axes("jnp.sum(x, axis=AXES)")},
    },
    words="Terms are added up; each is sent what comes to their sum.",
)
