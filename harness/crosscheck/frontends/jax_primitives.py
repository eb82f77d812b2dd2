"""The primitives of JAX, each by name in the primitives of programs.

A rule is handed the reader, the equation's parameters and its operands, each a value of
`crosscheck.frontends.tracing`. What only moves numbers has no rule of its own: the primitive is run
on an array of places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.frontends import values, verbs
from crosscheck.frontends.tracing import Known, Tracing, Value, shape_of
from crosscheck.frontends.windows import Sliding, convolved, extreme_over
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UnsupportedError

__all__ = ["MOVES", "RULES", "gathered", "scattered"]

Params = Mapping[str, Any]
Rule = Callable[..., Any]


def _lifted(write: Callable[..., Var]) -> Rule:
    """A rule for finite numbers without parameters."""
    return lambda t, params, *x: write(*(t.lift(each) for each in x))


def _elementary(name: str) -> Rule:
    return _lifted(lambda x: verbs.elementary(name, x))


def _plain(write: Callable[..., Value]) -> Rule:
    """A rule that needs no parameters, of `crosscheck.frontends.values`."""
    return lambda t, params, *x: write(t, *x)


def _axes(params: Params) -> tuple[int, ...]:
    return tuple(int(each) for each in params["axes"])


def _extreme_along(sign: int) -> Rule:
    return lambda t, params, x: values.extreme_along(t, x, _axes(params), sign)


def _converted(t: Tracing, params: Params, x: Value) -> Value:
    if np.issubdtype(params["new_dtype"], np.complexfloating):
        raise UnsupportedError("complex numbers, wanted real ones")
    if params["new_dtype"].kind not in "biu" or isinstance(x, Known):
        return x
    if params["new_dtype"] == np.bool_:
        return t.compared("ne", x, Known(np.zeros(())), np.not_equal)
    return values.stepped(t, x, np.trunc, params["new_dtype"])


def _stepped(write: Callable[[Any], Any]) -> Rule:
    return lambda t, params, x: values.stepped(t, x, write)


def _is_finite(t: Tracing, params: Params, x: Value) -> Value:
    return Known(np.isfinite(t.numbers(x)))


def _compare(name: str, write: Callable[..., Any]) -> Rule:
    return lambda t, params, a, b: t.compared(name, a, b, write)


def _select(t: Tracing, params: Params, which: Value, *cases: Value) -> Value:
    assert isinstance(which, Known)
    if np.asarray(which.array).dtype == bool:
        return t.selected(which, cases[1], cases[0])
    found = cases[0]
    for number, each in enumerate(cases[1:], 1):
        found = t.selected(Known(np.asarray(which.array) == number, which.pairs), each, found)
    return found


# -- numbers entry by entry ----------------------------------------------------------------------


def _erfc(x: Var) -> Var:
    return verbs.subtract(x.graph.ones(()), verbs.elementary("erf", x))


# -- along axes ----------------------------------------------------------------------------------


def _sum(t: Tracing, params: Params, x: Value) -> Value:
    return verbs.sum_along(t.lift(x), _axes(params))


def _cumulative(step: Callable[[Var, Var], Var]) -> Rule:
    return lambda t, params, x: values.cumulative(t, x, params["axis"], step, params["reverse"])


def _argument(sign: int) -> Rule:
    def rule(t: Tracing, params: Params, x: Value) -> Value:
        (axis,) = params["axes"]
        found = values.argument(t, x, axis, sign)
        return Known(found.array.astype(params["index_dtype"]), found.pairs)

    return rule


def _sort(t: Tracing, params: Params, *x: Value) -> list[Value]:
    axis = params["dimension"]
    if len(x) == 1:
        return [values.sorted_along(t, x[0], axis)]
    if params["num_keys"] != 1:
        raise UnsupportedError(f"sort by {params['num_keys']} keys, wanted one")
    order = np.argsort(np.asarray(t.numbers(x[0])), axis, kind="stable")
    return values.in_order(t, x, order, axis)


def _top(t: Tracing, params: Params, x: Value) -> list[Value]:
    return values.top(t, x, params["k"], params.get("axis", len(shape_of(x)) - 1))


# -- products ------------------------------------------------------------------------------------


def _dot(t: Tracing, params: Params, a: Value, b: Value) -> Value:
    (by_a, by_b), (lead_a, lead_b) = params["dimension_numbers"]
    one, two = t.lift(a), t.lift(b)

    def rest(shape: Sequence[int], *used: Sequence[int]) -> list[int]:
        return [at for at in range(len(shape)) if not any(at in each for each in used)]

    rest_a, rest_b = rest(one.shape, by_a, lead_a), rest(two.shape, by_b, lead_b)

    def sizes(x: Var, axes: Sequence[int]) -> tuple[int, ...]:
        return tuple(x.shape[at] for at in axes)

    lead, inner = sizes(one, lead_a), math.prod(sizes(one, by_a))
    count = (math.prod(lead),) if lead else ()
    shape_a, shape_b = sizes(one, rest_a), sizes(two, rest_b)
    left = verbs.transposed(one, [*lead_a, *rest_a, *by_a])
    right = verbs.transposed(two, [*lead_b, *by_b, *rest_b])
    left = verbs.reshaped(left, (*count, math.prod(shape_a), inner))
    right = verbs.reshaped(right, (*count, inner, math.prod(shape_b)))
    return verbs.reshaped(left @ right, (*lead, *shape_a, *shape_b))


def _convolution(t: Tracing, params: Params, x: Value, kernel: Value) -> Value:
    if params["batch_group_count"] != 1:
        raise UnsupportedError("conv_general_dilated with batch_group_count, wanted 1")
    numbers = params["dimension_numbers"]
    left = verbs.transposed(t.lift(x), numbers.lhs_spec)
    right = verbs.transposed(t.lift(kernel), numbers.rhs_spec)
    over = Sliding(
        right.shape[2:],
        params["window_strides"],
        params["padding"],
        params["rhs_dilation"],
        params["lhs_dilation"],
    )
    found = convolved(left, right, over, params["feature_group_count"])
    return verbs.transposed(found, np.argsort(numbers.out_spec).tolist())


def _windows(params: Params) -> Sliding:
    dilation = params.get("base_dilation", (1,) * len(params["window_dimensions"]))
    return Sliding(
        params["window_dimensions"],
        params["window_strides"],
        params["padding"],
        params["window_dilation"],
        dilation,
    )


def _window_sum(t: Tracing, params: Params, x: Value) -> Value:
    var = t.lift(x)
    places = _windows(params).places(var.shape)
    found = verbs.moved(var, lambda _: places.reshape(*places.shape[: len(var.shape)], -1))
    return found.sum(-1)


def _window_extreme(sign: int) -> Rule:
    def rule(t: Tracing, params: Params, x: Value) -> Value:
        var = t.lift(x)
        places = _windows(params).places(var.shape)
        shape = places.shape[: len(var.shape)]
        found, none = extreme_over(var, places.reshape(math.prod(shape), -1), sign)
        return t.extended(verbs.reshaped(found, shape), none.reshape(shape))

    return rule


# -- places --------------------------------------------------------------------------------------


def _repeated(t: Tracing, params: Params, x: Value, *_: Value) -> Value:
    """``broadcast_in_dim``."""
    shape, where = tuple(params["shape"]), tuple(int(at) for at in params["broadcast_dimensions"])

    def change(places: Any) -> Any:
        form = [1] * len(shape)
        for at, size in zip(where, places.shape, strict=True):
            form[at] = size
        return np.broadcast_to(places.reshape(form), shape)

    if not isinstance(x, Var):
        return t.moved(x, change)
    for axis in reversed(range(len(shape))):
        if axis not in where:
            x = x.expand(axis - len(shape))
    return x.broadcast(shape)


def _squeezed(t: Tracing, params: Params, x: Value) -> Value:
    axes = tuple(int(at) for at in params["dimensions"])
    if not isinstance(x, Var):
        return t.moved(x, lambda places: np.squeeze(places, axes))
    count = len(x.shape)
    for axis in sorted(axes):
        x = x.squeeze(axis - count)
    return x


def _transposed(t: Tracing, params: Params, x: Value) -> Value:
    order = tuple(int(at) for at in params["permutation"])
    if isinstance(x, Var):
        return verbs.transposed(x, order)
    return t.moved(x, lambda places: places.transpose(order))


def gathered(t: Tracing, params: Params, x: Value, change: Callable[..., Any]) -> Value:
    """``gather``: with NaN, or another number, where an index is beyond the end.

    Args:
        t: The program in the making.
        params: Of the equation.
        x: What is gathered from.
        change: The primitive on places, with a number that stands for such an index.
    """
    beyond = -2
    found = change(verbs.numbered(shape_of(x)), beyond)
    if not (np.asarray(found) == beyond).any():
        return t.moved(x, lambda _: found)
    fill = params["fill_value"]
    filled = Known(np.full((), np.nan if fill is None else fill, np.float64))
    count = math.prod(shape_of(x))
    return t.moved_together([x, filled], lambda *_: np.where(found == beyond, count, found))


def scattered(t: Tracing, x: Value, updates: Value, places: Any) -> Value:
    """``scatter-add``: of each update the place that it is added to, -1 where it is left out."""
    var = t.lift(updates)
    return verbs.add(t.lift(x), var.scatter(np.asarray(places).ravel().tolist(), shape_of(x)))


def _same(t: Tracing, params: Params, *x: Value) -> Any:
    return list(x) if len(x) != 1 else x[0]


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "add": _plain(values.added),
        "add_any": _plain(values.added),
        "sub": _plain(values.subtracted),
        "neg": _plain(values.negative),
        "mul": _plain(values.product),
        "div": _lifted(verbs.divide),
        "max": lambda t, params, a, b: values.extreme(t, a, b, 1),
        "min": lambda t, params, a, b: values.extreme(t, a, b, -1),
        "clamp": lambda t, params, low, x, high: values.clamped(t, x, low, high),
        "abs": _plain(values.absolute),
        "exp": _plain(values.exponential),
        "square": _lifted(lambda x: verbs.power(x, 2)),
        "integer_pow": lambda t, params, x: verbs.power(t.lift(x), params["y"]),
        "pow": _plain(values.powered),
        "erfc": _lifted(_erfc),
        "logistic": _elementary("sigmoid"),
        **{
            name: _elementary(name)
            for name in ("log", "log1p", "expm1", "tanh", "erf", "sin", "cos", "sqrt", "rsqrt")
        },
        "sign": _plain(values.sign_of),
        "floor": _stepped(np.floor),
        "ceil": _stepped(np.ceil),
        "round": _stepped(np.round),
        "is_finite": _is_finite,
        "stop_gradient": _plain(values.held),
        "convert_element_type": _converted,
        "copy": _same,
        "copy_p": _same,
        "optimization_barrier": _same,
        "eq": _compare("eq", np.equal),
        "ne": _compare("ne", np.not_equal),
        "gt": _compare("gt", np.greater),
        "ge": _compare("ge", np.greater_equal),
        "lt": _compare("lt", np.less),
        "le": _compare("le", np.less_equal),
        "not": lambda t, params, x: values.inverted(x),
        "select_n": _select,
        "reduce_sum": _sum,
        "reduce_prod": lambda t, params, x: values.product_along(t, x, _axes(params)),
        "reduce_max": _extreme_along(1),
        "reduce_min": _extreme_along(-1),
        "argmax": _argument(1),
        "argmin": _argument(-1),
        "cumsum": lambda t, params, x: values.cumulative_sum(
            t, x, params["axis"], params["reverse"]
        ),
        "cumprod": _cumulative(verbs.multiply),
        "cummax": _cumulative(lambda a, b: verbs.extreme(a, b, 1)),
        "cummin": _cumulative(lambda a, b: verbs.extreme(a, b, -1)),
        "sort": _sort,
        "top_k": _top,
        "dot_general": _dot,
        "conv_general_dilated": _convolution,
        "reduce_window_sum": _window_sum,
        "reduce_window_max": _window_extreme(1),
        "reduce_window_min": _window_extreme(-1),
        "broadcast_in_dim": _repeated,
        "squeeze": _squeezed,
        "transpose": _transposed,
        "concatenate": lambda t, params, *x: values.joined(t, x, params["dimension"]),
        "reshape": lambda t, params, x: t.moved(
            x, lambda places: places.reshape(params["new_sizes"])
        ),
        "rev": lambda t, params, x: t.moved(
            x, lambda places: np.flip(places, tuple(params["dimensions"]))
        ),
    }
)
"""Rules by the primitive's name."""

MOVES = frozenset(
    {"slice", "dynamic_slice", "pad", "dynamic_update_slice", "scatter", "split", "stack", "tile"}
)
"""Primitives that are run on places: those that move the entries of all real operands."""
