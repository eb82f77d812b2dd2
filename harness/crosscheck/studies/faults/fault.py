"""What a fault is, and the few operations on arrays that most faults are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from crosscheck.studies.faults.handwritten import At, Change

__all__ = [
    "ROADS",
    "Fault",
    "Road",
    "each_array",
    "scaled",
    "without",
]

Road = Literal["quick", "default", "sweep", "fixture", "kinks"]
ROADS: tuple[Road, ...] = ("quick", "default", "sweep", "fixture", "kinks")
"""The ways by which a gradient is checked; `crosscheck.studies.faults.roads` says what each is."""


@dataclass(frozen=True)
class Fault:
    """A way of computing a gradient wrongly.

    Attributes:
        name: A few words, unique in the catalogue.
        kind: The class of faults that it belongs to.
        says: What is wrong, in one line.
        role: What is replaced; one of `crosscheck.studies.faults.handwritten.ROLES`.
        change: From the right value to the wrong one.
        caught: The roads that must catch it.
        why: Why not the others; empty if all must.
        dtypes: Of the cases that it is looked for in.
        within: ``""``, or ``"kinks"`` or ``"storms"`` for a fault that strikes only cases with a
            pre-activation at zero or too near to tell, or with many.
    """

    name: str
    kind: str
    says: str
    role: str
    change: Change
    caught: tuple[Road, ...] = ROADS
    why: str = ""
    dtypes: tuple[str, ...] = ("float64", "float32")
    within: Literal["", "kinks", "storms"] = ""


def without(array: Any, where: slice, axis: int) -> Any:
    """A copy of ``array`` with zeros in ``where`` along an axis counted from the end."""
    found = array.copy()
    found[(..., where, *(slice(None),) * (-axis - 1))] = 0
    return found


def scaled(factor: float) -> Change:
    """Times a factor."""
    return lambda value, at: value * value.dtype.type(factor)


def each_array(change: Callable[[Any], Any]) -> Change:
    """An answer with each array of the gradient, but not the loss, put through ``change``."""
    return lambda answer, at: answer.map_derivatives(change)


def only_layer(which: Callable[[At], bool], change: Change) -> Change:
    """``change`` in some layers, nothing in the others."""
    return lambda value, at: change(value, at) if which(at) else value


def first(at: At) -> bool:
    """Whether this is the first layer."""
    return at.layer == 1


def last(at: At) -> bool:
    """Whether this is the last layer."""
    return at.last


def square(array: Any) -> bool:
    """Whether the last two axes are equally long."""
    return bool(array.shape[-1] == array.shape[-2])


def everything_but(keep: slice, axis: int) -> Change:
    """Zero in all but ``keep``."""

    def change(value: Any, at: At) -> Any:
        found = np.zeros_like(value)
        index = (..., keep, *(slice(None),) * (-axis - 1))
        found[index] = value[index]
        return found

    return change
