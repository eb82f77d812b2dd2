"""Four models of images of digits, in operators: what people train, in small.

    cnn           conv, batch norm, ReLU and max-pool, twice; dense
    residual      the same once, then two residual blocks of two convs each; average-pool; dense
    transformer   the image's eight rows as tokens: a dense layer, positions, two encoder layers
                  (attention, MLP with ReLU, each with a residual sum and a layer norm behind it,
                  as in Vaswani et al. 2017); dense
    recurrence    the same rows one after the other: h = max(x_t Uᵀ + h Wᵀ + b, 0); dense

All end in the cross-entropy of ten logits. Batch norm takes its mean from the batch, as in
training. Keys have no bias: a number added to all of them cancels in the softmax, so that its
derivative is zero, and nothing could be told of it. So does a bias before batch norm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from crosscheck.cases.plans import Making, Plan
from crosscheck.numbers.arrays import Array
from crosscheck.operators import (
    add,
    attention,
    avg_pool2d,
    batch_norm,
    conv2d,
    cross_entropy,
    dense,
    embedding,
    flatten,
    layer_norm,
    max_pool2d,
    relu,
    reshape,
)
from crosscheck.program.graph import Shape

__all__ = ["CLASSES", "MODELS", "SIDE", "inputs_of"]

SIDE = 8
"""Pixels along each side of an image; also the tokens of a sequence, and the features of each."""

CLASSES = 10

_CHANNELS = 8
_FEATURES, _INNER = 16, 32
"""Of a token, and of the MLP between two layers."""
_HIDDEN = 32
"""Width of the recurrence."""


def _dense(model: Making, name: str, below: str, units: int, *, has_bias: bool = True) -> str:
    if has_bias:
        return model.layer(name, dense.OPERATOR, below, units)
    weights = model.parameter(f"W_{name}", (units, model.shapes[below][-1]))
    return model.apply(name, dense.OPERATOR, below, weights)


def _normed_conv(model: Making, number: int, below: str, units: int) -> str:
    """A convolution of 3 x 3, without a bias, which batch norm would take away; batch norm."""
    features = model.shapes[below][-1]
    kernel = model.parameter(f"W_c{number}", (units, 3, 3, features))
    below = model.apply(f"c{number}", conv2d.OPERATOR, below, kernel, padding=1)
    return model.layer(f"n{number}", batch_norm.OPERATOR, below, units)


def _classified(model: Making, below: str, rows: int) -> Plan:
    """The dense layer to ten logits, and the loss."""
    out = _dense(model, "out", below, CLASSES)
    model.inputs["y"] = model.shapes["y"] = (rows, CLASSES)
    model.apply("loss", cross_entropy.OPERATOR, out, "y")
    return Plan(tuple(model.steps), model.parameters, model.inputs)


def _cnn(rows: int) -> Plan:
    model = Making({"x": (rows, SIDE, SIDE, 1)})
    below = "x"
    for number, units in ((1, _CHANNELS), (2, 2 * _CHANNELS)):
        below = _normed_conv(model, number, below, units)
        below = model.apply(f"a{number}", relu.OPERATOR, below)
        below = model.apply(f"p{number}", max_pool2d.OPERATOR, below)
    return _classified(model, model.apply("flat", flatten.OPERATOR, below), rows)


def _residual(rows: int) -> Plan:
    model = Making({"x": (rows, SIDE, SIDE, 1)})
    below = _normed_conv(model, 1, "x", _CHANNELS)
    below = model.apply("a1", relu.OPERATOR, below)
    below = model.apply("p1", max_pool2d.OPERATOR, below)
    for number in (2, 4):
        inner = _normed_conv(model, number, below, _CHANNELS)
        inner = model.apply(f"a{number}", relu.OPERATOR, inner)
        inner = _normed_conv(model, number + 1, inner, _CHANNELS)
        below = model.apply(f"s{number + 1}", add.OPERATOR, inner, below)
        below = model.apply(f"a{number + 1}", relu.OPERATOR, below)
    below = model.apply("p2", avg_pool2d.OPERATOR, below)
    return _classified(model, model.apply("flat", flatten.OPERATOR, below), rows)


def _transformer(rows: int) -> Plan:
    tokens = rows * SIDE
    model = Making({"x": (tokens, SIDE)})
    table = model.parameter("P", (SIDE, _FEATURES))
    places = " ".join(str(token % SIDE) for token in range(tokens))
    at = model.apply("at", embedding.OPERATOR, table, indices=places)
    below = model.apply("s0", add.OPERATOR, _dense(model, "z0", "x", _FEATURES), at)
    for number in (1, 2):
        three = []
        for each in "qkv":
            part = _dense(model, f"{each}{number}", below, _FEATURES, has_bias=each != "k")
            three.append(_reshaped(model, part, rows, SIDE))
        mixed = _reshaped(model, model.apply(f"t{number}", attention.OPERATOR, *three), tokens)
        mixed = _dense(model, f"o{number}", mixed, _FEATURES)
        below = model.apply(f"s{2 * number - 1}", add.OPERATOR, mixed, below)
        below = model.layer(f"n{2 * number - 1}", layer_norm.OPERATOR, below, 0)
        inner = _dense(model, f"f{number}", below, _INNER)
        inner = model.apply(f"a{number}", relu.OPERATOR, inner)
        inner = _dense(model, f"h{number}", inner, _FEATURES)
        below = model.apply(f"s{2 * number}", add.OPERATOR, inner, below)
        below = model.layer(f"n{2 * number}", layer_norm.OPERATOR, below, 0)
    return _classified(model, _reshaped(model, below, rows), rows)


def _reshaped(model: Making, below: str, *leading: int) -> str:
    """What is below with these axes in front, and the rest of its numbers along one more."""
    size = int(np.prod(model.shapes[below])) // int(np.prod(leading))
    shape = " ".join(map(str, (*leading, size)))
    return model.apply(f"{below}_", reshape.OPERATOR, below, shape=shape)


def _recurrence(rows: int) -> Plan:
    model = Making({f"x{t}": (rows, SIDE) for t in range(1, SIDE + 1)})
    model.parameter("U", (_HIDDEN, SIDE))
    model.parameter("W", (_HIDDEN, _HIDDEN))
    model.parameter("b", (_HIDDEN,))
    below = ""
    for t in range(1, SIDE + 1):
        sum_ = model.apply(f"u{t}", dense.OPERATOR, f"x{t}", "U", "b")
        if below:
            held = model.apply(f"r{t}", dense.OPERATOR, below, "W")
            sum_ = model.apply(f"s{t}", add.OPERATOR, sum_, held)
        below = model.apply(f"h{t}", relu.OPERATOR, sum_)
    return _classified(model, below, rows)


MODELS: Mapping[str, Callable[[int], Plan]] = MappingProxyType(
    {
        "cnn": _cnn,
        "residual": _residual,
        "transformer": _transformer,
        "recurrence": _recurrence,
    }
)
"""By name, the model of so many images."""


def inputs_of(shapes: Mapping[str, Shape], images: Array, targets: Array) -> dict[str, Array]:
    """What a model is given.

    Args:
        shapes: Of its inputs, by name.
        images: (rows, 64).
        targets: (rows, 10).
    """
    if "x" in shapes:
        return {"x": images.reshape(shapes["x"]), "y": targets}
    rows = images.reshape(-1, SIDE, SIDE)
    return {**{f"x{t + 1}": rows[:, t] for t in range(SIDE)}, "y": targets}
