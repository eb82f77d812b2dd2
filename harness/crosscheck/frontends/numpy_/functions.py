"""NumPy's functions, by what they compute; see `moving` for those that only move numbers."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.frontends import verbs
from crosscheck.frontends.numpy_ import choices
from crosscheck.frontends.numpy_.arrays import Decided, Step, Traced
from crosscheck.frontends.numpy_.moving import MOVES, PUTS, array_of, moved, padded, put_into
from crosscheck.frontends.numpy_.operands import (
    has_objects,
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
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UnsupportedError

__all__ = ["FUNCTIONS", "METHODS", "SPECIAL", "filled", "function", "method"]

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

Axis = int | Sequence[int] | None


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


def _ignored(tracer: Tracer, name: str, more: dict[str, Any]) -> None:
    """Keywords that change nothing in mathematics; others are refused."""
    for key, value in more.items():
        is_default = value is np._NoValue or value is None or (key == "where" and value is True)
        if key not in ("dtype", "casting", "order", "subok", "out") and not is_default:
            tracer.refuse(f"{name} with {key}=", "Write it another way.", UnsupportedError)


Reduce = Callable[[Var, Axis, bool], Var]


def _reduction(what: Any, reduce: Reduce) -> Callable[..., Any]:
    def handler(
        tracer: Tracer,
        a: Any,
        axis: Axis = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        **more: Any,
    ) -> Any:
        _ignored(tracer, f"np.{what.__name__}", more)
        return _reduced(tracer, what, reduce, a, axis, keepdims, out)

    return handler


def _extreme(what: Any, sign: int) -> Callable[..., Any]:
    def handler(
        tracer: Tracer,
        a: Any,
        axis: Axis = None,
        out: Any = None,
        keepdims: Any = False,
        **more: Any,
    ) -> Any:
        _ignored(tracer, f"np.{what.__name__}", more)

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


def _variance(what: Any, is_root: bool) -> Callable[..., Any]:
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
        _ignored(tracer, f"np.{what.__name__}", more)
        free = correction if isinstance(correction, int | float) else ddof

        def numbers(x: Any, axis: Axis, keepdims: bool) -> Any:
            return what(x, axis=axis, ddof=free, keepdims=keepdims)

        return _reduced(tracer, numbers, _spread(free, is_root), a, axis, keepdims, out)

    return handler


def _product(x: Var, axis: Axis, keep: bool) -> Var:
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


def _cumulative_sum(
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


def _difference(tracer: Tracer, a: Any, n: int = 1, axis: int = -1, **more: Any) -> Any:
    _ignored(tracer, "np.diff", more)
    found = traced(tracer, a)
    for _ in range(n):
        index = [slice(None)] * found.ndim
        index[axis] = slice(1, None)
        before = [slice(None)] * found.ndim
        before[axis] = slice(None, -1)
        found = found[tuple(index)] - found[tuple(before)]
    return found


def _range(tracer: Tracer, a: Any, axis: Any = None, **more: Any) -> Any:
    _ignored(tracer, "np.ptp", more)
    return np.max(a, axis=axis) - np.min(a, axis=axis)


def _average(tracer: Tracer, a: Any, axis: Any = None, weights: Any = None, **more: Any) -> Any:
    _ignored(tracer, "np.average", more)
    if weights is None:
        return np.mean(traced(tracer, a), axis=axis)
    a, weights = traced(tracer, a), traced(tracer, weights)
    if weights.shape != a.shape:
        weights = weights[tuple(slice(None) if k == axis % a.ndim else None for k in range(a.ndim))]
    return (a * weights).sum(axis=axis) / (a * 0.0 + weights).sum(axis=axis)


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
    _ignored(tracer, "np.clip", more)
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


def _norm(tracer: Tracer, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    one = traced(tracer, x)
    if ord not in (None, 2, 1, "fro") or (ord in (1, 2) and axis is None and one.ndim != 1):
        tracer.refuse(f"np.linalg.norm with ord={ord!r}", "Write it in sums.", UnsupportedError)
    value = np.linalg.norm(plain(one), ord=ord, axis=axis, keepdims=keepdims)
    if ord == 1:
        var = verbs.sum_along(choices.absolute(one.variable), axis, keepdims)
    else:
        squares = verbs.sum_along(verbs.power(one.variable, 2), axis, keepdims)
        var = verbs.elementary("sqrt", squares)
    return result(tracer, var, value, one)


def _trace(
    tracer: Tracer, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, **more: Any
) -> Any:
    _ignored(tracer, "np.trace", more)
    return np.diagonal(traced(tracer, a), offset, axis1, axis2).sum(axis=-1)


def _sort(
    tracer: Tracer, a: Any, axis: Any = -1, kind: Any = None, order: Any = None, **more: Any
) -> Any:
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
    _ignored(tracer, "logsumexp", {**more, "b": b})
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
"""Functions of ``scipy.special`` that NumPy does not hand over."""


FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.sum: _reduction(np.sum, verbs.sum_along),
    np.mean: _reduction(np.mean, verbs.mean),
    np.prod: _reduction(np.prod, _product),
    np.max: _extreme(np.max, 1),
    np.min: _extreme(np.min, -1),
    np.amax: _extreme(np.max, 1),
    np.amin: _extreme(np.min, -1),
    np.ptp: _range,
    np.var: _variance(np.var, False),
    np.std: _variance(np.std, True),
    np.cumsum: _cumulative_sum,
    np.diff: _difference,
    np.average: _average,
    np.where: _where,
    np.clip: _clip,
    np.linalg.norm: _norm,
    np.trace: _trace,
    np.sort: _sort,
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


# -- methods -------------------------------------------------------------------------------------

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
    store(array, _sort(tracer, array, *inputs, **more))


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
