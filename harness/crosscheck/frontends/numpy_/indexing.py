"""Reading and setting numbers of arrays: by NumPy, on the numbers and on their codes."""

from __future__ import annotations

from typing import Any

import numpy as np

from crosscheck.frontends.numpy_.arrays import Decided, Object, Step, Traced
from crosscheck.frontends.numpy_.operands import is_known, number, plain, traced
from crosscheck.frontends.numpy_.tracer import Tracer, taken
from crosscheck.frontends.pieces import Pieces, pieces_of
from crosscheck.program.graph import Var
from crosscheck.program.places import Places

__all__ = ["get", "put"]


def get(tracer: Tracer, array: Any, index: Any) -> Any:
    """``array[index]``, a view where NumPy has one."""
    if isinstance(index, Step) and isinstance(array, Traced) and index.shape == array.shape:
        found = _gathered(tracer, array, index)
        if found is not None:
            return found
    places = _index(tracer, index)
    if isinstance(array, Decided):
        return Decided(tracer, array.value[places], array.what)
    if isinstance(array, Step):
        return moved_step(array, lambda x: x[places])
    value = array.value[places]
    codes = array.codes[places]
    is_scalar = isinstance(value, np.generic)
    return Traced(tracer, np.asarray(value), np.asarray(codes), is_scalar)


def _gathered(tracer: Tracer, array: Traced, mask: Step) -> Traced | None:
    """The numbers where a mask is true, as a value of the program of their own.

    What was compared has decided only if that value goes into the result: where the numbers are
    put back by the same mask, a function may come out that has it as its kink.
    """
    there = np.flatnonzero(np.asarray(mask.value))
    if mask.value.dtype != bool or not there.size:
        return None
    gathered = array.variable.take(Places(there.tolist()), (len(there),))
    for each in mask.compared:
        tracer.compare(each, by=gathered)
    return Traced.of(tracer, gathered, array.value[mask.value], False)


def moved_step(array: Step, change: Any) -> Any:
    """What only moves numbers, of a step: its site is moved with it."""
    value = change(array.value)
    site = array.site
    if site is None or array.choose is not None or site.shape != np.shape(array.value):
        settled = array.settled()
        return Traced(
            array.tracer, np.asarray(change(settled.value)), np.asarray(change(settled.codes))
        )
    numbers = np.arange(int(np.prod(site.shape))).reshape(site.shape)
    places = np.asarray(change(numbers))
    moved = taken(site, places)
    return Step(array.tracer, value, array.compared, moved, array.pieces)


def put(tracer: Tracer, array: Any, index: Any, value: Any) -> None:
    """``array[index] = value``; by a mask of compared numbers, the choice that it is."""
    if not isinstance(array, Traced):
        tracer.refuse(
            "what a comparison gave is changed in place", "Copy it with .astype(float) first."
        )
    if isinstance(index, Step) and index.value.dtype == bool and _chosen(array, index, value):
        return
    places = _index(tracer, index)
    new = traced(tracer, value)
    array.value[places] = new.value
    array.codes[places] = new.codes


def _chosen(array: Traced, mask: Step, value: Any) -> bool:
    """Set the numbers where a mask is true, if what comes out is continuous."""
    site = mask.site
    if site is None or mask.pieces is None or not array.shape == site.shape == mask.shape:
        return False
    there = np.flatnonzero(np.asarray(mask.value))
    old, new = pieces_of(array.variable, site), _set_to(value, site, there)
    if old is None or new is None:
        return False
    found = mask.pieces.chosen(new, old)
    if not found.is_continuous:
        return False
    array.value[mask.value] = plain(value)
    known = False
    array.codes[...] = array.tracer.codes(found.of(site), array.value, known)
    return True


def _set_to(value: Any, site: Var, there: Any) -> Pieces | None:
    """What is set, as a function of the number at the place where it comes to.

    Of numbers that were read by the same mask, one is read as a function of those.
    """
    if not isinstance(value, Object):
        constant = number(value)
        return None if constant is None else Pieces.number(constant)
    if not isinstance(value, Traced) or value.shape != (len(there),):
        return None
    if not there.size:
        return None
    return pieces_of(value.variable, site.take(Places(there.tolist()), (len(there),)))


def _index(tracer: Tracer, index: Any) -> Any:
    """An index of plain numbers.

    Raises:
        UsageError: It depends on numbers that are differentiated.
    """
    if isinstance(index, tuple):
        return tuple(_index(tracer, each) for each in index)
    if isinstance(index, Step) and index.value.dtype == bool:
        for each in index.compared:
            tracer.compare(each)
        return np.asarray(index.value)
    if isinstance(index, Decided):
        index.used()
    if isinstance(index, Object) and not is_known(index):
        tracer.refuse(
            "an index depends on numbers of a differentiated array",
            "Take indices as an argument that is not differentiated.",
        )
    if isinstance(index, Object):
        found = index.value
        return found[()] if not found.ndim else found
    if isinstance(index, list) and any(isinstance(each, Object) for each in index):
        return [_index(tracer, each) for each in index]
    return index
