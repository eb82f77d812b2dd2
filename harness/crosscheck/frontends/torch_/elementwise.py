"""Operations of PyTorch's number by number, and the choices among them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.frontends import values, verbs
from crosscheck.frontends.forms import folded
from crosscheck.frontends.torch_.operation import is_value
from crosscheck.frontends.tracing import Known, Tracing, Value, shape_of
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.operators import hard_sigmoid, leaky_relu
from crosscheck.tools.errors import UnsupportedError

__all__ = ["ELEMENTWISE", "as_value"]

Rule = Callable[..., Any]


def as_value(x: Any) -> Value:
    """A tensor's value, or a number's."""
    return x if is_value(x) else Known(np.asarray(x))


def _of(write: Callable[..., Value]) -> Rule:
    """A rule of `crosscheck.frontends.values`."""
    return lambda t, *x: write(t, *map(as_value, x))


def _elementary(name: str) -> Rule:
    return lambda t, x: verbs.elementary(name, t.lift(x))


# -- arithmetic ----------------------------------------------------------------------------------


def _scaled(t: Tracing, x: Any, factor: Any) -> Value:
    return as_value(x) if factor == 1 else values.product(t, as_value(x), as_value(factor))


def _added(t: Tracing, a: Any, b: Any, alpha: Any = 1) -> Value:
    return values.added(t, as_value(a), _scaled(t, b, alpha))


def _subtracted(t: Tracing, a: Any, b: Any, alpha: Any = 1) -> Value:
    return values.subtracted(t, as_value(a), _scaled(t, b, alpha))


def _reversed(t: Tracing, a: Any, b: Any, alpha: Any = 1) -> Value:
    return values.subtracted(t, as_value(b), _scaled(t, a, alpha))


def _divided(t: Tracing, a: Any, b: Any, rounding_mode: str | None = None) -> Value:
    found = verbs.divide(t.lift(as_value(a)), t.lift(as_value(b)))
    if rounding_mode is None:
        return found
    return values.stepped(t, found, np.floor if rounding_mode == "floor" else np.trunc)


def _combined(t: Tracing, x: Any, a: Any, b: Any, value: Any = 1) -> Value:
    """``addcmul``."""
    return values.added(t, x, _scaled(t, values.product(t, a, b), value))


def _with_quotient(t: Tracing, x: Any, a: Any, b: Any, value: Any = 1) -> Value:
    """``addcdiv``."""
    return values.added(t, x, _scaled(t, _divided(t, a, b), value))


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


def _clamped(t: Tracing, x: Any, low: Any = None, high: Any = None) -> Value:
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


def _relu(t: Tracing, x: Any) -> Value:
    return values.extreme(t, x, Known(np.zeros(())), 1)


def _leaky(t: Tracing, x: Any, slope: Any = 0.01) -> Value:
    return folded(leaky_relu.OPERATOR.expand(t.lift(x), slope=float(slope)))


def _tanh_clamped(t: Tracing, x: Any, low: Any = -1, high: Any = 1) -> Value:
    return _clamped(t, x, low, high)


def _threshold(t: Tracing, x: Any, bound: Any, value: Any) -> Value:
    """z where it is beyond the threshold, else another number."""
    mask = t.compared("gt", x, Known(np.asarray(float(bound))), np.greater)
    other = Known(np.full(shape_of(x), float(value)))
    return t.selected(mask, x, other)


def _shrunk(t: Tracing, x: Any, bend: Any = 0.5) -> Value:
    b, zero, one = Fraction(float(bend)), Fraction(0), Fraction(1)
    pieces = ((b, one), (zero,), (-b, one))
    function = Piecewise("softshrink", "softshrink", (-b, b), pieces, roundings=1)
    return t.lift(x).piecewise(function)


def _gated(t: Tracing, x: Any) -> Value:
    """``hardswish``: z times `hard_sigmoid`."""
    var = t.lift(x)
    return verbs.multiply(var, hard_sigmoid.OPERATOR.expand(var))


def _exponential_unit(t: Tracing, x: Any, alpha: Any = 1, scale: Any = 1, inner: Any = 1) -> Value:
    """``elu``: scale z for z > 0, else scale alpha (e^(inner z) - 1)."""
    var = t.lift(x)
    if (alpha, scale, inner) == (1, 1, 1):
        return verbs.elementary("elu", var)
    positive = _scaled(t, var, scale)
    grown = verbs.elementary("expm1", t.lift(_scaled(t, var, inner)))
    below = _scaled(t, _scaled(t, grown, alpha), scale)
    mask = t.compared("gt", var, Known(np.zeros(())), np.greater)
    return t.selected(mask, positive, below)


def _continuous_unit(t: Tracing, x: Any, alpha: Any = 1) -> Value:
    """``celu``: z for z > 0, else α (e^(z / α) - 1)."""
    below = _scaled(t, verbs.elementary("expm1", t.lift(_divided(t, x, alpha))), alpha)
    mask = t.compared("gt", x, Known(np.zeros(())), np.greater)
    return t.selected(mask, x, below)


def _halved(t: Tracing, x: Any, dim: int = -1) -> Value:
    """``glu``: one half times `sigmoid` of the other."""
    parts = [
        t.lift(t.moved(x, lambda places, k=k: np.split(places, 2, dim)[k]))  # type: ignore[misc]
        for k in (0, 1)
    ]
    return verbs.multiply(parts[0], verbs.elementary("sigmoid", parts[1]))


def _with_slopes(t: Tracing, x: Any, weight: Any) -> Value:
    """``prelu``: max(z, 0) + w min(z, 0)."""
    zero = Known(np.zeros(()))
    below = values.product(t, as_value(weight), values.extreme(t, x, zero, -1))
    return values.added(t, _relu(t, x), below)


# -- functions of analysis -------------------------------------------------------------------------


def _gelu(t: Tracing, x: Any, approximate: str = "none") -> Value:
    return verbs.elementary("gelu_tanh" if approximate == "tanh" else "gelu", t.lift(x))


def _softplus(t: Tracing, x: Any, beta: Any = 1, threshold: Any = 20) -> Value:
    """log(1 + e^(β z)) / β; where β z is beyond the threshold it is z itself, as PyTorch says."""
    inner = t.lift(_scaled(t, x, beta))
    found: Value = verbs.elementary("softplus", inner)
    if beta != 1:
        found = _divided(t, found, beta)
    beyond = t.compared("gt", inner, Known(np.asarray(float(threshold))), np.greater)
    return t.selected(beyond, x, found)


def _log_sigmoid(t: Tracing, x: Any) -> list[Value | None]:
    """``log_sigmoid_forward``: -softplus(-z), and a buffer."""
    return [verbs.elementary("softplus", t.lift(x).times(-1)).times(-1), None]


def _mish(t: Tracing, x: Any) -> Value:
    var = t.lift(x)
    return verbs.multiply(var, verbs.elementary("tanh", verbs.elementary("softplus", var)))


def _logit(t: Tracing, x: Any, eps: Any = None) -> Value:
    inside = x if eps is None else _clamped(t, x, eps, 1 - eps)
    var = t.lift(inside)
    rest = verbs.subtract(var.graph.ones(()), var)
    return verbs.elementary("log", verbs.divide(var, rest))


ELEMENTWISE: Mapping[str, Rule] = MappingProxyType(
    {
        "add": _added,
        "sub": _subtracted,
        "rsub": _reversed,
        "mul": _of(values.product),
        "div": _divided,
        "neg": _of(values.negative),
        "abs": _of(values.absolute),
        "pow": _of(values.powered),
        "exp": _of(values.exponential),
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
        "gelu": _gelu,
        "softplus": _softplus,
        "log_sigmoid_forward": _log_sigmoid,
        "mish": _mish,
        "xlogy": lambda t, x, y: verbs.multiply(t.lift(x), verbs.elementary("log", t.lift(y))),
        "celu": _continuous_unit,
        "glu": _halved,
        "logit": _logit,
        "relu": _relu,
        "leaky_relu": _leaky,
        "hardtanh": _tanh_clamped,
        "clamp": _clamped,
        "clamp_min": lambda t, x, low: _clamped(t, x, low),
        "clamp_max": lambda t, x, high: _clamped(t, x, None, high),
        "maximum": _extreme(1),
        "minimum": _extreme(-1),
        "fmax": _extreme(1),
        "fmin": _extreme(-1),
        "threshold": _threshold,
        "softshrink": _shrunk,
        "hardsigmoid": lambda t, x: hard_sigmoid.OPERATOR.expand(t.lift(x)),
        "hardswish": _gated,
        "elu": _exponential_unit,
        "_prelu_kernel": _with_slopes,
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
