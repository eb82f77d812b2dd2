"""NumPy's functions that make fewer numbers of many: sums, extremes, variances, norms."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.frontends import verbs
from crosscheck.frontends.numpy_ import choices
from crosscheck.frontends.numpy_.operands import ignored, plain, result, store, traced
from crosscheck.frontends.numpy_.tracer import Tracer
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UnsupportedError

__all__ = [
    "average", "cumulative_sum", "difference", "extreme", "norm", "peak_to_peak", "product",
    "reduction", "trace", "variance",
]  # fmt: skip

Axis = int | Sequence[int] | None
Reduce = Callable[[Var, Axis, bool], Var]


def reduction(what: Any, reduce: Reduce) -> Callable[..., Any]:
    """A function of NumPy's that adds or multiplies along axes, by what it does to a value."""

    def handler(
        tracer: Tracer,
        a: Any,
        axis: Axis = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        **more: Any,
    ) -> Any:
        ignored(tracer, f"np.{what.__name__}", more)
        return _reduced(tracer, what, reduce, a, axis, keepdims, out)

    return handler


def extreme(what: Any, sign: int) -> Callable[..., Any]:
    """``np.max`` for a sign of 1, ``np.min`` for -1: where several are tied, all are members."""

    def handler(
        tracer: Tracer,
        a: Any,
        axis: Axis = None,
        out: Any = None,
        keepdims: Any = False,
        **more: Any,
    ) -> Any:
        ignored(tracer, f"np.{what.__name__}", more)

        def reduce(x: Var, axes: Axis, keep: bool) -> Var:
            return verbs.extreme_along(x, axes, sign, keep)

        return _reduced(tracer, what, reduce, a, axis, keepdims, out)

    return handler


def _reduced(
    tracer: Tracer, what: Any, reduce: Reduce, a: Any, axis: Axis, keepdims: Any, out: Any
) -> Any:
    one = traced(tracer, a)
    keep = keepdims is True
    value = what(plain(one), axis=axis, keepdims=keep)
    found = result(tracer, reduce(one.variable, axis, keep), value, one)
    return found if out is None else store(out, found)


def _spread(correction: float, is_root: bool) -> Reduce:
    """Variance: Σ (x - mean)² / (n - correction), and its root."""

    def reduce(x: Var, axis: Axis, keep: bool) -> Var:
        centred = verbs.subtract(x, verbs.mean(x, axis, True))
        squares = verbs.sum_along(verbs.power(centred, 2), axis, keep)
        count = math.prod(x.shape) // max(math.prod(squares.shape), 1)
        found = squares.times(Fraction(1) / (count - Fraction(correction)))
        return verbs.elementary("sqrt", found) if is_root else found

    return reduce


def variance(what: Any, is_root: bool) -> Callable[..., Any]:
    """``np.var``, or its root: Σ (x - mean)² / (n - ddof)."""

    def handler(
        tracer: Tracer,
        a: Any,
        axis: Axis = None,
        dtype: Any = None,
        out: Any = None,
        ddof: Any = 0,
        keepdims: Any = False,
        *,
        correction: Any = None,
        **more: Any,
    ) -> Any:
        ignored(tracer, f"np.{what.__name__}", more)
        free = correction if isinstance(correction, int | float) else ddof

        def numbers(x: Any, axis: Axis, keepdims: bool) -> Any:
            return what(x, axis=axis, ddof=free, keepdims=keepdims)

        return _reduced(tracer, numbers, _spread(free, is_root), a, axis, keepdims, out)

    return handler


def product(x: Var, axis: Axis, keep: bool) -> Var:
    """The product along axes, one factor after the other."""
    axes = range(len(x.shape)) if axis is None else [axis] if isinstance(axis, int) else axis
    at = sorted(each % len(x.shape) for each in axes)
    rest = [k for k in range(len(x.shape)) if k not in at]
    lead = tuple(x.shape[k] for k in rest)
    flat = verbs.moved(x, lambda places: places.transpose([*rest, *at]).reshape(*lead, -1))
    factors = [verbs.moved(flat, operator.itemgetter((..., k))) for k in range(flat.shape[-1])]
    found = x.graph.ones(lead)
    for k, each in enumerate(factors):
        found = found * each if k else each
    shape = tuple(1 if k in at else n for k, n in enumerate(x.shape))
    return verbs.reshaped(found, shape) if keep else found


def cumulative_sum(
    tracer: Tracer, a: Any, axis: Any = None, dtype: Any = None, out: Any = None
) -> Any:
    """A product with a matrix of ones and zeros: each sum is of as many terms, in any order."""
    one = traced(tracer, a)
    value = np.cumsum(one.value, axis=axis)
    x = one.variable if axis is not None else verbs.reshaped(one.variable, (one.size,))
    at = 0 if axis is None else axis
    last = verbs.moved(x, lambda places: np.moveaxis(places, at, -1))
    ones = tracer.constant(np.triu(np.ones((last.shape[-1], last.shape[-1]))))
    found = verbs.moved(verbs.matmul(last, ones), lambda places: np.moveaxis(places, -1, at))
    array = result(tracer, found, value, one)
    return array if out is None else store(out, array)


def difference(tracer: Tracer, a: Any, n: int = 1, axis: int = -1, **more: Any) -> Any:
    """``np.diff``."""
    ignored(tracer, "np.diff", more)
    found = traced(tracer, a)
    for _ in range(n):
        index = [slice(None)] * found.ndim
        index[axis] = slice(1, None)
        before = [slice(None)] * found.ndim
        before[axis] = slice(None, -1)
        found = found[tuple(index)] - found[tuple(before)]
    return found


def peak_to_peak(tracer: Tracer, a: Any, axis: Any = None, **more: Any) -> Any:
    """``np.ptp``."""
    ignored(tracer, "np.ptp", more)
    return np.max(a, axis=axis) - np.min(a, axis=axis)


def average(tracer: Tracer, a: Any, axis: Any = None, weights: Any = None, **more: Any) -> Any:
    """``np.average``: of weights, with their sum as the divisor."""
    ignored(tracer, "np.average", more)
    if weights is None:
        return np.mean(traced(tracer, a), axis=axis)
    a, weights = traced(tracer, a), traced(tracer, weights)
    if weights.shape != a.shape:
        weights = weights[tuple(slice(None) if k == axis % a.ndim else None for k in range(a.ndim))]
    return (a * weights).sum(axis=axis) / (a * 0.0 + weights).sum(axis=axis)


def norm(tracer: Tracer, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """``np.linalg.norm`` of vectors, and Frobenius' of matrices.

    Raises:
        UnsupportedError: It is another norm.
    """
    one = traced(tracer, x)
    is_matrix = one.ndim != 1 if axis is None else not isinstance(axis, int)
    if ord not in (None, 2, 1, "fro") or (ord in (1, 2) and is_matrix):
        tracer.refuse(f"np.linalg.norm with ord={ord!r}", "Write it in sums.", UnsupportedError)
    value = np.linalg.norm(plain(one), ord=ord, axis=axis, keepdims=keepdims)
    if ord == 1:
        var = verbs.sum_along(choices.absolute(one.variable), axis, keepdims)
    else:
        squares = verbs.sum_along(verbs.power(one.variable, 2), axis, keepdims)
        var = verbs.elementary("sqrt", squares)
    return result(tracer, var, value, one)


def trace(
    tracer: Tracer, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, **more: Any
) -> Any:
    """``np.trace``."""
    ignored(tracer, "np.trace", more)
    return np.diagonal(traced(tracer, a), offset, axis1, axis2).sum(axis=-1)
