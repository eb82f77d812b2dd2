"""Arithmetic of PyTorch's number by number, and the choices among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.frontends import values, verbs
from crosscheck.frontends.torch_.operation import is_value
from crosscheck.frontends.tracing import Known, Tracing, Value, shape_of
from crosscheck.tools.errors import UnsupportedError

__all__ = ["ELEMENTWISE", "RANDOM", "as_value", "clamped", "divided", "scaled"]

Rule = Callable[..., Any]

RANDOM = "random numbers; take what is random as an argument, or call eval() of the module"
"""What is said of random numbers."""


def as_value(x: Any) -> Value:
    """A tensor's value, or a number's."""
    return x if is_value(x) else Known(np.asarray(x))


def _of(write: Callable[..., Value]) -> Rule:
    """A rule of `crosscheck.frontends.values`."""
    return lambda t, *x: write(t, *map(as_value, x))


def _elementary(name: str) -> Rule:
    return lambda t, x: verbs.elementary(name, t.lift(x))


# -- arithmetic ----------------------------------------------------------------------------------


def scaled(t: Tracing, x: Any, factor: Any) -> Value:
    """A multiple."""
    return as_value(x) if factor == 1 else values.product(t, as_value(x), as_value(factor))


def _added(t: Tracing, a: Any, b: Any, alpha: Any = 1) -> Value:
    return values.added(t, as_value(a), scaled(t, b, alpha))


def _subtracted(t: Tracing, a: Any, b: Any, alpha: Any = 1) -> Value:
    return values.subtracted(t, as_value(a), scaled(t, b, alpha))


def _reversed(t: Tracing, a: Any, b: Any, alpha: Any = 1) -> Value:
    return values.subtracted(t, as_value(b), scaled(t, a, alpha))


def divided(t: Tracing, a: Any, b: Any, rounding_mode: str | None = None) -> Value:
    """a / b, or its whole part."""
    found = verbs.divide(t.lift(as_value(a)), t.lift(as_value(b)))
    if rounding_mode is None:
        return found
    return values.stepped(t, found, np.floor if rounding_mode == "floor" else np.trunc)


def _rest(write: Callable[..., Any]) -> Rule:
    """What a division leaves: a - b k, k known as long as no number gets to the next one."""

    def rule(t: Tracing, a: Any, b: Any) -> Value:
        quotient = verbs.divide(t.lift(as_value(a)), t.lift(as_value(b)))
        count = values.stepped(t, quotient, write)
        return values.subtracted(t, as_value(a), values.product(t, as_value(b), count))

    return rule


def _hypotenuse(t: Tracing, a: Any, b: Any) -> Value:
    squares = [verbs.power(t.lift(as_value(each)), 2) for each in (a, b)]
    return verbs.elementary("sqrt", verbs.add(*squares))


def _combined(t: Tracing, x: Any, a: Any, b: Any, value: Any = 1) -> Value:
    """``addcmul``."""
    return values.added(t, x, scaled(t, values.product(t, a, b), value))


def _with_quotient(t: Tracing, x: Any, a: Any, b: Any, value: Any = 1) -> Value:
    """``addcdiv``."""
    return values.added(t, x, scaled(t, divided(t, a, b), value))


def _between(t: Tracing, a: Any, b: Any, weight: Any) -> Value:
    """``lerp``: a + w (b - a)."""
    step = values.product(t, as_value(weight), values.subtracted(t, b, a))
    return values.added(t, a, step)


def _log_sum(t: Tracing, a: Any, b: Any) -> Value:
    one, two = verbs.aligned(t.lift(as_value(a)), t.lift(as_value(b)))
    shape = np.broadcast_shapes(one.shape, two.shape)
    size = (math.prod(shape),)
    pair = [verbs.reshaped(each.broadcast(shape), size).expand(-1) for each in (one, two)]
    return verbs.reshaped(verbs.joined(pair, 1).log_sum_exp().squeeze(-1), shape)


def _complement(t: Tracing, x: Any) -> Value:
    """``erfc``."""
    var = t.lift(x)
    return verbs.subtract(var.graph.ones(()), verbs.elementary("erf", var))


def _cast(t: Tracing, x: Any, dtype: Any = None, **_: Any) -> Value:
    """``_to_copy``: real numbers stay what they are."""
    value = as_value(x)
    if dtype is None or dtype.is_floating_point:
        if isinstance(value, Known):
            return Known(np.asarray(value.array, np.float64), value.pairs, value.test)
        return value
    name = str(dtype).rpartition(".")[2]
    if isinstance(value, Known):
        array = np.asarray(value.array).astype(name)
        return Known(array, value.pairs, value.test)
    if name == "bool":
        return t.compared("ne", value, Known(np.zeros(())), np.not_equal)
    return values.stepped(t, value, np.trunc, np.dtype(name))


# -- choices -------------------------------------------------------------------------------------


def _extreme(sign: int) -> Rule:
    return lambda t, a, b: values.extreme(t, as_value(a), as_value(b), sign)


def clamped(t: Tracing, x: Any, low: Any = None, high: Any = None) -> Value:
    """min(max(x, low), high)."""
    ends = [None if each is None else as_value(each) for each in (low, high)]
    return values.clamped(t, as_value(x), *ends)


def _compared(name: str, write: Callable[..., Any]) -> Rule:
    return lambda t, a, b: t.compared(name, as_value(a), as_value(b), write)


def _chosen(t: Tracing, mask: Any, a: Any, b: Any) -> Value:
    """``where``."""
    return t.selected(_known(mask), as_value(a), as_value(b))


def _filled(t: Tracing, x: Any, mask: Any, value: Any) -> Value:
    """``masked_fill``."""
    shape = np.broadcast_shapes(shape_of(x), np.shape(_known(mask).array))
    there = as_value(value)
    if isinstance(there, Known):
        there = Known(np.broadcast_to(np.asarray(there.array, np.float64), shape), there.pairs)
    return t.selected(_known(mask), there, as_value(x))


def _known(x: Any) -> Known:
    if not isinstance(x, Known):
        raise UnsupportedError("a choice by numbers that are differentiated")
    return x


def _negated(t: Tracing, x: Any) -> Value:
    return values.inverted(_known(x))


ELEMENTWISE: Mapping[str, Rule] = MappingProxyType(
    {
        "add": _added,
        "sub": _subtracted,
        "rsub": _reversed,
        "mul": _of(values.product),
        "div": divided,
        "neg": _of(values.negative),
        "abs": _of(values.absolute),
        "pow": _of(values.powered),
        "exp": _of(values.exponential),
        "remainder": _rest(np.floor),
        "fmod": _rest(np.trunc),
        "hypot": _hypotenuse,
        "addcmul": _combined,
        "addcdiv": _with_quotient,
        "lerp": _between,
        "logaddexp": _log_sum,
        "erfc": _complement,
        "square": lambda t, x: verbs.power(t.lift(x), 2),
        "reciprocal": lambda t, x: verbs.divide(t.lift(x).graph.ones(()), t.lift(x)),
        **{
            name: _elementary(name)
            for name in (
                "log", "log1p", "expm1", "tanh", "sigmoid", "erf", "sin", "cos", "sqrt", "rsqrt",
                "silu",
            )
        },
        "xlogy": lambda t, x, y: verbs.multiply(t.lift(x), verbs.elementary("log", t.lift(y))),
        "clamp": clamped,
        "clamp_min": lambda t, x, low: clamped(t, x, low),
        "clamp_max": lambda t, x, high: clamped(t, x, None, high),
        "maximum": _extreme(1),
        "minimum": _extreme(-1),
        "fmax": _extreme(1),
        "fmin": _extreme(-1),
        "where": _chosen,
        "masked_fill": _filled,
        "sign": _of(values.sign_of),
        "sgn": _of(values.sign_of),
        "floor": lambda t, x: values.stepped(t, x, np.floor),
        "ceil": lambda t, x: values.stepped(t, x, np.ceil),
        "trunc": lambda t, x: values.stepped(t, x, np.trunc),
        "round": lambda t, x: values.stepped(t, x, np.round),
        "isnan": lambda t, x: Known(np.isnan(t.numbers(x))),
        "isinf": lambda t, x: Known(np.isinf(t.numbers(x))),
        "eq": _compared("eq", np.equal),
        "ne": _compared("ne", np.not_equal),
        "gt": _compared("gt", np.greater),
        "ge": _compared("ge", np.greater_equal),
        "lt": _compared("lt", np.less),
        "le": _compared("le", np.less_equal),
        "logical_not": _negated,
        "bitwise_not": _negated,
        "_to_copy": _cast,
        "detach": lambda t, x: x,
    }
)  # fmt: skip
"""Rules by the operator's name."""
