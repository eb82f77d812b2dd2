"""Losses of PyTorch's, its embedding, and its attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.frontends import values, verbs
from crosscheck.frontends.torch_.elementwise import RANDOM, as_value
from crosscheck.frontends.torch_.moving import require_known
from crosscheck.frontends.torch_.norms import softmax
from crosscheck.frontends.tracing import Known, Tracing, Value, shape_of
from crosscheck.program.graph import Var
from crosscheck.tools.errors import UnsupportedError

__all__ = ["LOSSES"]

Rule = Callable[..., Any]

_HALF = Fraction(1, 2)
_LEAST_LOG = -100.0
"""What PyTorch's ``binary_cross_entropy`` holds logarithms at."""


def _reduced(x: Var, reduction: int) -> Var:
    """All of it, its mean or its sum: PyTorch's 0, 1 and 2."""
    return x if reduction == 0 else verbs.mean(x) if reduction == 1 else verbs.sum_along(x)


def _difference(t: Tracing, x: Value, y: Value) -> Var:
    return t.lift(values.subtracted(t, x, y))


def _squared(t: Tracing, x: Value, y: Value, reduction: int = 1) -> Value:
    return _reduced(verbs.power(_difference(t, x, y), 2), reduction)


def _huber(t: Tracing, x: Value, y: Value, reduction: int = 1, delta: float = 1.0) -> Value:
    return _reduced(_rounded(t, _difference(t, x, y), delta, 1.0), reduction)


def _smooth(t: Tracing, x: Value, y: Value, reduction: int = 1, beta: float = 1.0) -> Value:
    d = _difference(t, x, y)
    if beta == 0:
        return _reduced(t.lift(values.absolute(t, d)), reduction)
    return _reduced(_rounded(t, d, beta, beta), reduction)


def _rounded(t: Tracing, d: Var, bend: float, over: float) -> Var:
    """½ d² up to a bend, and bend (|d| - ½ bend) beyond it, over a constant."""
    size, b = t.lift(values.absolute(t, d)), Fraction(float(bend))
    inside = verbs.power(d, 2).times(_HALF)
    line = verbs.subtract(size, d.graph.ones(()).times(_HALF * b))
    if over == 1:
        line = line.times(b)
    else:
        inside = verbs.divide(inside, d.graph.ones(()).times(Fraction(float(over))))
    mask = t.compared("lt", size, Known(np.asarray(float(bend))), np.less)
    return t.lift(t.selected(mask, inside, line))


def _cross_entropy(
    t: Tracing, x: Value, target: Value, weight: Any, reduction: int, ignored: int
) -> list[Value | None]:
    """``nll_loss_forward``: minus the number at each row's target, times its class's weight."""
    require_known(t, [target])
    assert isinstance(target, Known)
    var, classes = t.lift(x), np.asarray(target.array)
    axis = 0 if len(shape_of(x)) == 1 else 1
    there = classes != ignored
    safe = np.where(there, classes, 0)

    def chosen(places: Any) -> Any:
        found = np.take_along_axis(places, np.expand_dims(safe, axis), axis).squeeze(axis)
        return np.where(there, found, -1)

    terms = verbs.moved(var, chosen).times(-1)
    count: Var | None = None
    if weight is not None:
        each = verbs.moved(t.lift(weight), lambda at: np.where(there, at[safe], -1))
        terms = verbs.multiply(terms, each)
        count = verbs.sum_along(each)
    if reduction == 0:
        return [terms, None]
    total = verbs.sum_along(terms)
    if reduction == 1:
        if count is None:
            rows = int(there.sum())
            if not rows:
                raise UnsupportedError("a mean over no rows: every target is ignored")
            return [total.times(Fraction(1, rows)), None]
        total = verbs.divide(total, count)
    return [total, None]


def _binary(t: Tracing, x: Value, y: Value, weight: Any = None, reduction: int = 1) -> Value:
    """-(y log p + (1 - y) log(1 - p)), logarithms held at -100."""
    p, target = t.lift(x), t.lift(y)
    least = Known(np.asarray(_LEAST_LOG))

    def log(q: Var) -> Var:
        return t.lift(values.extreme(t, verbs.elementary("log", q), least, 1))

    one = p.graph.ones(())
    terms = verbs.add(
        verbs.multiply(target, log(p)),
        verbs.multiply(verbs.subtract(one, target), log(verbs.subtract(one, p))),
    ).times(-1)
    if weight is not None:
        terms = verbs.multiply(terms, t.lift(weight))
    return _reduced(terms, reduction)


def _of_logits(
    t: Tracing, x: Value, y: Value, weight: Any = None, positive: Any = None, reduction: int = 1
) -> Value:
    """(1 - y) z + (1 + (w - 1) y) softplus(-z)."""
    z, target = t.lift(x), t.lift(y)
    one = z.graph.ones(())
    part = verbs.elementary("softplus", z.times(-1))
    if positive is not None:
        more = verbs.multiply(verbs.subtract(t.lift(positive), one), target)
        part = verbs.multiply(part, verbs.add(more, one))
    terms = verbs.add(verbs.multiply(verbs.subtract(one, target), z), part)
    if weight is not None:
        terms = verbs.multiply(terms, t.lift(weight))
    return _reduced(terms, reduction)


def _embedding(
    t: Tracing, table: Value, ids: Value, padding: int = -1, by_frequency: bool = False, *_: Any
) -> Value:
    """Rows of a table; that of the padding is a constant to derivatives."""
    require_known(t, [ids])
    assert isinstance(ids, Known)
    if by_frequency:
        raise UnsupportedError("scale_grad_by_freq, whose gradient is that of no function")
    rows = np.asarray(ids.array)

    def change(places: Any) -> Any:
        return places[rows]

    if padding < 0 or not (rows == padding).any():
        return t.moved(table, change)
    mask = np.broadcast_to((rows == padding)[..., None], (*rows.shape, shape_of(table)[-1]))
    var = t.lift(t.moved(table, change))
    return verbs.chosen(mask, var.held(), var)


def _attention(
    t: Tracing,
    q: Value,
    k: Value,
    v: Value,
    dropout: float = 0.0,
    causal: bool = False,
    *_: Any,
    attn_mask: Any = None,
    scale: float | None = None,
    **__: Any,
) -> list[Value | None]:
    """softmax(q kᵀ s + mask) v."""
    if dropout:
        raise UnsupportedError(RANDOM)
    one, two = t.lift(q), t.lift(k)
    factor = 1 / math.sqrt(one.shape[-1]) if scale is None else float(scale)
    scores: Value = verbs.matmul(one, two.transposed).times(Fraction(factor))
    rows, columns = shape_of(scores)[-2:]
    if causal:
        above = np.triu(np.ones((rows, columns), dtype=bool), 1)
        attn_mask = Known(np.where(above, -np.inf, 0.0))
    if attn_mask is not None:
        scores = values.added(t, scores, as_value(attn_mask))
    return [verbs.matmul(t.lift(softmax(t, scores, -1)), t.lift(v)), None]


LOSSES: Mapping[str, Rule] = MappingProxyType(
    {
        "mse_loss": _squared,
        "huber_loss": _huber,
        "smooth_l1_loss": _smooth,
        "nll_loss_forward": _cross_entropy,
        "nll_loss2d_forward": _cross_entropy,
        "binary_cross_entropy": _binary,
        "binary_cross_entropy_with_logits": _of_logits,
        "embedding": _embedding,
        "_scaled_dot_product_flash_attention_for_cpu": _attention,
    }
)
"""Rules by the operator's name."""
