"""Numbers along an axis in increasing order: each is sent what comes to its new place.

Neighbours are compared and exchanged, in as many rounds as there are numbers, those at even places
and those at odd ones in turn (Habermann, *Parallel neighbor sort*, 1972); so values are exact, and
every order of numbers that are equal can come. Sorting that is stable, as all three libraries' is,
exchanges none that are equal: the second of them is the larger one each time. In which order equal
numbers were put is told by what each was sent: an order that explains that is looked for, and there
is none if what was sent to them is not what came to their places.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from crosscheck.formulas.tree import Call, Expression, Words
from crosscheck.numbers.arrays import Array
from crosscheck.operators.operator import Attribute, Line, Operator
from crosscheck.operators.places import moved
from crosscheck.operators.words import axes_of
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UsageError

__all__ = ["OPERATOR"]

_MOST = 64


def _axis(axis: Attribute) -> int:
    found = axes_of(axis)
    if len(found) > 1:
        raise UsageError(f"axis={axis!r}, wanted one, counted from the last: -1, -2, …")
    return found[0]


def _expand(x: Var, axis: Attribute) -> Var:
    at = _axis(axis)
    if -at > len(x.shape) or x.shape[at] > _MOST:
        raise UsageError(f"sort: shape {x.shape}, wanted an axis {at} of up to {_MOST} numbers")
    found = moved(x, lambda places: np.moveaxis(places, at, -1))
    for turn in range(found.shape[-1]):
        found = _in_order(found, turn % 2)
    return moved(found, lambda places: np.moveaxis(places, -1, at))


def _in_order(x: Var, first: int) -> Var:
    """Pairs of neighbours along the last axis, from the ``first`` on, the smaller one in front."""
    count = x.shape[-1]
    left = np.arange(first, count - 1, 2)
    if not left.size:
        return x
    pairs = moved(x, lambda at: np.stack([at[..., left], at[..., left + 1]], axis=-1))

    def put(part: Var, to: NDArray[np.intp]) -> Var:
        def change(at: NDArray[np.intp]) -> NDArray[np.intp]:
            found = np.full((*at.shape[:-1], count), -1, dtype=np.intp)
            found[..., to] = at
            return found

        return moved(part, change)

    found = put(pairs.smaller(), left) + put(pairs.maximum(), left + 1)
    alone = np.setdiff1d(np.arange(count), [*left, *(left + 1)])
    if alone.size:
        found = found + moved(x, lambda at: np.where(np.isin(np.arange(count), alone), at, -1))
    return found


def _placed(x: Array, g: Array, sent: Array, axis: Attribute) -> Array:
    """The place of each number along the axis; equal ones in the order of what they were sent.

    Args:
        x: The numbers, with or without an axis over cases in front, as what follows.
        g: What came to the places.
        sent: What was sent to the numbers.
        axis: As of the operator.
    """
    at = _axis(axis)
    x, g, sent = (np.moveaxis(each, at, -1) for each in (x, g, sent))
    numbers = np.lexsort((sent, x), axis=-1)
    places = np.lexsort((g, np.sort(x, axis=-1)), axis=-1)
    found = np.empty(x.shape)
    np.put_along_axis(found, numbers, places.astype(float), axis=-1)
    return np.moveaxis(found, -1, at)


def _formula(x: Expression, axis: Attribute) -> Expression:
    return Call("sort", (x, Words(f"axis {_axis(axis)}")))


def _check(attributes: Mapping[str, Attribute]) -> None:
    _axis(attributes["axis"])


def _line(text: str) -> Line:
    return lambda use: text.format(_axis(use.attributes["axis"]))


OPERATOR = Operator(
    name="sort",
    role="stage",
    formula=_formula,
    operands=("x",),
    attributes={"axis": -1},
    check=_check,
    variants=({"axis": -2},),
    tried_on=(2, 4, 3),
    expand=_expand,
    lines={
        "torch": {
            "sort": _line("torch.sort(x, {}).values"),
            "stable": _line("torch.sort(x, dim={}, stable=True).values"),
        },
        "tensorflow": {
            "sort": _line("tf.sort(x, axis={})"),
            "argsort": _line(
                "tf.experimental.numpy.take_along_axis("
                "x, tf.argsort(x, axis={0}, stable=True), {0})"
            ),
        },
        "jax": {
            "sort": _line("jnp.sort(x, axis={})"),
            "argsort": _line("jnp.take_along_axis(x, jnp.argsort(x, axis={0}), axis={0})"),
        },
    },
    placed=_placed,
    words="Numbers are put in order; each is sent what comes to its new place.",
    is_drawn=False,
)
