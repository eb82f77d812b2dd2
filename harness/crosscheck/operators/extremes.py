"""The larger, or the smaller, of numbers: of two arrays, or along an axis.

The smaller of them is minus the larger one of -a and -b, which rounds nothing. Where several are
tied each has a weight, and the weights add up to 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crosscheck.formulas.tree import Call, Expression
from crosscheck.operators.operator import Attribute, Operator
from crosscheck.operators.places import moved
from crosscheck.operators.sum_over import over_axes, words_of
from crosscheck.operators.words import axes_of
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UsageError

__all__ = ["along_axes", "of_two"]


def _largest(x: Var, sign: int) -> Var:
    return x.times(sign).maximum().times(sign)


def of_two(name: str, sign: int, lines: Mapping[str, Mapping[str, str]], words: str) -> Operator:
    """The larger of two arrays entry by entry, for ``sign`` 1, or the smaller one, for -1."""

    def expand(a: Var, b: Var) -> Var:
        if a.shape != b.shape:
            raise UsageError(f"{name}: shapes {a.shape} and {b.shape}, wanted one shape")

        def put(x: Var, before: int) -> Var:
            beside = [(0, 0)] * len(x.shape) + [(before, 1 - before)]
            return moved(x, lambda at: np.pad(at[..., None], beside, constant_values=-1))

        return _largest(put(a, 0) + put(b, 1), sign)

    return Operator(
        name=name,
        role="join",
        formula=lambda a, b: Call("max" if sign > 0 else "min", (a, b)),
        operands=("a", "b"),
        expand=expand,
        lines=lines,
        words=words,
    )


def along_axes(
    name: str, sign: int, lines: Mapping[str, Mapping[str, str]], words: str
) -> Operator:
    """The largest along axes, for ``sign`` 1, or the smallest, for -1.

    Args:
        name: Of the operator.
        sign: Which of them.
        lines: With ``AXES`` for a tuple.
        words: As of `Operator`.
    """

    def expand(x: Var, axes: Attribute) -> Var:
        chosen = axes_of(axes, x.shape)
        kept = len(x.shape) - len(chosen)

        def change(at: np.ndarray) -> np.ndarray:
            turned = np.moveaxis(at, chosen, range(-len(chosen), 0))
            return turned.reshape(*turned.shape[:kept], -1)

        return _largest(moved(x, change), sign)

    def formula(x: Expression, axes: Attribute) -> Expression:
        return Call("max" if sign > 0 else "min", (x, words_of(axes)))

    def check(attributes: Mapping[str, Attribute]) -> None:
        axes_of(attributes["axes"])

    return Operator(
        name=name,
        role="stage",
        formula=formula,
        operands=("x",),
        attributes={"axes": -2},
        check=check,
        variants=({"axes": "-3 -2"},),
        tried_on=(2, 2, 3, 2),
        expand=expand,
        lines={
            framework: {each: over_axes(text) for each, text in several.items()}
            for framework, several in lines.items()
        },
        words=words,
    )
