"""Ways that order the whole differently: by example, by part of the batch, by column, twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.network.dense import Gradients
from crosscheck.network.names import LOSS, layer_of
from crosscheck.studies.alarms import sums
from crosscheck.studies.alarms.numbers import Nearest
from crosscheck.studies.alarms.ways import (
    Data,
    Way,
    backpropagate,
    downwards,
    forwards,
    residuals_of,
)

__all__ = [
    "accumulated",
    "by_example",
    "forward_mode",
    "in_another_order",
    "mean_at_the_end",
    "padded",
    "recomputed",
    "scaled",
    "with_bias_as_weight",
]


def _of_sum(data: Data) -> Data:
    return replace(data, network=replace(data.network, reduction="sum"))


def _each(function: Any, *several: Gradients) -> Gradients:
    """``function`` of each array of several gradients but dJ/dx, which stays the first one's."""
    first, *others = several
    return replace(first.map(function, *(replace(one, x=first.x) for one in others)), x=first.x)


def _divided(number: Nearest, found: Gradients, rows: int) -> Gradients:
    """A gradient over B."""
    if rows == 1:
        return found
    divisor = number.constant(rows)
    whole = _each(lambda array: number.divide(array, divisor), found)
    return replace(whole, x=number.divide(found.x, divisor))


def _or_else(found: Gradients, plain: Gradients) -> Gradients:
    """``found``, but ``plain`` of a case of which ``found`` overflows somewhere."""
    fits: Any = np.isfinite(found.loss)
    for array in found.flatten():
        fits = fits & np.isfinite(array).all(axis=tuple(range(array.ndim - 1)))
    return found.map(lambda array, before: np.where(fits, array, before), plain)


def mean_at_the_end(way: Way, number: Nearest, data: Data) -> Gradients:
    """The gradient of the sum, divided by B last: differentiation is linear.

    A case in which the sum overflows is divided first: infinity would not be right.
    """
    last = _divided(number, backpropagate(way, number, _of_sum(data)), data.divisor)
    return last if data.divisor == 1 else _or_else(last, backpropagate(way, number, data))


def by_example(way: Way, number: Nearest, data: Data) -> Gradients:
    """A gradient for each row, then their sum or mean: J is a sum over rows.

    Where the sum overflows and the mean does not, rows are divided first.
    """
    rows = [
        backpropagate(way, number, replace(_of_sum(data), x=data.x[r, None], y=data.y[r, None]))
        for r in range(data.x.shape[0])
    ]
    total = _each(lambda *arrays: sums.pairwise(number, arrays), *rows)
    total = replace(total, x=np.concatenate([row.x for row in rows]))
    last = _divided(number, total, data.divisor)
    return last if data.divisor == 1 else _or_else(last, backpropagate(way, number, data))


def accumulated(way: Way, number: Nearest, data: Data) -> Gradients:
    """Micro-batches of two rows, whose gradients, divided by B, are added to one buffer."""
    found, inputs = None, []
    for start in range(0, data.x.shape[0], 2):
        rows = slice(start, start + 2)
        part = backpropagate(
            replace(way, cotangent=lambda number, d, _: way.cotangent(number, d, data.divisor)),
            number,
            replace(_of_sum(data), x=data.x[rows], y=data.y[rows]),
        )
        if data.divisor > 1:
            part = replace(part, loss=number.divide(part.loss, number.constant(data.divisor)))
        inputs.append(part.x)
        found = part if found is None else _each(number.add, found, part)
    assert found is not None
    return replace(found, x=np.concatenate(inputs))


def recomputed(way: Way, number: Nearest, data: Data) -> Gradients:
    """Checkpointing: the backward pass forms the activations again, by another order of sums."""
    _, activations = forwards(way, number, data)
    d = number.subtract(activations[-1], data.y)
    loss = way.loss(number, way.total, residuals_of(d), data.divisor)
    again = replace(way, total=sums.reversed_order)
    zs, others = forwards(again, number, data)
    return downwards(way, number, data, zs, others, way.cotangent(number, d, data.divisor), loss)


def scaled(way: Way, number: Nearest, data: Data) -> Gradients:
    """Loss scaling: the cotangent is multiplied by 2⁸, what comes of it divided by that.

    As in mixed-precision training a case in which that overflows is done again without.
    """
    plain = backpropagate(way, number, data)
    factor = number.constant(2.0**8)

    def cotangent(number: Nearest, d: Any, rows: int) -> Any:
        return number.multiply(way.cotangent(number, d, rows), factor)

    large = backpropagate(replace(way, cotangent=cotangent), number, data)

    def unscaled(array: Any) -> Any:
        return number.divide(array, factor)

    small = replace(_each(unscaled, large), loss=plain.loss, x=unscaled(large.x))
    return _or_else(small, plain)


