"""Pooling: one number for each window and feature, of (rows, positions …, features).

The largest of a window may be taken with padding, of what never is the largest: libraries put -∞
there. Here a window has no such entries. Windows of as many numbers are put together, and the
largest of each is put where it belongs.
"""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from crosscheck.formulas.tree import Call, Expression, Words
from crosscheck.operators.operator import Attribute, Line, Operator, Use
from crosscheck.operators.places import moved
from crosscheck.operators.windows import Windows
from crosscheck.operators.words import spread
from crosscheck.program.graph import Shape, Var
from crosscheck.tools.errors import UsageError

__all__ = ["max_pooling", "pooling"]


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

    overlapping: Mapping[str, Attribute] = {"window": "3" if axes == 1 else "2 3", "stride": 1}
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


def max_pooling(
    name: str, axes: int, lines: Mapping[str, Mapping[str, str]], words: str
) -> Operator:
    """Max pooling, of one operand ``x``, (rows, positions …, features).

    Args:
        name: Of the operator.
        axes: How many axes of positions there are.
        lines: As of `Operator`, of one case, with ``WINDOW`` and ``STRIDE`` for tuples, and
            ``PADDING`` for what a framework takes for it.
        words: As of `Operator`.
    """

    def windows(window: Attribute, stride: Attribute, padding: Attribute) -> Windows:
        size = spread("window", window, axes)
        beside = spread("padding", padding, axes, 0)
        if any(2 * p > k for p, k in zip(beside, size, strict=True)):
            raise UsageError(
                f"padding={padding!r} of windows {_by(size)}, wanted at most half a window, so "
                "that each has a number"
            )
        return Windows(size, spread("stride", stride, axes), beside, (1,) * axes)

    def expand(x: Var, **settings: Attribute) -> Var:
        over = windows(**settings)
        positions = over.positions(name, x.shape)
        places = np.moveaxis(over.places(name, x.shape), -1, axes + 1)
        return _largest(x, places.reshape(x.shape[0], *positions, x.shape[-1], -1))

    def formula(x: Expression, **settings: Attribute) -> Expression:
        over = windows(**settings)
        said = f"windows {_by(over.size)}, stride {_by(over.stride)}"
        if any(over.padding):
            said += f", padding {_by(over.padding)}"
        return Call(name, (x, Words(said)))

    def check(attributes: Mapping[str, Attribute]) -> None:
        windows(**attributes)

    def line(framework: str, text: str) -> Line:
        def written(use: Use) -> str:
            over = windows(**use.attributes)
            named = {"WINDOW": repr(over.size), "STRIDE": repr(over.stride)}
            named["PADDING"] = _PADDINGS[framework](over)
            return re.sub("WINDOW|STRIDE|PADDING", lambda found: named[found[0]], text)

        return written

    several: tuple[Mapping[str, Attribute], ...] = (
        {"window": "3" if axes == 1 else "2 3", "stride": 1},
        {"window": 3, "stride": 2, "padding": 1},
    )
    return Operator(
        name=name,
        role="stage",
        formula=formula,
        operands=("x",),
        attributes={"window": 2, "stride": 2, "padding": 0},
        check=check,
        variants=several,
        tried_on=(2, 4, 2) if axes == 1 else (1, 4, 4, 2),
        of_one_case=True,
        expand=expand,
        lines={
            framework: {each: line(framework, text) for each, text in texts.items()}
            for framework, texts in lines.items()
        },
        words=words,
    )


def _largest(x: Var, places: NDArray[np.intp]) -> Var:
    """The largest of the entries at places, along the last axis; -1 is none."""
    if (places >= 0).all():
        return moved(x, lambda _: places).maximum()
    flat = places.reshape(-1, places.shape[-1])
    counts = (flat >= 0).sum(axis=1)
    parts = [
        _of_as_many(x, flat, counts == count, places.shape[:-1]) for count in np.unique(counts)
    ]
    return functools.reduce(operator.add, parts)


def _of_as_many(x: Var, flat: NDArray[np.intp], here: NDArray[np.bool_], shape: Shape) -> Var:
    """The largest of some windows, each of as many entries, at their places; 0 elsewhere."""
    chosen = flat[here]
    found = moved(x, lambda _: chosen[chosen >= 0].reshape(len(chosen), -1)).maximum()
    back = np.full(len(flat), -1, dtype=np.intp)
    back[here] = np.arange(len(chosen))
    return moved(found, lambda _: back.reshape(shape))


def _sides(over: Windows) -> list[tuple[int, int]]:
    return [(0, 0), *((p, p) for p in over.padding), (0, 0)]


_PADDINGS: Mapping[str, Callable[[Windows], str]] = {
    "torch": lambda over: f", {over.padding!r}" if any(over.padding) else "",
    "tensorflow": lambda over: repr(_sides(over)) if any(over.padding) else '"VALID"',
    "jax": lambda over: repr(_sides(over)) if any(over.padding) else "'VALID'",
}
"""What each framework takes for padding."""
