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

from crosscheck.frontends import verbs
from crosscheck.frontends.forms import folded
from crosscheck.frontends.tracing import Extended, Known, Tracing, Value, shape_of
from crosscheck.frontends.windows import Sliding, convolved, extreme_over
from crosscheck.numbers.piecewise import piecewise
from crosscheck.operators import sort
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UnsupportedError

__all__ = ["MOVES", "RULES", "gathered", "scattered"]

Params = Mapping[str, Any]
Rule = Callable[..., Any]

_ABSOLUTE = piecewise("abs", "|z|", "0", "0 -1", "0 1")


def _lifted(write: Callable[..., Var]) -> Rule:
    """A rule for finite numbers without parameters."""
    return lambda t, params, *x: write(*(t.lift(each) for each in x))


def _elementary(name: str) -> Rule:
    return _lifted(lambda x: verbs.elementary(name, x))


# -- with infinite entries -----------------------------------------------------------------------


def _parts(t: Tracing, value: Value) -> tuple[Var, Any]:
    real = t.real(value)
    return (real.var, real.special) if isinstance(real, Extended) else (real, np.zeros(real.shape))


def _linear(write: Callable[[Var, Var], Var], plain: Callable[..., Any]) -> Rule:
    """A sum or a difference, of infinite numbers too."""

    def rule(t: Tracing, params: Params, a: Value, b: Value) -> Value:
        (one, first), (two, second) = _parts(t, a), _parts(t, b)
        with np.errstate(invalid="ignore"):
            special = plain(first, second)
        return t.extended(write(one, two), special)

    return rule


def _product(t: Tracing, params: Params, a: Value, b: Value) -> Value:
    for mask, other in ((a, b), (b, a)):
        if isinstance(mask, Known) and mask.test is not None and not isinstance(other, Known):
            numbers = np.asarray(mask.array)
            if np.isin(numbers, (0, 1)).all():
                shape = np.broadcast_shapes(numbers.shape, shape_of(other))
                zero = Known(np.zeros(shape))
                return t.selected(Known(numbers != 0, mask.pairs, mask.test), other, zero)
    for value, other in ((a, b), (b, a)):
        if isinstance(value, Extended) and isinstance(other, Known):
            factor = np.asarray(other.array, np.float64)
            with np.errstate(invalid="ignore"):
                special = np.where(value.special != 0, value.special * factor, 0.0)
            return t.extended(verbs.multiply(value.var, t.lift(other)), special)
    return verbs.multiply(t.lift(a), t.lift(b))


def _exp(t: Tracing, params: Params, x: Value) -> Value:
    var, special = _parts(t, x)
    found = verbs.elementary("exp", var)
    if not special.any():
        return found
    if not (special <= 0).all():
        raise UnsupportedError("exp of an infinite or undefined number")
    return verbs.moved(found, lambda places: np.where(special == 0, places, -1))


def _extreme(sign: int) -> Rule:
    def rule(t: Tracing, params: Params, a: Value, b: Value) -> Value:
        for one, two in ((a, b), (b, a)):
            numbers = np.asarray(t.numbers(one)) if isinstance(one, Known) else None
            if numbers is not None and (numbers == -sign * np.inf).all():
                return two
        (one, first), (two, second) = _parts(t, a), _parts(t, b)
        if first.any() or second.any():
            chosen = np.maximum if sign > 0 else np.minimum
            numbers_ = chosen(t.numbers(a), t.numbers(b))
            shape = numbers_.shape
            alone = np.broadcast_to(second == -sign * np.inf, shape)
            other = np.broadcast_to(first == -sign * np.inf, shape)
            if not (alone | other | ~np.isfinite(numbers_)).all():
                raise UnsupportedError("max or min of numbers of which some are infinite")
            special = np.where(np.isfinite(numbers_), 0.0, numbers_)
            return t.extended(verbs.chosen(alone, one, two), special)
        return folded(verbs.extreme(one, two, sign))

    return rule


def _extreme_along(sign: int) -> Rule:
    def rule(t: Tracing, params: Params, x: Value) -> Value:
        axes = tuple(int(each) for each in params["axes"])
        var, special = _parts(t, x)
        if not special.any():
            return verbs.extreme_along(var, axes, sign)
        numbers = np.where(special == 0, 0.0, special)
        if np.isnan(special).any() or (special == sign * np.inf).any():
            raise UnsupportedError("an extreme of numbers of which one is NaN or infinite")
        places = np.where(numbers == 0, verbs.numbered(var.shape), -1)
        rest = [at for at in range(places.ndim) if at not in axes]
        lead = tuple(places.shape[at] for at in rest)
        rows = places.transpose([*rest, *axes]).reshape(math.prod(lead), -1)
        found, none = extreme_over(var, rows, sign)
        return t.extended(verbs.reshaped(found, lead), none.reshape(lead))

    return rule


