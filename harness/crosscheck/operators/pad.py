"""Padding with zeros along an axis: what comes down to a zero goes nowhere."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crosscheck.formulas.tree import Call, Expression, Words
from crosscheck.operators.operator import Attribute, Line, Operator, Use
from crosscheck.operators.places import moved
from crosscheck.operators.words import axes_of, whole
from crosscheck.program.graph import Var

__all__ = ["OPERATOR"]


def _widths(
    count: int, axes: Attribute, before: Attribute, after: Attribute
) -> list[tuple[int, int]]:
    """What is added before and after, for the last ``count`` axes."""
    more = whole("before", before), whole("after", after)
    chosen = axes_of(axes, (1,) * count)
    return [more if at - count in chosen else (0, 0) for at in range(count)]


def _expand(x: Var, axes: Attribute, before: Attribute, after: Attribute) -> Var:
    widths = _widths(len(x.shape), axes, before, after)
    return moved(x, lambda places: np.pad(places, widths, constant_values=-1))


def _formula(x: Expression, axes: Attribute, before: Attribute, after: Attribute) -> Expression:
    chosen = ", ".join(map(str, axes_of(axes)))
    words = f"{whole('before', before)} before and {whole('after', after)} after, axis {chosen}"
    return Call("pad", (x, Words(words)))


def _check(attributes: Mapping[str, Attribute]) -> None:
    axes_of(attributes["axes"])
    whole("before", attributes["before"])
    whole("after", attributes["after"])


def _line(write: str) -> Line:
    def line(use: Use) -> str:
        count = -axes_of(use.attributes["axes"])[0]
        widths = _widths(count, **use.attributes)
        from_the_last = tuple(size for pair in reversed(widths) for size in pair)
        return write.format(count=count, widths=widths, from_the_last=from_the_last)

    return line


OPERATOR = Operator(
    name="pad",
    role="stage",
    formula=_formula,
    operands=("x",),
    attributes={"axes": -2, "before": 1, "after": 1},
    check=_check,
    variants=({"axes": "-3 -2", "before": 0, "after": 2},),
    tried_on=(2, 2, 2, 1),
    expand=_expand,
    lines={
        "torch": {"pad": _line("F.pad(x, {from_the_last})")},
        "tensorflow": {"pad": _line("tf.pad(x, [(0, 0)] * (len(x.shape) - {count}) + {widths})")},
        "jax": {"pad": _line("jnp.pad(x, [(0, 0)] * (x.ndim - {count}) + {widths})")},
    },
    words="Zeros are put around; what comes to them goes nowhere.",
)
