"""Methods of NumPy's arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from crosscheck.frontends.numpy_.arrays import Decided, Step, Traced
from crosscheck.frontends.numpy_.functions import function, sorted_
from crosscheck.frontends.numpy_.moving import array_of
from crosscheck.frontends.numpy_.operands import store
from crosscheck.frontends.numpy_.tracer import Tracer

__all__ = ["METHODS", "method"]

_NAMED = (
    "sum",
    "mean",
    "prod",
    "max",
    "min",
    "var",
    "std",
    "cumsum",
    "argmax",
    "argmin",
    "argsort",
    "any",
    "all",
    "clip",
    "dot",
    "ravel",
    "squeeze",
    "swapaxes",
    "repeat",
    "take",
    "diagonal",
    "trace",
    "nonzero",
    "searchsorted",
    "round",
    "compress",
)
_METHODS: dict[str, Any] = {
    **{name: getattr(np, name) for name in _NAMED},
    "put": np.put,
}


def method(tracer: Tracer, name: str, array: Any, inputs: tuple[Any, ...], keywords: Any) -> Any:
    """A method of an ndarray's, on a traced array."""
    if name in _OWN:
        return _OWN[name](tracer, array, *inputs, **keywords)
    if name == "compress":
        return function(tracer, np.compress, (*inputs, array), keywords)
    return function(tracer, _METHODS[name], (array, *inputs), keywords)


def _reshape(tracer: Tracer, array: Any, *shape: Any, **more: Any) -> Any:
    wanted = shape[0] if len(shape) == 1 else shape
    return function(tracer, np.reshape, (array, wanted), more)


def _transpose(tracer: Tracer, array: Any, *axes: Any) -> Any:
    order = axes[0] if len(axes) == 1 else axes
    return function(tracer, np.transpose, (array, order or None), {})


def _astype(
    tracer: Tracer, array: Any, dtype: Any, *rest: Any, copy: bool = True, **more: Any
) -> Any:
    kind = np.dtype(dtype).kind
    if isinstance(array, Decided):
        return Decided(tracer, array.value.astype(dtype), array.what)
    if isinstance(array, Step):
        if kind == "b" and array.value.dtype != bool:
            return np.not_equal(array, 0.0)
        return Step(
            tracer,
            array.value if kind == "b" else array.value.astype(np.float64),
            array.compared,
            array.site,
            array.pieces,
            array.choose,
            array.order,
        )
    if kind == "f":
        return array_of(tracer, array) if copy else array
    if array.is_known:
        return array.value.astype(dtype)
    if kind == "b":
        return np.not_equal(array, 0.0)
    tracer.refuse(
        f"a differentiated array becomes one of {np.dtype(dtype)}",
        "Such a step has no derivative: leave astype away, or take integers as an argument.",
    )


def _copy(tracer: Tracer, array: Any, *_: Any, **__: Any) -> Any:
    if isinstance(array, Traced):
        return array_of(tracer, array)
    return array


def _flatten(tracer: Tracer, array: Any, *order: Any, **more: Any) -> Any:
    return _copy(tracer, function(tracer, np.ravel, (array, *order), more))


def _fill(tracer: Tracer, array: Any, value: Any) -> None:
    array[...] = value


def _sort_in_place(tracer: Tracer, array: Any, *inputs: Any, **more: Any) -> None:
    store(array, sorted_(tracer, array, *inputs, **more))


_OWN: dict[str, Callable[..., Any]] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "astype": _astype,
    "copy": _copy,
    "flatten": _flatten,
    "fill": _fill,
    "sort": _sort_in_place,
    "conj": lambda tracer, array: array,
    "view": lambda tracer, array, *rest: array[...],
    "setflags": lambda tracer, array, **more: None,
}

METHODS = frozenset({*_METHODS, *_OWN})
"""Names of methods that are understood."""