def _held(t: Tracing, params: Params, x: Value) -> Value:
    if isinstance(x, Extended):
        return Extended(x.var.held(), x.special)
    return x.held() if isinstance(x, Var) else x


def _converted(t: Tracing, params: Params, x: Value) -> Value:
    if np.issubdtype(params["new_dtype"], np.complexfloating):
        raise UnsupportedError("complex numbers, wanted real ones")
    if params["new_dtype"].kind not in "biu" or isinstance(x, Known):
        return x
    if params["new_dtype"] == np.bool_:
        return t.compared("ne", x, Known(np.zeros(())), np.not_equal)
    found: Value = _stepped(np.trunc)(t, params, x)
    return found


def _stepped(write: Callable[[Any], Any]) -> Rule:
    """A function with steps: known, as long as no number gets to the next step."""

    def rule(t: Tracing, params: Params, x: Value) -> Value:
        numbers = np.asarray(t.numbers(x))
        found = write(numbers)
        var = t.lift(x)
        half = np.round is write
        ends = [found - 0.5, found + 0.5] if half else [np.floor(numbers), np.floor(numbers) + 1]
        pairs = tuple((var, t.lift(Known(each))) for each in ends)
        dtype = params.get("new_dtype")
        return Known(found if dtype is None else found.astype(dtype), pairs)

    return rule


def _sign(t: Tracing, params: Params, x: Value) -> Value:
    numbers = np.sign(t.numbers(x))
    var = t.lift(x)
    return Known(numbers, () if t.is_data(var) else ((var, var.graph.zeros(var.shape)),))


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


def _not(t: Tracing, params: Params, x: Known) -> Value:
    test = None if x.test is None else x.test.negated()
    return Known(np.logical_not(x.array), x.pairs, test)


# -- numbers entry by entry ----------------------------------------------------------------------


def _power(t: Tracing, params: Params, x: Value, y: Value) -> Value:
    exponents = np.unique(np.asarray(t.numbers(y), np.float64))
    if not isinstance(y, Known) or len(exponents) != 1:
        raise UnsupportedError("pow: wanted one exponent that is a constant")
    return verbs.power(t.lift(x), float(exponents[0]))


def _clamp(t: Tracing, params: Params, low: Value, x: Value, high: Value) -> Value:
    found: Value = _extreme(-1)(t, params, _extreme(1)(t, params, x, low), high)
    return found


def _erfc(x: Var) -> Var:
    return verbs.subtract(x.graph.ones(()), verbs.elementary("erf", x))


# -- along axes ----------------------------------------------------------------------------------


def _sum(t: Tracing, params: Params, x: Value) -> Value:
    return verbs.sum_along(t.lift(x), tuple(int(each) for each in params["axes"]))


def _multiplied(t: Tracing, params: Params, x: Value) -> Value:
    found = t.lift(x)
    for axis in sorted((int(each) for each in params["axes"]), reverse=True):
        parts = _slices(found, axis)
        total = parts[0] if parts else found.graph.ones(_without(found.shape, axis))
        for each in parts[1:]:
            total = verbs.multiply(total, each)
        found = total
    return found


def _slices(x: Var, axis: int) -> list[Var]:
    def at(number: int) -> Callable[[Any], Any]:
        return lambda places: np.take(places, number, axis)

    return [verbs.moved(x, at(number)) for number in range(x.shape[axis])]


