"""Sums, extremes and orders of PyTorch's along axes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.frontends import values, verbs
from crosscheck.frontends.torch_.operation import is_value
from crosscheck.frontends.tracing import Known, Tracing, Value, shape_of
from crosscheck.program.graph import Var
from crosscheck.program.places import Places
from crosscheck.tools.errors import UnsupportedError

__all__ = ["REDUCTIONS", "axes_of"]

Rule = Callable[..., Any]


# -- sums ------------------------------------------------------------------------------------------


def axes_of(x: Value, dim: Any) -> tuple[int, ...]:
    """Axes counted from the first, ascending; all for ``None`` or none."""
    count = len(shape_of(x))
    if dim is None or (isinstance(dim, list | tuple) and not dim):
        return tuple(range(count))
    given = [dim] if isinstance(dim, int) else dim
    return tuple(sorted(each % count for each in given)) if count else ()


def _sum(t: Tracing, x: Value, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Value:
    return verbs.sum_along(t.lift(x), axes_of(x, dim), keepdim)


def _mean(t: Tracing, x: Value, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Value:
    return verbs.mean(t.lift(x), axes_of(x, dim), keepdim)


def _variance(
    t: Tracing, x: Value, dim: Any = None, correction: Any = 1, keepdim: bool = False, **_: Any
) -> Var:
    if isinstance(dim, bool):
        dim, correction = None, int(dim)
    var, axes = t.lift(x), axes_of(x, dim)
    centred = verbs.subtract(var, verbs.mean(var, axes, True))
    count = math.prod(var.shape[each] for each in axes)
    rest = count - (1 if correction is None else correction)
    if rest <= 0:
        raise UnsupportedError(f"a variance of {count} numbers with {correction} taken away")
    squares = verbs.sum_along(verbs.power(centred, 2), axes, keepdim)
    return squares.times(1 / Fraction(rest))


def _deviation(t: Tracing, *args: Any, **kwargs: Any) -> Value:
    return verbs.elementary("sqrt", _variance(t, *args, **kwargs))


def _with_mean(write: Rule) -> Rule:
    def rule(
        t: Tracing,
        x: Value,
        dim: Any = None,
        correction: Any = 1,
        keepdim: bool = False,
        **_: Any,
    ) -> list[Value]:
        axes = None if isinstance(dim, bool) else dim
        spread = write(t, x, dim, correction=correction, keepdim=keepdim)
        return [spread, _mean(t, x, axes, keepdim)]

    return rule


def _extreme(sign: int) -> Rule:
    def rule(t: Tracing, x: Value, dim: Any = (), keepdim: bool = False) -> Any:
        if is_value(dim):
            return values.extreme(t, x, dim, sign)
        axes = axes_of(x, dim)
        found = values.extreme_along(t, x, axes, sign)
        if keepdim:
            shape = [1 if at in axes else n for at, n in enumerate(shape_of(x))]
            found = t.moved(found, lambda places: places.reshape(shape))
        if not isinstance(dim, int) or isinstance(dim, bool):
            return found
        return [found, _argument(sign)(t, x, dim, keepdim)]

    return rule


def _argument(sign: int) -> Rule:
    def rule(t: Tracing, x: Value, dim: Any = None, keepdim: bool = False) -> Value:
        inside = x if dim is not None else t.moved(x, lambda places: places.ravel())
        count = len(shape_of(inside))
        found = values.argument(t, inside, 0 if dim is None else dim % count, sign)
        if keepdim and dim is not None:
            return Known(np.expand_dims(found.array, dim), found.pairs)
        return found

    return rule


def _product_along(t: Tracing, x: Value, dim: Any = None, keepdim: bool = False, **_: Any) -> Value:
    axes = axes_of(x, dim)
    found = values.product_along(t, x, axes)
    if not keepdim:
        return found
    shape = [1 if at in axes else n for at, n in enumerate(shape_of(x))]
    return t.moved(found, lambda places: places.reshape(shape))


def _norm(
    t: Tracing, x: Value, order: Any = 2, dim: Any = None, keepdim: bool = False, **_: Any
) -> Value:
    """``linalg_vector_norm``: of order 1, 2 or ∞."""
    axes = axes_of(x, dim)
    if order == 2:
        squares = verbs.sum_along(verbs.power(t.lift(x), 2), axes, keepdim)
        return verbs.elementary("sqrt", squares)
    size = t.lift(values.absolute(t, x))
    if order == 1:
        return verbs.sum_along(size, axes, keepdim)
    if order == math.inf:
        return verbs.extreme_along(size, axes, 1, keepdim)
    raise UnsupportedError(f"a norm of order {order}, wanted 1, 2 or inf")


def _distances(t: Tracing, a: Value, b: Value, order: float, _: Any = None) -> Value:
    """``cdist``: norms of the differences of all pairs of rows."""
    one, two = t.lift(a).expand(-2), t.lift(b).expand(-3)
    return _norm(t, verbs.subtract(one, two), order, -1)


def _cumulative(step: Any) -> Rule:
    return lambda t, x, dim, **_: values.cumulative(t, x, dim % len(shape_of(x)), step)


def _with_places(step: Any) -> Rule:
    """``cummax`` and ``cummin``, which return places as well; those are not known here."""
    write = _cumulative(step)
    return lambda t, x, dim: [write(t, x, dim), None]


def _log_sums(t: Tracing, x: Value, dim: int) -> Value:
    """``logcumsumexp``: of each and what comes before it the logarithm of the sum of powers."""
    axis, var = dim % len(shape_of(x)), t.lift(x)
    before = np.tri(var.shape[axis], dtype=bool)

    def change(places: Any) -> Any:
        last = np.moveaxis(places, axis, -1)[..., None, :]
        return np.broadcast_to(last, (*last.shape[:-2], *before.shape))

    rows = verbs.moved(var, change)
    kept = np.where(before, verbs.numbered(rows.shape), -1)
    found = rows.log_sum_exp(Places(kept.ravel().tolist())).squeeze(-1)
    return verbs.moved(found, lambda places: np.moveaxis(places, -1, axis))


def _sorted(t: Tracing, x: Value, dim: int = -1, descending: bool = False, **_: Any) -> Any:
    """Numbers in order; places too, known as long as the order is."""
    axis = dim % len(shape_of(x))
    count = shape_of(x)[axis]
    return values.top(t, x, count, axis, 1 if descending else -1)


def _top(t: Tracing, x: Value, k: int, dim: int = -1, largest: bool = True, *_: Any) -> Any:
    return values.top(t, x, k, dim % len(shape_of(x)), 1 if largest else -1)


def _smallest(t: Tracing, x: Value, k: int, dim: int = -1, keepdim: bool = False) -> list[Value]:
    """``kthvalue``, counted from 1 on."""
    axis = dim % len(shape_of(x))
    found = values.top(t, x, k, axis, -1)
    last = [t.moved(each, lambda at: np.take(at, [k - 1], axis)) for each in found]
    if keepdim:
        return last
    return [t.moved(each, lambda at: at.squeeze(axis)) for each in last]


def _median(t: Tracing, x: Value, dim: Any = None, keepdim: bool = False) -> Any:
    """The middle one, or the smaller of two."""
    inside = t.moved(x, lambda places: places.ravel()) if dim is None else x
    axis = 0 if dim is None else dim
    found = _smallest(t, inside, (shape_of(inside)[axis] + 1) // 2, axis, keepdim)
    return found[0] if dim is None else found


def _joined(t: Tracing, parts: Sequence[Value], dim: int) -> Value:
    given = [each for each in parts if shape_of(each) != (0,)]
    return values.joined(t, given, dim % len(shape_of(given[0])))


def _stacked(t: Tracing, parts: Sequence[Value], dim: int) -> Value:
    axis = dim % (len(shape_of(parts[0])) + 1)
    return t.moved_together(list(parts), lambda *places: np.stack(places, axis))


REDUCTIONS: Mapping[str, Rule] = MappingProxyType(
    {
        "sum": _sum,
        "mean": _mean,
        "var": _variance,
        "std": _deviation,
        "var_mean": _with_mean(_variance),
        "std_mean": _with_mean(_deviation),
        "amax": _extreme(1),
        "amin": _extreme(-1),
        "max": _extreme(1),
        "min": _extreme(-1),
        "argmax": _argument(1),
        "argmin": _argument(-1),
        "prod": _product_along,
        "linalg_vector_norm": _norm,
        "_cdist_forward": _distances,
        "cumsum": lambda t, x, dim, **_: values.cumulative_sum(t, x, dim % len(shape_of(x))),
        "cumprod": _cumulative(verbs.multiply),
        "cummax": _with_places(lambda a, b: verbs.extreme(a, b, 1)),
        "cummin": _with_places(lambda a, b: verbs.extreme(a, b, -1)),
        "logcumsumexp": _log_sums,
        "sort": _sorted,
        "topk": _top,
        "kthvalue": _smallest,
        "median": _median,
        "trace": lambda t, x: verbs.moved(t.lift(x), np.diagonal).sum(),
        "cat": lambda t, parts, dim=0: _joined(t, parts, dim),
        "stack": lambda t, parts, dim=0: _stacked(t, parts, dim),
    }
)
"""Rules by the operator's name."""
