"""Pooling: one number for each window and feature, of (rows, positions …, features)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

import numpy as np

from crosscheck.formulas.tree import Call, Expression, Words
from crosscheck.operators.operator import Attribute, Line, Operator, Use
from crosscheck.operators.places import moved
from crosscheck.operators.windows import Windows
from crosscheck.operators.words import spread
from crosscheck.program.graph import Var

__all__ = ["pooling"]


def pooling(
    name: str,
    axes: int,
    of_window: Callable[[Var], Var],
    lines: Mapping[str, Mapping[str, str]],
    words: str,
) -> Operator:
    """An operator of one operand ``x``, (rows, positions …, features).

    Args:
        name: Of the operator.
        axes: How many axes of positions there are.
        of_window: What becomes of each window, of an array whose last axis is over its entries.
        lines: As of `Operator`, of one case, with ``WINDOW`` and ``STRIDE`` for tuples,
            and ``COUNT`` for the numbers in a window.
        words: As of `Operator`.
    """

    def windows(window: Attribute, stride: Attribute) -> Windows:
        size = spread("window", window, axes)
        ones = (1,) * axes
        return Windows(size, spread("stride", stride, axes), (0,) * axes, ones)

    def expand(x: Var, window: Attribute, stride: Attribute) -> Var:
        over = windows(window, stride)
        over.positions(name, x.shape)
        return of_window(
            moved(
                x,
                lambda _: np.moveaxis(over.places(name, x.shape), -1, axes + 1).reshape(
                    x.shape[0], *over.positions(name, x.shape), x.shape[-1], -1
                ),
            )
        )

    def formula(x: Expression, window: Attribute, stride: Attribute) -> Expression:
        over = windows(window, stride)
        return Call(name, (x, Words(f"windows {_by(over.size)}, stride {_by(over.stride)}")))

    def check(attributes: Mapping[str, Attribute]) -> None:
        windows(**attributes)

    def line(text: str) -> Line:
        def written(use: Use) -> str:
            over = windows(**use.attributes)
            text_of = {"WINDOW": over.size, "STRIDE": over.stride, "COUNT": math.prod(over.size)}
            return re.sub("WINDOW|STRIDE|COUNT", lambda found: repr(text_of[found[0]]), text)

        return written

    overlapping = {"window": "3" if axes == 1 else "2 3", "stride": 1}
    return Operator(
        name=name,
        role="stage",
        formula=formula,
        operands=("x",),
        attributes={"window": 2, "stride": 2},
        check=check,
        variants=(overlapping,),
        tried_on=(2, 4, 2) if axes == 1 else (1, 4, 4, 2),
        of_one_case=True,
        expand=expand,
        lines={
            framework: {each: line(text) for each, text in several.items()}
            for framework, several in lines.items()
        },
        words=words,
    )


def _by(sizes: tuple[int, ...]) -> str:
    return " × ".join(map(str, sizes))
