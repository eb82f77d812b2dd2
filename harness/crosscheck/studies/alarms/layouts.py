"""The gradient by NumPy's own products of arrays, in one layout or another.

Arrays have the axis over cases first, as a batch has them. Only float64 and float32, whose sums
NumPy and the linear algebra behind it round themselves; the narrow dtypes are accumulated in
float32, and each product of matrices is rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.network.batch import Batch, held_dtype
from crosscheck.network.dense import Gradients
from crosscheck.studies.alarms.numbers import Nearest

__all__ = ["LAYOUTS", "by_layout"]


@dataclass(frozen=True)
class Layout:
    """How three products of matrices are formed, of stacks.

    Attributes:
        forward: ``a Wᵀ``, (C, B, n), from (C, B, m) and (C, n, m).
        weight: ``δᵀ a``, (C, n, m), from (C, B, n) and (C, B, m).
        below: ``δ W``, (C, B, m), from (C, B, n) and (C, n, m).
    """

    forward: Callable[[Any, Any], Any]
    weight: Callable[[Any, Any], Any]
    below: Callable[[Any, Any], Any]


def _transposed(array: Any) -> Any:
    return array.swapaxes(-1, -2)


def _stored_transposed(array: Any) -> Any:
    """The same matrix, with its columns one after the other in memory."""
    return _transposed(np.ascontiguousarray(_transposed(array)))


def _outer(left: Any, right: Any) -> Any:
    """left right, by outer products that are added in place: (C, n, K) and (C, K, m)."""
    found = left[:, :, :1] * right[:, :1]
    for k in range(1, left.shape[2]):
        np.add(found, left[:, :, k : k + 1] * right[:, k : k + 1], out=found)
    return found


def _spread(left: Any, right: Any) -> Any:
    """left right, as a sum over an axis of all products, which NumPy forms pairwise."""
    return (left[:, :, None] * np.ascontiguousarray(_transposed(right))[:, None]).sum(axis=-1)


LAYOUTS = {
    "matmul": Layout(
        lambda a, w: a @ _transposed(w),
        lambda delta, a: _transposed(delta) @ a,
        lambda delta, w: delta @ w,
    ),
    "the other factor first": Layout(
        lambda a, w: _transposed(w @ _transposed(a)),
        lambda delta, a: _transposed(_transposed(a) @ delta),
        lambda delta, w: _transposed(_transposed(w) @ _transposed(delta)),
    ),
    "columns in memory": Layout(
        lambda a, w: a @ _stored_transposed(_transposed(w)),
        lambda delta, a: _stored_transposed(_transposed(delta)) @ _stored_transposed(a),
        lambda delta, w: delta @ _stored_transposed(w),
    ),
    "einsum": Layout(
        lambda a, w: np.einsum("crm,cnm->crn", a, w),
        lambda delta, a: np.einsum("crn,crm->cnm", delta, a),
        lambda delta, w: np.einsum("crn,cnm->crm", delta, w),
    ),
    "outer products": Layout(
        lambda a, w: _outer(a, _transposed(w)),
        lambda delta, a: _outer(_transposed(delta), a),
        _outer,
    ),
    "all products, then a sum": Layout(
        lambda a, w: _spread(a, _transposed(w)),
        lambda delta, a: _spread(_transposed(delta), a),
        _spread,
    ),
}
"""Each is the product of the same matrices; what differs is which sum the library forms."""


def by_layout(name: str) -> Callable[[Batch], Gradients]:
    """The gradient of a batch with the products of one of `LAYOUTS`."""
    layout = LAYOUTS[name]

    def gradients(batch: Batch) -> Gradients:
        with np.errstate(all="ignore"):
            return _gradients(layout, batch)

    return gradients


def _gradients(layout: Layout, batch: Batch) -> Gradients:
    rounded = Nearest(batch.dtype).rounded
    network, held = batch.network, held_dtype(batch.dtype)
    activations: list[Any] = [batch.x]
    masks: list[Any] = []
    for layer, (weight, bias) in enumerate(zip(batch.weights, batch.biases, strict=True), start=1):
        z = rounded(layout.forward(activations[-1], weight))
        if bias is not None:
            z = rounded(z + bias[:, None])
        masks.append(z > 0 if network.has_relu(layer) else None)
        activations.append(np.maximum(z, 0) if network.has_relu(layer) else z)
    cotangent = rounded(activations[-1] - batch.y)
    rows = batch.rows if network.reduction == "mean" else 1
    squares = rounded(cotangent * cotangent).reshape(batch.count, -1)
    loss = rounded(squares.sum(axis=-1)) * held.type(0.5)
    loss = rounded(rounded(loss) / held.type(rows))
    cotangent = rounded(cotangent / held.type(rows))
    weights: list[Any] = []
    biases: list[Any] = []
    for at in range(network.depth - 1, -1, -1):
        if masks[at] is not None:
            cotangent = cotangent.copy()
            cotangent[~masks[at]] = 0
        weights.insert(0, rounded(layout.weight(cotangent, activations[at])))
        bias = None if batch.biases[at] is None else rounded(cotangent.sum(axis=1))
        biases.insert(0, bias)
        cotangent = rounded(layout.below(cotangent, batch.weights[at]))
    weights = [np.ascontiguousarray(weight) for weight in weights]
    return Gradients(loss, tuple(weights), tuple(biases), np.ascontiguousarray(cotangent))
