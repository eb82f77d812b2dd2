"""NumPy's functions, by what they compute; see `moving` for those that only move numbers."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.frontends import verbs
from crosscheck.frontends.numpy_ import choices, reductions
from crosscheck.frontends.numpy_.arrays import Decided, Traced
from crosscheck.frontends.numpy_.moving import MOVES, PUTS, array_of, moved, padded, put_into
from crosscheck.frontends.numpy_.operands import (
    has_objects,
    ignored,
    is_constant,
    is_known,
    number,
    objects,
    plain,
    result,
    store,
    traced,
)
from crosscheck.frontends.numpy_.products import contracted
from crosscheck.frontends.numpy_.tracer import UNSET, Tracer
from crosscheck.operators.sort import OPERATOR as SORT
from crosscheck.tools.errors import UnsupportedError

__all__ = ["FUNCTIONS", "filled", "function", "sorted_"]

_PLAIN = (
    np.shape,
    np.ndim,
    np.size,
    np.result_type,
    np.can_cast,
    np.iscomplexobj,
    np.isrealobj,
    np.iscomplex,
    np.isreal,
    np.may_share_memory,
    np.shares_memory,
    np.min_scalar_type,
    np.common_type,
)
_DECIDED = {
    np.argmax: "argmax",
    np.argmin: "argmin",
    np.argsort: "argsort",
    np.argpartition: "argpartition",
    np.nonzero: "nonzero",
    np.argwhere: "argwhere",
    np.flatnonzero: "flatnonzero",
    np.count_nonzero: "count_nonzero",
    np.any: "any",
    np.all: "all",
    np.array_equal: "array_equal",
    np.searchsorted: "searchsorted",
    np.digitize: "digitize",
    np.unique: "unique",
    np.round: "round",
    np.around: "round",
    np.floor_divide: "floor_divide",
}


def function(tracer: Tracer, what: Any, inputs: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """What NumPy asks for of its function ``what``.

    Raises:
        UnsupportedError: It is not known.
    """
    if what in _PLAIN:
        return what(*map(plain, inputs), **plain(keywords))
    if what in _DECIDED:
        with np.errstate(all="ignore"):
            value = what(*map(plain, inputs), **plain(keywords))
        return value if is_known([inputs, keywords]) else Decided(tracer, value, _DECIDED[what])
    given = objects([inputs, keywords])
    if what not in MOVES and any(isinstance(each, Decided) for each in given):
        return _of_decided(tracer, what, inputs, keywords, given)
    if what in MOVES:
        return moved(tracer, what, inputs, keywords)
    if what in PUTS:
        return put_into(tracer, what, inputs, keywords)
    handler = FUNCTIONS.get(what)
    if handler is None and is_constant([inputs, keywords]):
        return what(*map(plain, inputs), **plain(keywords))
    if handler is None:
        name = f"{what.__module__}.{what.__name__}".replace("numpy", "np")
        tracer.refuse(
            f"{name} is not understood",
            "Write it in operators, sums, products and elementary functions.",
            UnsupportedError,
        )
    return handler(tracer, *inputs, **keywords)


def _of_decided(tracer: Tracer, what: Any, inputs: Any, keywords: Any, given: Any) -> Any:
    first = next(each for each in given if isinstance(each, Decided))
    if any(isinstance(each, Traced) and not each.is_known for each in given):
        first.used()
    return Decided(tracer, what(*map(plain, inputs), **plain(keywords)), first.what)


def _where(tracer: Tracer, condition: Any, *sides: Any) -> Any:
    if not sides:
        return function(tracer, np.nonzero, (condition,), {})
    a, b = sides
    if is_known(condition):
        numbers = np.asarray(plain(condition), dtype=bool)
        one, other = traced(tracer, a), traced(tracer, b)
        value = np.where(numbers, plain(one), plain(other))
        return Traced(tracer, value, np.where(numbers, one.codes, other.codes))
    return choices.where(tracer, condition, a, b)


def _clip(
    tracer: Tracer, a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **more: Any
) -> Any:
    low: Any = more.pop("min", a_min)
    high: Any = more.pop("max", a_max)
    ignored(tracer, "np.clip", more)
    low, high = (None if each is np._NoValue else each for each in (low, high))
    one = traced(tracer, a)
    ends = [None if each is None else number(each) for each in (low, high)]
    infinite = [
        each is None or (not has_objects(each) and np.isinf(each).all()) for each in (low, high)
    ]
    var = None
    if ends[0] is not None and ends[1] is not None and np.ndim(low) == np.ndim(high) == 0:
        var = choices.clipped(tracer, one, *(Fraction(each) for each in ends if each is not None))
    if var is not None:
        found: Any = result(tracer, var, np.clip(plain(one), low, high), one)
    else:
        found = one if infinite[0] else np.maximum(one, low)
        found = found if infinite[1] else np.minimum(found, high)
    return found if out is None else store(out, found)


def sorted_(
    tracer: Tracer, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, **more: Any
) -> Any:
    """``np.sort``."""
    one = traced(tracer, a)
    value = np.sort(one.value, axis=axis)
    var = one.variable if axis is not None else verbs.reshaped(one.variable, (one.size,))
    at = -1 if axis is None else axis
    at = at if at < 0 else at - len(var.shape)
    return result(tracer, SORT.expand(var, axis=at), value, one)


def _product_of(what: Any) -> Callable[..., Any]:
    """Products of two arrays that are sums along axes."""

    def handler(tracer: Tracer, a: Any, b: Any, *rest: Any, out: Any = None, **more: Any) -> Any:
        one, other = traced(tracer, a), traced(tracer, b)
        value = what(plain(one), plain(other), *rest, **more)
        var = contracted(what, one.variable, other.variable, *rest, **more)
        found = result(tracer, var, value, one, other)
        return found if out is None else store(out, found)

    return handler


def _einsum(tracer: Tracer, subscripts: Any, *operands: Any, out: Any = None, **more: Any) -> Any:
    if not isinstance(subscripts, str):
        tracer.refuse("np.einsum without a string", "Write 'ij,jk->ik'.", UnsupportedError)
    arrays = [traced(tracer, each) for each in operands]
    value = np.einsum(subscripts, *map(plain, arrays), **more)
    var = contracted(np.einsum, subscripts, *(each.variable for each in arrays))
    found = result(tracer, var, value, *arrays)
    return found if out is None else store(out, found)


def _like(fill: float | None) -> Callable[..., Any]:
    def handler(tracer: Tracer, a: Any, *rest: Any, **more: Any) -> Any:
        return filled(tracer, fill, more.get("shape") or np.shape(plain(a)), more.get("dtype"))

    return handler


def _full_like(tracer: Tracer, a: Any, fill_value: Any, dtype: Any = None, **more: Any) -> Any:
    return filled(tracer, fill_value, more.get("shape") or np.shape(plain(a)), dtype)


def filled(tracer: Tracer, fill: Any, shape: Any, dtype: Any = None) -> Any:
    """An array that a function begins with; ``None`` for what is not set."""
    if dtype is not None and np.dtype(dtype).kind != "f":
        return np.full(shape, plain(fill) if fill is not None else 0, dtype=dtype)
    if fill is None:
        numbers = np.full(shape, np.nan)
        return Traced(tracer, numbers, np.full(shape, UNSET, dtype=np.int64))
    one = traced(tracer, fill)
    numbers = np.full(shape, one.value)
    return Traced(
        tracer, numbers, np.full(shape, one.codes if numbers.any() or has_objects(fill) else 0)
    )


def _nan_to_num(tracer: Tracer, x: Any, copy: bool = True, **more: Any) -> Any:
    one = traced(tracer, x)
    if not np.isfinite(one.value).all():
        tracer.refuse("np.nan_to_num of numbers that are not finite", "Keep them finite.")
    return array_of(tracer, one) if copy else one


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: reductions.reduction(np.sum, verbs.sum_along),
    np.mean: reductions.reduction(np.mean, verbs.mean),
    np.prod: reductions.reduction(np.prod, reductions.product),
    np.max: reductions.extreme(np.max, 1),
    np.min: reductions.extreme(np.min, -1),
    np.amax: reductions.extreme(np.max, 1),
    np.amin: reductions.extreme(np.min, -1),
    np.ptp: reductions.peak_to_peak,
    np.var: reductions.variance(np.var, False),
    np.std: reductions.variance(np.std, True),
    np.cumsum: reductions.cumulative_sum,
    np.diff: reductions.difference,
    np.average: reductions.average,
    np.where: _where,
    np.clip: _clip,
    np.linalg.norm: reductions.norm,
    np.trace: reductions.trace,
    np.sort: sorted_,
    np.pad: padded,
    np.dot: _product_of(np.dot),
    np.inner: _product_of(np.inner),
    np.outer: _product_of(np.outer),
    np.vdot: _product_of(np.vdot),
    np.tensordot: _product_of(np.tensordot),
    np.einsum: _einsum,
    np.zeros_like: _like(0.0),
    np.ones_like: _like(1.0),
    np.empty_like: _like(None),
    np.full_like: _full_like,
    np.nan_to_num: _nan_to_num,
}
"""What a function is, on traced arrays."""
