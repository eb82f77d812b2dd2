"""Functions of ``scipy.special`` that NumPy does not hand over."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from crosscheck.frontends import verbs
from crosscheck.frontends.numpy_.operands import ignored, result, traced
from crosscheck.frontends.numpy_.tracer import Tracer
from crosscheck.program.graph import Var

__all__ = ["SPECIAL"]


def _softmax(tracer: Tracer, x: Any, axis: Any = None) -> Any:
    return _compound(tracer, "softmax", x, axis)


def _log_softmax(tracer: Tracer, x: Any, axis: Any = None) -> Any:
    return _compound(tracer, "log_softmax", x, axis)


def _special() -> Any:
    """SciPy's module, which is there where one of its functions was called."""
    return sys.modules["scipy.special"]


def _compound(tracer: Tracer, name: str, x: Any, axis: Any) -> Any:
    one = traced(tracer, x)
    value = getattr(_special(), name)(one.value, axis=axis)
    axes = range(one.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    at = [each % one.ndim for each in axes]
    last, back = _to_last(one.variable, at)
    return result(
        tracer, back(last.softmax() if name == "softmax" else last.log_softmax()), value, one
    )


def _log_sum_exp(
    tracer: Tracer, a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, **more: Any
) -> Any:
    ignored(tracer, "logsumexp", {**more, "b": b})
    one = traced(tracer, a)
    value = _special().logsumexp(one.value, axis=axis, keepdims=keepdims)
    axes = range(one.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    at = [each % one.ndim for each in axes]
    last, _ = _to_last(one.variable, at)
    shape = tuple(1 if k in at else n for k, n in enumerate(one.shape) if keepdims or k not in at)
    return result(tracer, verbs.reshaped(last.log_sum_exp().squeeze(-1), shape), value, one)


def _to_last(x: Var, at: list[int]) -> tuple[Var, Callable[[Var], Var]]:
    """Some axes as one at the end, and the way back."""
    count = len(x.shape)
    if at == [count - 1]:
        return x, lambda y: y
    rest = [k for k in range(count) if k not in at]
    order = [*rest, *at]
    lead = tuple(x.shape[k] for k in rest)
    whole = tuple(x.shape[k] for k in order)
    last = verbs.moved(x, lambda places: places.transpose(order).reshape(*lead, -1))
    return last, lambda y: verbs.moved(
        y, lambda places: places.reshape(whole).transpose(np.argsort(order))
    )


SPECIAL: dict[str, Callable[..., Any]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "logsumexp": _log_sum_exp,
}
"""What such a function is, on traced arrays."""
