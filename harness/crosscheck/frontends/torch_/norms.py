"""Softmax and norms of PyTorch's, which come as one operation each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.frontends import values, verbs
from crosscheck.frontends.torch_.reductions import axes_of
from crosscheck.frontends.tracing import Tracing, Value, shape_of
from crosscheck.program.graph import Shape, Var
from crosscheck.program.places import Places
from crosscheck.tools.errors import UnsupportedError

__all__ = ["NORMS", "softmax"]

Rule = Callable[..., Any]


# -- rows ------------------------------------------------------------------------------------------


def _rows(t: Tracing, x: Value, dim: int) -> tuple[Var, Places | None]:
    """With an axis put last, and what of its entries is not -∞."""
    last = t.moved(x, lambda places: np.moveaxis(places, dim, -1)) if shape_of(x) else x
    real = t.real(last)
    if isinstance(real, Var):
        return real, None
    if not (real.special <= 0).all() or (real.special != 0).all(-1).any():
        raise UnsupportedError("a row of which a number is NaN or infinite, or all are -inf")
    kept = np.where(real.special == 0, verbs.numbered(real.var.shape), -1)
    return real.var, Places(kept.ravel().tolist())


def _back(x: Var, dim: int) -> Var:
    is_last = dim in (-1, len(x.shape) - 1) or not x.shape
    return x if is_last else verbs.moved(x, lambda places: np.moveaxis(places, -1, dim))


def softmax(t: Tracing, x: Value, dim: int, half: bool = False) -> Value:
    """Shares along an axis; 0 of what is -∞."""
    rows, kept = _rows(t, x, dim)
    return _back(rows.softmax(kept), dim)


def _log_softmax(t: Tracing, x: Value, dim: int, half: bool = False) -> Value:
    rows, kept = _rows(t, x, dim)
    if kept is None:
        return _back(rows.log_softmax(), dim)
    total = rows.log_sum_exp(kept)
    found = t.moved(x, lambda places: np.moveaxis(places, dim, -1))
    return t.moved(values.subtracted(t, found, total), lambda places: np.moveaxis(places, -1, dim))


def _log_sum_exp(t: Tracing, x: Value, dim: Any, keepdim: bool = False) -> Value:
    axes = axes_of(x, dim)
    rest = [each for each in range(len(shape_of(x))) if each not in axes]
    lead = tuple(shape_of(x)[each] for each in rest)
    flat = t.moved(x, lambda places: places.transpose([*rest, *axes]).reshape(*lead, -1))
    rows, kept = _rows(t, flat, -1)
    found = rows.log_sum_exp(kept)
    shape = [1 if at in axes else n for at, n in enumerate(shape_of(x))] if keepdim else lead
    return verbs.reshaped(found, tuple(shape))


# -- norms -----------------------------------------------------------------------------------------


def _standardized(x: Var, axes: Sequence[int], eps: float) -> tuple[Var, Var, Var]:
    """(x - m) r with mean m and r = 1 / √(variance + ε), and these two."""
    mean = verbs.mean(x, axes, True)
    centred = verbs.subtract(x, mean)
    variance = verbs.mean(verbs.power(centred, 2), axes, True)
    root = verbs.elementary("rsqrt", _more(variance, eps))
    return verbs.multiply(centred, root), mean, root


def _more(x: Var, eps: float) -> Var:
    return verbs.add(x, x.graph.ones(()).times(Fraction(float(eps)))) if eps else x


def _scaled(t: Tracing, x: Var, weight: Value | None, bias: Value | None, shape: Shape) -> Var:
    """w x + b, with one w and b along some axes."""
    if weight is not None:
        x = verbs.multiply(x, verbs.reshaped(t.lift(weight), shape))
    return x if bias is None else verbs.add(x, verbs.reshaped(t.lift(bias), shape))


def _layer_norm(
    t: Tracing, x: Value, size: Sequence[int], weight: Any, bias: Any, eps: float
) -> list[Value | None]:
    var = t.lift(x)
    found, mean, root = _standardized(var, range(-len(size), 0), eps)
    return [_scaled(t, found, weight, bias, tuple(size)), mean, root]


def _root_mean_square(
    t: Tracing, x: Value, size: Sequence[int], weight: Any, eps: float | None
) -> list[Value | None]:
    var = t.lift(x)
    share = verbs.mean(verbs.power(var, 2), range(-len(size), 0), True)
    root = verbs.elementary("rsqrt", _more(share, np.finfo(np.float64).eps if eps is None else eps))
    return [_scaled(t, verbs.multiply(var, root), weight, None, tuple(size)), root]


def _batch_norm(
    t: Tracing,
    x: Value,
    weight: Any,
    bias: Any,
    mean: Any,
    variance: Any,
    training: bool,
    momentum: float,
    eps: float,
) -> list[Value | None]:
    var = t.lift(x)
    shape = (var.shape[1], *(1,) * (len(var.shape) - 2))
    if training:
        axes = [each for each in range(len(var.shape)) if each != 1]
        found, _, _ = _standardized(var, axes, eps)
    else:
        centred = verbs.subtract(var, verbs.reshaped(t.lift(mean), shape))
        root = verbs.elementary("rsqrt", _more(t.lift(variance), eps))
        found = verbs.multiply(centred, verbs.reshaped(root, shape))
    return [_scaled(t, found, weight, bias, shape), None, None]


def _group_norm(
    t: Tracing, x: Value, weight: Any, bias: Any, n: int, c: int, hw: int, group: int, eps: float
) -> list[Value | None]:
    var = t.lift(x)
    rows = verbs.reshaped(var, (n, group, c // group * hw))
    found, mean, root = _standardized(rows, (-1,), eps)
    shape = (c, *(1,) * (len(var.shape) - 2))
    whole = _scaled(t, verbs.reshaped(found, var.shape), weight, bias, shape)
    return [whole, verbs.reshaped(mean, (n, group)), verbs.reshaped(root, (n, group))]


NORMS: Mapping[str, Rule] = MappingProxyType(
    {
        "_softmax": softmax,
        "_log_softmax": _log_softmax,
        "logsumexp": _log_sum_exp,
        "native_layer_norm": _layer_norm,
        "_fused_rms_norm": _root_mean_square,
        "native_batch_norm": _batch_norm,
        "native_group_norm": _group_norm,
    }
)
"""Rules by the operator's name."""