def with_bias_as_weight(way: Way, number: Nearest, data: Data) -> Gradients:
    """Biases as a last column of the weights, under an input of ones: one product each.

    What stands there in the gradient is that of the bias, and dJ/da of the ones is dropped.
    """
    one = number.constant(1.0)
    zs: list[Any] = []
    activations, widened, a = [], [], data.x
    for layer, (weight, bias) in enumerate(zip(data.weights, data.biases, strict=True), start=1):
        if bias is not None:
            weight = np.concatenate([weight, bias[:, None]], axis=1)
            ones = np.full((a.shape[0], 1, a.shape[2]), one)
            a = np.concatenate([a, ones.astype(a.dtype)], axis=1)
        widened.append(weight)
        activations.append(a)
        lefts = [a[:, j, None] for j in range(a.shape[1])]
        rights = [weight[None, :, j] for j in range(a.shape[1])]
        zs.append(way.dot(number, way.total, lefts, rights, []))
        a = way.relu(number, zs[-1]) if data.network.has_relu(layer) else zs[-1]
    d = number.subtract(a, data.y)
    cotangent = way.cotangent(number, d, data.divisor)
    weights: list[Any] = []
    biases: list[Any] = []
    for at in range(len(widened) - 1, -1, -1):
        delta = cotangent
        if data.network.has_relu(at + 1):
            delta = way.gated(number, way.gate(zs[at], way.relu(number, zs[at])), cotangent)
        rows = range(delta.shape[0])
        both = way.dot(
            number,
            way.total,
            [delta[r, :, None] for r in rows],
            [activations[at][r, None] for r in rows],
            [],
        )
        inputs = data.weights[at].shape[1]
        weights.insert(0, both[:, :inputs])
        biases.insert(0, None if data.biases[at] is None else both[:, inputs])
        units = range(delta.shape[1])
        lefts, rights = [delta[:, i, None] for i in units], [widened[at][i, None] for i in units]
        cotangent = way.dot(number, way.total, lefts, rights, [])[:, :inputs]
    loss = way.loss(number, way.total, residuals_of(d), data.divisor)
    return Gradients(loss, tuple(weights), tuple(biases), cotangent)


def padded(way: Way, number: Nearest, data: Data) -> Gradients:
    """Hidden layers and inputs padded with zeros to multiples of eight: they add zeros.

    Units that are padded have z = 0, a = 0, and meet weights that are zero in both directions.
    """
    widths = data.network.widths
    sizes = [*(-(-width // 8) * 8 for width in widths[:-1]), widths[-1]]

    def grown(array: Any, *shape: int) -> Any:
        more = [(0, size - have) for size, have in zip(shape, array.shape, strict=False)]
        return np.pad(array, [*more, (0, 0)])

    pairs = list(zip(sizes[1:], sizes[:-1], strict=True))
    found = backpropagate(
        way,
        number,
        Data(
            replace(data.network, widths=tuple(sizes)),
            tuple(grown(weight, *pair) for weight, pair in zip(data.weights, pairs, strict=True)),
            tuple(
                None if bias is None else grown(bias, size)
                for bias, size in zip(data.biases, sizes[1:], strict=True)
            ),
            grown(data.x, data.x.shape[0], sizes[0]),
            data.y,
        ),
    )
    shapes = {**data.array_shapes, LOSS: found.loss.shape}
    return found.map_named(lambda name, array: array[tuple(map(slice, shapes[name]))])


def in_another_order(way: Way, number: Nearest, data: Data) -> Gradients:
    """Rows and hidden units are numbered the other way round, and the gradient back again."""
    depth = len(data.weights)

    def turned(name: str, array: Any) -> Any:
        """With rows backwards, or hidden units, on both sides of a matrix."""
        if name == LOSS:
            return array
        layer = layer_of(name) or 0
        backwards = array[::-1] if layer < depth else array
        return backwards[:, ::-1] if layer > 1 and len(array.shape) > 2 else backwards

    return backpropagate(way, number, data.map_named(turned)).map_named(turned)


def forward_mode(way: Way, number: Nearest, data: Data) -> Gradients:
    """One pass upwards for each parameter, with a one-hot tangent: dJ = Σ g_L ȧ_L.

    The tangent of a parameter of unit i of layer l is non-zero at that unit alone, where it is
    s_l times the activation below, or s_l for a bias.
    """
    zs, activations = forwards(way, number, data)
    depth, network = len(data.weights), data.network
    d = number.subtract(activations[-1], data.y)
    cotangent = way.cotangent(number, d, data.divisor)
    gates = [
        way.gate(zs[at], activations[at + 1]) if network.has_relu(at + 1) else None
        for at in range(depth)
    ]

    def up(tangent: Any, at: int) -> Any:
        """J̇ from ``ż`` of layer at + 1, (B, n, C)."""
        for above in range(at, depth):
            if gates[above] is not None:
                tangent = way.gated(number, gates[above], tangent)
            if above + 1 < depth:
                tangent = _through(way, number, data.weights[above + 1], tangent)
        products = [
            number.multiply(one, other)
            for one, other in zip(residuals_of(cotangent), residuals_of(tangent), strict=True)
        ]
        return way.total(number, products)

    def at_unit(values: Any, unit: int, at: int) -> Any:
        tangent = np.zeros_like(zs[at])
        tangent[:, unit] = values
        return tangent

    one = number.constant(1.0)
    weights, biases = [], []
    for at in range(depth):
        units, inputs = data.weights[at].shape[:2]
        a = activations[at]
        rows = [
            np.stack([up(at_unit(a[:, j], unit, at), at) for j in range(inputs)])
            for unit in range(units)
        ]
        weights.append(np.stack(rows))
        alone = [up(at_unit(one, unit, at), at) for unit in range(units)]
        biases.append(None if data.biases[at] is None else np.stack(alone))
    inputs = np.zeros_like(data.x)
    for r, j in np.ndindex(*data.x.shape[:2]):
        tangent = np.zeros_like(zs[0])
        tangent[r] = data.weights[0][:, j]
        inputs[r, j] = up(tangent, 0)
    return Gradients(
        way.loss(number, way.total, residuals_of(d), data.divisor),
        tuple(weights),
        tuple(biases),
        inputs,
    )


def _through(way: Way, number: Nearest, weight: Any, tangent: Any) -> Any:
    inputs: Sequence[int] = range(tangent.shape[1])
    lefts = [tangent[:, j, None] for j in inputs]
    return way.dot(number, way.total, lefts, [weight[None, :, j] for j in inputs], [])
