"""Functions that only move numbers: NumPy's own, run on the numbers and on their codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crosscheck.frontends.numpy_.arrays import Decided, Step, Traced
from crosscheck.frontends.numpy_.indexing import moved_step
from crosscheck.frontends.numpy_.operands import has_objects, is_known, plain, stacked, traced
from crosscheck.frontends.numpy_.tracer import Tracer

__all__ = ["MOVES", "PUTS", "array_of", "moved", "padded", "put_into"]

MOVES: Mapping[Any, int] = {
    **dict.fromkeys(
        (
            np.reshape,
            np.ravel,
            np.transpose,
            np.swapaxes,
            np.moveaxis,
            np.rollaxis,
            np.squeeze,
            np.expand_dims,
            np.broadcast_to,
            np.repeat,
            np.tile,
            np.flip,
            np.fliplr,
            np.flipud,
            np.rot90,
            np.roll,
            np.resize,
            np.triu,
            np.tril,
            np.diag,
            np.diagflat,
            np.diagonal,
            np.take,
            np.take_along_axis,
            np.delete,
            np.compress,
            np.extract,
            np.split,
            np.array_split,
            np.hsplit,
            np.vsplit,
            np.dsplit,
            np.unstack if hasattr(np, "unstack") else np.split,
            np.copy,
            np.real,
            np.matrix_transpose,
            np.permute_dims,
            np.lib.stride_tricks.sliding_window_view,
            np.linalg.diagonal,
            np.linalg.matrix_transpose,
        ),
        1,
    ),
    **dict.fromkeys(
        (np.concatenate, np.stack, np.hstack, np.vstack, np.dstack, np.column_stack, np.block), -1
    ),
    np.append: 2,
    **dict.fromkeys((np.broadcast_arrays, np.atleast_1d, np.atleast_2d, np.atleast_3d), 99),
}
"""How many operands in front are arrays; -1 for a list of them."""

PUTS: Mapping[Any, int] = {
    np.copyto: 1,
    np.put: 2,
    np.put_along_axis: 2,
    np.place: 2,
    np.putmask: 2,
    np.fill_diagonal: 1,
}
"""Functions that put numbers into their first operand: which operand the numbers are."""


def moved(
    tracer: Tracer, function: Any, inputs: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """What a function of `MOVES` returns: views where NumPy returns views."""
    keywords = dict(keywords)
    keywords.pop("dtype", None)
    keywords.pop("casting", None)
    if not inputs:  # given by name
        first = next(iter(keywords))
        inputs = (keywords.pop(first),)
    count = MOVES[function]
    if count == -1:
        arrays = [_arrays(tracer, each) for each in inputs[0]]
        rest = inputs[1:]
        numbers, codes = ([_each(each, k) for each in arrays] for k in (0, 1))
        return _both(tracer, function, (numbers,), (codes,), rest, keywords)
    if function is np.extract or function is np.compress:
        inputs = (inputs[1], inputs[0])
    operands, rest = inputs[:count], inputs[count:]
    (first, *others) = operands
    if isinstance(first, Step) and not others:
        return moved_step(first, lambda x: function(x, *map(plain, rest), **plain(keywords)))
    if isinstance(first, Decided):
        return Decided(tracer, function(*map(plain, inputs), **plain(keywords)), first.what)
    if not is_known([*rest, *keywords.values()]):
        tracer.refuse("an index depends on differentiated numbers", "Take it as an argument.")
    arrays = [traced(tracer, each) for each in operands]
    numbers, codes = ([_each(each, k) for each in arrays] for k in (0, 1))
    if function in (np.extract, np.compress):
        swapped = (plain(rest[0]),)
        return _both(tracer, function, swapped, swapped, (), keywords, numbers, codes)
    return _both(tracer, function, tuple(numbers), tuple(codes), rest, keywords)


def _arrays(tracer: Tracer, value: Any) -> Any:
    """Arrays of a list, which for ``np.block`` may be nested."""
    if isinstance(value, list) and has_objects(value):
        return [_arrays(tracer, each) for each in value]
    return traced(tracer, value)


def _each(value: Any, which: int) -> Any:
    if isinstance(value, list):
        return [_each(each, which) for each in value]
    return value.codes if which else value.value


def _both(
    tracer: Tracer,
    function: Any,
    numbers: tuple[Any, ...],
    codes: tuple[Any, ...],
    rest: Any,
    keywords: Any,
    more_numbers: Any = (),
    more_codes: Any = (),
) -> Any:
    rest, keywords = tuple(map(plain, rest)), plain(keywords)
    out = keywords.pop("out", None)
    found = function(*numbers, *more_numbers, *rest, **keywords)
    origins = function(*codes, *more_codes, *rest, **keywords)
    if isinstance(found, list | tuple):
        return type(found)(_as_traced(tracer, *pair) for pair in zip(found, origins, strict=True))
    array = _as_traced(tracer, found, origins)
    if out is not None:
        tracer.refuse(f"{function.__name__} with out=", "Assign the result.")
    return array


def _as_traced(tracer: Tracer, value: Any, codes: Any) -> Traced:
    return Traced(tracer, np.asarray(value), np.asarray(codes), isinstance(value, np.generic))


def padded(tracer: Tracer, array: Any, pad_width: Any, mode: str = "constant", **more: Any) -> Any:
    """``np.pad``: with constants, or with the array's own numbers."""
    one = traced(tracer, array)
    if mode not in ("constant", "edge", "reflect", "symmetric", "wrap", "empty"):
        tracer.refuse(f"np.pad with mode={mode!r}", "Pad with constants and set the rest.")
    if mode == "constant":
        fill = more.pop("constant_values", 0)
        if has_objects(fill) or np.ndim(fill):
            tracer.refuse("np.pad with several constant_values", "Pad with one number.")
        value = np.pad(one.value, pad_width, constant_values=fill)
        code = traced(tracer, float(fill)).codes if fill else 0
        return Traced(tracer, value, np.pad(one.codes, pad_width, constant_values=code))
    return _both(tracer, np.pad, (one.value,), (one.codes,), (pad_width, mode), more)


def put_into(tracer: Tracer, function: Any, inputs: tuple[Any, ...], keywords: Any) -> None:
    """What a function of `PUTS` does."""
    at = PUTS[function]
    target, value = inputs[0], inputs[at]
    others = [each for k, each in enumerate(inputs) if k not in (0, at)]
    if not isinstance(target, Traced) or not is_known([*others, *keywords.values()]):
        tracer.refuse(
            f"np.{function.__name__} into plain numbers, or by an index of differentiated ones",
            "Begin the array with np.zeros in this file.",
        )
    new = traced(tracer, value)
    rest = [plain(each) for each in inputs]
    for k, array in enumerate((target.value, target.codes)):
        rest[0], rest[at] = array, (new.codes if k else new.value)
        function(*rest, **plain(keywords))


def array_of(tracer: Tracer, value: Any) -> Traced:
    """``np.array`` of an array, or of a list in which there are some: a copy."""
    if isinstance(value, list | tuple):
        return stacked(tracer, value)
    one = traced(tracer, value)
    return Traced(tracer, one.value.copy(order="K"), one.codes.copy(order="K"))
