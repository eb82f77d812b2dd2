"""One way of computing the gradient: its arithmetic, its orders, its gates, its loss.

Arrays have the axis over cases last, so that every operation runs over all cases at once: ``W_l``
is (n_l, n_{l-1}, C), activations are (B, n_l, C). The formulas are those of any textbook,

    z_l = W_l a_{l-1} + b_l,   a_l = max(z_l, 0),   J = ½ Σ (a_L - y)²  (/ B for a mean),
    g_L = a_L - y (/ B),       δ_l = s_l g_l,       dJ/dW_l = Σ_r δ_l a_{l-1},
    dJ/db_l = Σ_r δ_l,         g_{l-1} = Σ_i δ_l W_l,
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.network.batch import Batch, held_dtype
from crosscheck.network.dense import Gradients, Numbers
from crosscheck.studies.alarms import sums
from crosscheck.studies.alarms.numbers import Nearest

__all__ = ["Data", "Way", "backpropagate", "data_of", "handed_back", "layer_of", "run"]


@dataclass(frozen=True, eq=False)
class Data(Numbers):
    """A batch with the axis over cases last, as a way's arithmetic takes it.

    ``W_l`` has the shape (n_l, n_{l-1}, C), ``b_l`` (n_l, C), x (B, n_0, C) and y (B, n_L, C).
    """

    @property
    def rows(self) -> int:
        """B."""
        return int(self.x.shape[0])

    @property
    def divisor(self) -> int:
        """B for a mean, else 1."""
        return self.rows if self.network.reduction == "mean" else 1


@dataclass(frozen=True)
class Way:
    """What is free in a right gradient.

    Attributes:
        number: The arithmetic of a dtype.
        dot: How a sum of products is formed.
        total: How a sum is formed; of the products too, where ``dot`` leaves that open.
        relu: max(z, 0) of an arithmetic.
        gate: s = ReLU'(z) from z and a, in [0, 1] where z is zero.
        gated: s ∘ g.
        loss: J of an arithmetic, a sum, the residuals as a list, and B (1 for a sum).
        cotangent: g_L of an arithmetic, the residual and B.
        whole: The order of the whole.
    """

    number: Callable[[str], Nearest] = Nearest
    dot: sums.Dot = sums.by_products
    total: sums.Total = sums.sequential
    relu: Callable[[Nearest, Any], Any] = lambda number, z: np.maximum(z, 0)
    gate: Callable[[Any, Any], Any] = lambda z, a: z > 0
    gated: Callable[[Nearest, Any, Any], Any] = lambda number, s, g: np.where(s, g, g.dtype.type(0))
    loss: Callable[[Nearest, sums.Total, Sequence[Any], int], Any] = (
        lambda number, total, residuals, rows: _halved_sum(number, total, residuals, rows)
    )
    cotangent: Callable[[Nearest, Any, int], Any] = lambda number, d, rows: (
        d if rows == 1 else number.divide(d, number.constant(rows))
    )
    whole: Callable[[Way, Nearest, Data], Gradients] = lambda way, number, data: backpropagate(
        way, number, data
    )


def _halved_sum(number: Nearest, total: sums.Total, residuals: Sequence[Any], rows: int) -> Any:
    """(Σ d · d) / 2, and then / B."""
    squares = total(number, [number.multiply(d, d) for d in residuals])
    found = number.divide(squares, number.constant(2.0))
    return found if rows == 1 else number.divide(found, number.constant(rows))


def run(way: Way, batch: Batch) -> Gradients:
    """The gradients of a batch, in its own form."""
    number = way.number(batch.dtype)
    with np.errstate(all="ignore"):
        return handed_back(way.whole(way, number, data_of(batch, number)), batch, number)


def data_of(batch: Batch, number: Nearest) -> Data:
    """A batch with the axis over cases last, as a way's arithmetic takes it."""
    turned = batch.each(lambda array: number.taken(np.ascontiguousarray(np.moveaxis(array, 0, -1))))
    return Data(**vars(turned))


def handed_back(found: Gradients, batch: Batch, number: Nearest) -> Gradients:
    """Gradients with the axis over cases last, in the form and the shapes of a batch."""
    held = held_dtype(batch.dtype)

    shapes = batch.gradient_shapes

    def turned(name: str, array: Any) -> Any:
        count, *shape = shapes[name]
        array = np.broadcast_to(number.given(array), (*shape, count))
        return np.ascontiguousarray(np.moveaxis(array, -1, 0), dtype=held)

    return found.map_named(turned)


def layer_of(way: Way, number: Nearest, weight: Any, bias: Any, a: Any) -> Any:
    """``z_l``, (B, n_l, C)."""
    return way.dot(
        number,
        way.total,
        [a[:, j, None] for j in range(a.shape[1])],
        [weight[None, :, j] for j in range(a.shape[1])],
        [] if bias is None else [bias[None]],
    )


def forwards(way: Way, number: Nearest, data: Data) -> tuple[list[Any], list[Any]]:
    """``z_1 … z_L`` and ``a_0 … a_L``."""
    zs, activations = [], [data.x]
    for layer, (weight, bias) in enumerate(zip(data.weights, data.biases, strict=True), start=1):
        z = layer_of(way, number, weight, bias, activations[-1])
        zs.append(z)
        activations.append(way.relu(number, z) if data.network.has_relu(layer) else z)
    return zs, activations


def residuals_of(d: Any) -> list[Any]:
    """Each row's and output's residual, (C,)."""
    return [d[r, o] for r in range(d.shape[0]) for o in range(d.shape[1])]


def backpropagate(way: Way, number: Nearest, data: Data) -> Gradients:
    """Forward, then backward, layer by layer."""
    zs, activations = forwards(way, number, data)
    d = number.subtract(activations[-1], data.y)
    loss = way.loss(number, way.total, residuals_of(d), data.divisor)
    return downwards(
        way, number, data, zs, activations, way.cotangent(number, d, data.divisor), loss
    )


def downwards(
    way: Way,
    number: Nearest,
    data: Data,
    zs: Sequence[Any],
    activations: Sequence[Any],
    cotangent: Any,
    loss: Any,
) -> Gradients:
    """The backward pass from ``g_L`` on."""
    weights: list[Any] = []
    biases: list[Any] = []
    for at in range(len(data.weights) - 1, -1, -1):
        delta, a, weight = cotangent, activations[at], data.weights[at]
        if data.network.has_relu(at + 1):
            delta = way.gated(number, way.gate(zs[at], activations[at + 1]), cotangent)
        rows, units = range(delta.shape[0]), range(delta.shape[1])
        weights.insert(
            0,
            way.dot(
                number,
                way.total,
                [delta[r, :, None] for r in rows],
                [a[r, None] for r in rows],
                [],
            ),
        )
        given = None if data.biases[at] is None else way.total(number, [delta[r] for r in rows])
        biases.insert(0, given)
        cotangent = way.dot(
            number,
            way.total,
            [delta[:, i, None] for i in units],
            [weight[i, None] for i in units],
            [],
        )
    return Gradients(loss, tuple(weights), tuple(biases), cotangent)
