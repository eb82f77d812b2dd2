"""Activations of PyTorch's, which come as one operation each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.frontends import values, verbs
from crosscheck.frontends.forms import folded
from crosscheck.frontends.torch_.elementwise import RANDOM, as_value, clamped, divided, scaled
from crosscheck.frontends.tracing import Known, Tracing, Value, shape_of
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.operators import hard_sigmoid, leaky_relu
from crosscheck.tools.errors import UnsupportedError

__all__ = ["ACTIVATIONS"]

Rule = Callable[..., Any]


def _relu(t: Tracing, x: Any) -> Value:
    return values.extreme(t, x, Known(np.zeros(())), 1)


def _leaky(t: Tracing, x: Any, slope: Any = 0.01) -> Value:
    return folded(leaky_relu.OPERATOR.expand(t.lift(x), slope=float(slope)))


def _leaky_at_random(
    t: Tracing,
    x: Any,
    noise: Any,
    low: Any = 1 / 8,
    high: Any = 1 / 3,
    training: bool = False,
    _: Any = None,
) -> list[Value]:
    """``rrelu``, whose slope is the middle one in evaluation."""
    if training:
        raise UnsupportedError(RANDOM)
    return [_leaky(t, x, (low + high) / 2), as_value(noise)]


def _tanh(t: Tracing, x: Any, low: Any = -1, high: Any = 1) -> Value:
    return clamped(t, x, low, high)


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
    positive = scaled(t, var, scale)
    grown = verbs.elementary("expm1", t.lift(scaled(t, var, inner)))
    below = scaled(t, scaled(t, grown, alpha), scale)
    mask = t.compared("gt", var, Known(np.zeros(())), np.greater)
    return t.selected(mask, positive, below)


def _continuous_unit(t: Tracing, x: Any, alpha: Any = 1) -> Value:
    """``celu``: z for z > 0, else α (e^(z / α) - 1)."""
    below = scaled(t, verbs.elementary("expm1", t.lift(divided(t, x, alpha))), alpha)
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


# -- functions of analysis -----------------------------------------------------------------------


def _gelu(t: Tracing, x: Any, approximate: str = "none") -> Value:
    return verbs.elementary("gelu_tanh" if approximate == "tanh" else "gelu", t.lift(x))


def _softplus(t: Tracing, x: Any, beta: Any = 1, threshold: Any = 20) -> Value:
    """log(1 + e^(β z)) / β; where β z is beyond the threshold it is z itself, as PyTorch says."""
    inner = t.lift(scaled(t, x, beta))
    found: Value = verbs.elementary("softplus", inner)
    if beta != 1:
        found = divided(t, found, beta)
    beyond = t.compared("gt", inner, Known(np.asarray(float(threshold))), np.greater)
    return t.selected(beyond, x, found)


def _log_sigmoid(t: Tracing, x: Any) -> list[Value | None]:
    """``log_sigmoid_forward``: -softplus(-z), and a buffer."""
    return [verbs.elementary("softplus", t.lift(x).times(-1)).times(-1), None]


def _mish(t: Tracing, x: Any) -> Value:
    var = t.lift(x)
    return verbs.multiply(var, verbs.elementary("tanh", verbs.elementary("softplus", var)))


def _logit(t: Tracing, x: Any, eps: Any = None) -> Value:
    inside = x if eps is None else clamped(t, x, eps, 1 - eps)
    var = t.lift(inside)
    rest = verbs.subtract(var.graph.ones(()), var)
    return verbs.elementary("log", verbs.divide(var, rest))


ACTIVATIONS: Mapping[str, Rule] = MappingProxyType(
    {
        "gelu": _gelu,
        "softplus": _softplus,
        "log_sigmoid_forward": _log_sigmoid,
        "mish": _mish,
        "celu": _continuous_unit,
        "glu": _halved,
        "logit": _logit,
        "relu": _relu,
        "leaky_relu": _leaky,
        "hardtanh": _tanh,
        "rrelu_with_noise_functional": _leaky_at_random,
        "threshold": _threshold,
        "softshrink": _shrunk,
        "hardsigmoid": lambda t, x: hard_sigmoid.OPERATOR.expand(t.lift(x)),
        "hardswish": _gated,
        "elu": _exponential_unit,
        "_prelu_kernel": _with_slopes,
    }
)
"""Rules by the operator's name."""