def _without(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    return tuple(size for at, size in enumerate(shape) if at != axis)


def _cumulative_sum(t: Tracing, params: Params, x: Value) -> Value:
    """Each a sum of its own, of what comes before it, in any order."""
    axis, var = params["axis"], t.lift(x)
    count = var.shape[axis]
    taken = np.arange(count)[:, None] >= np.arange(count)
    taken = taken.T if params["reverse"] else taken

    def change(places: Any) -> Any:
        moved = np.moveaxis(places, axis, -1)
        return np.where(taken, moved[..., None, :], -1)

    found = verbs.moved(var, change).sum(-1)
    return verbs.moved(found, lambda places: np.moveaxis(places, -1, axis))


def _cumulative(step: Callable[[Var, Var], Var]) -> Rule:
    def rule(t: Tracing, params: Params, x: Value) -> Value:
        axis = params["axis"]
        parts = _slices(t.lift(x), axis)
        parts = parts[::-1] if params["reverse"] else parts
        found = parts[:1]
        for each in parts[1:]:
            found.append(step(found[-1], each))
        found = found[::-1] if params["reverse"] else found
        return t.moved_together(found, lambda *places: np.stack(places, axis))

    return rule


def _argument(sign: int) -> Rule:
    """Where the extreme is: known, as long as no other is."""

    def rule(t: Tracing, params: Params, x: Value) -> Value:
        (axis,) = params["axes"]
        numbers = np.asarray(t.numbers(x)) * sign
        best = np.argmax(numbers, axis)
        var = t.lift(x)
        count = numbers.shape[axis]
        if count < 2:
            return Known(best.astype(params["index_dtype"]))
        places = np.moveaxis(verbs.numbered(var.shape), axis, -1)
        is_best = np.arange(count) == best[..., None]
        others = places[~is_best].reshape(*best.shape, count - 1)
        chosen = np.broadcast_to(places[is_best].reshape(*best.shape, 1), others.shape)
        pair = verbs.moved(var, lambda _: chosen), verbs.moved(var, lambda _: others)
        return Known(best.astype(params["index_dtype"]), () if t.is_data(var) else (pair,))

    return rule


def _sort(t: Tracing, params: Params, *x: Value) -> list[Value]:
    axis = params["dimension"]
    if len(x) == 1:
        var = t.lift(x[0])
        return [sort.OPERATOR.expand(var, axis=axis - len(var.shape))]
    if params["num_keys"] != 1:
        raise UnsupportedError(f"sort by {params['num_keys']} keys, wanted one")
    order = np.argsort(np.asarray(t.numbers(x[0])), axis, kind="stable")
    return _in_order(t, x, order, axis)


def _in_order(t: Tracing, x: Sequence[Value], order: Any, axis: int) -> list[Value]:
    """Numbers in an order that was found by comparing the first of them."""

    def change(places: Any) -> Any:
        return np.take_along_axis(places, order, axis)

    keys = t.moved(x[0], change)
    pairs: tuple[tuple[Var, Var], ...] = ()
    if not isinstance(keys, Known) and order.shape[axis] > 1:
        var, count = t.lift(keys), order.shape[axis]
        neighbours = [_cut(var, axis, k, count - 1 + k) for k in (0, 1)]
        pairs = () if t.is_data(var) else ((neighbours[0], neighbours[1]),)
    found = []
    for each in x:
        there = t.moved(each, change)
        if isinstance(there, Known):
            there = Known(there.array, (*there.pairs, *pairs))
        else:
            t.note(pairs)
        found.append(there)
    return found


def _cut(x: Var, axis: int, begin: int, end: int) -> Var:
    return verbs.moved(x, lambda places: np.take(places, np.arange(begin, end), axis))


def _top(t: Tracing, params: Params, x: Value) -> list[Value]:
    axis, count = params.get("axis", len(shape_of(x)) - 1), params["k"]
    numbers = np.asarray(t.numbers(x))
    order = np.argsort(-numbers, axis, kind="stable")
    last = np.moveaxis(order, axis, -1)
    places = np.moveaxis(np.broadcast_to(np.arange(last.shape[-1]), last.shape), -1, axis)
    found = _in_order(t, [x, Known(places)], order, axis)
    return [t.moved(each, lambda at: np.take(at, range(count), axis)) for each in found]


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


def _joined(t: Tracing, params: Params, *x: Value) -> Value:
    axis = params["dimension"]
    if all(isinstance(each, Var) for each in x):
        return verbs.joined([t.lift(each) for each in x], axis)
    return t.moved_together(x, lambda *places: np.concatenate(places, axis))


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
        "add": _linear(verbs.add, np.add),
        "add_any": _linear(verbs.add, np.add),
        "sub": _linear(verbs.subtract, np.subtract),
        "neg": lambda t, params, x: t.extended(_parts(t, x)[0].times(-1), -_parts(t, x)[1]),
        "mul": _product,
        "div": _lifted(verbs.divide),
        "max": _extreme(1),
        "min": _extreme(-1),
        "clamp": _clamp,
        "abs": _lifted(lambda x: folded(x.piecewise(_ABSOLUTE))),
        "exp": _exp,
        "square": _lifted(lambda x: verbs.power(x, 2)),
        "integer_pow": lambda t, params, x: verbs.power(t.lift(x), params["y"]),
        "pow": _power,
        "erfc": _lifted(_erfc),
        "logistic": _elementary("sigmoid"),
        **{
            name: _elementary(name)
            for name in ("log", "log1p", "expm1", "tanh", "erf", "sin", "cos", "sqrt", "rsqrt")
        },
        "sign": _sign,
        "floor": _stepped(np.floor),
        "ceil": _stepped(np.ceil),
        "round": _stepped(np.round),
        "is_finite": _is_finite,
        "stop_gradient": _held,
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
        "not": _not,
        "select_n": _select,
        "reduce_sum": _sum,
        "reduce_prod": _multiplied,
        "reduce_max": _extreme_along(1),
        "reduce_min": _extreme_along(-1),
        "argmax": _argument(1),
        "argmin": _argument(-1),
        "cumsum": _cumulative_sum,
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
        "concatenate": _joined,
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
