"""Faults of the chain rule: paths that are missing, wrong in one layer, or wrong terms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.studies.faults.fault import (
    Fault,
    each_array,
    first,
    last,
    only_layer,
    scaled,
    without,
)
from crosscheck.studies.faults.handwritten import At

__all__ = ["DETACHED", "LAYERS", "TERMS"]


def _zero(value: Any, at: At) -> Any:
    return np.zeros_like(value)


DETACHED = (
    Fault(
        "dx detached",
        "detach",
        "dx is 0",
        "answer",
        lambda answer, at: replace(answer, x=answer.x * 0),
    ),
    Fault(
        "below the last layer",
        "detach",
        "no cotangent comes there",
        "cotangent",
        lambda value, at: value * 0 if at.layer == at.case.network.depth - 1 else value,
    ),
    Fault(
        "weights of layer 1",
        "detach",
        "their gradient is 0",
        "weight gradient",
        only_layer(first, _zero),
    ),
    Fault("all biases", "detach", "their gradient is 0", "bias gradient", _zero),
    Fault(
        "bias of the last layer",
        "detach",
        "its gradient is 0",
        "bias gradient",
        only_layer(last, _zero),
    ),
    Fault(
        "first unit",
        "detach",
        "no cotangent passes it",
        "delta",
        lambda value, at: without(value, slice(0, 1), -1),
    ),
    Fault(
        "last unit downwards",
        "detach",
        "no cotangent passes from it to the layer below",
        "cotangent",
        lambda value, at: (
            without(at("delta", at.layer + 1), slice(-1, None), -1)
            @ at("weight going down", at.layer + 1)
        ),
    ),
    Fault(
        "second row",
        "detach",
        "no cotangent passes it",
        "delta",
        lambda value, at: without(value, slice(1, 2), -2),
    ),
    Fault(
        "last output",
        "detach",
        "its residual is not differentiated",
        "loss cotangent",
        lambda value, at: without(value, slice(-1, None), -1),
    ),
)

LAYERS = (
    Fault(
        "sign of dW1",
        "one layer",
        "only there the sign is wrong",
        "weight gradient",
        only_layer(first, scaled(-1.0)),
    ),
    Fault(
        "last dW doubled",
        "one layer",
        "only there a factor is wrong",
        "weight gradient",
        only_layer(last, scaled(2.0)),
    ),
    Fault(
        "db1 by 1.01",
        "one layer",
        "only there a factor is wrong",
        "bias gradient",
        only_layer(first, scaled(1.01)),
    ),
    Fault(
        "last db negated",
        "one layer",
        "only there the sign is wrong",
        "bias gradient",
        only_layer(last, scaled(-1.0)),
    ),
    Fault(
        "delta of layer 1 doubled",
        "one layer",
        "only there a factor is wrong",
        "delta",
        only_layer(first, scaled(2.0)),
    ),
    Fault(
        "dW2 by 1 + 2^-10",
        "one layer",
        "only there a factor is wrong",
        "weight gradient",
        only_layer(lambda at: at.layer == 2, scaled(1 + 2.0**-10)),
    ),
    Fault(
        "sign below the last layer",
        "one layer",
        "the cotangent changes its sign there",
        "cotangent",
        only_layer(lambda at: at.layer == at.case.network.depth - 1, scaled(-1.0)),
    ),
    Fault(
        "dW3 is 0",
        "one layer",
        "of deep networks",
        "weight gradient",
        only_layer(lambda at: at.layer == 3, _zero),
    ),
)


def _updated(value: Any, at: At) -> Any:
    return value - at("weight gradient") / 64


def _clipped(array: Any) -> Any:
    return np.clip(array, -1, 1)


TERMS = (
    Fault(
        "weights already updated",
        "term",
        "the pass goes down through W - dW/64",
        "weight going down",
        _updated,
    ),
    Fault(
        "dx before the gate",
        "term",
        "the gate of layer 1 is missing in dx alone",
        "cotangent",
        lambda value, at: (
            value
            if at.layer
            else at.seen["cotangent" if at.case.network.depth > 1 else "loss cotangent", 1]
            @ at("weight going down", 1)
        ),
    ),
    Fault(
        "pre-activations for activations",
        "term",
        "dW is made with z of the layer below",
        "activation kept",
        lambda value, at: value if at.layer == 1 else at("pre-activation", at.layer - 1),
    ),
    Fault(
        "activation of the layer itself",
        "term",
        "dW is made with it where widths are equal",
        "activation kept",
        lambda value, at: at("activation") if at("activation").shape == value.shape else value,
    ),
    Fault(
        "dx with the residual",
        "term",
        "the residual is added to dx where shapes are equal",
        "answer",
        lambda answer, at: (
            replace(answer, x=answer.x + at("residual", at.case.network.depth))
            if answer.x.shape == at("residual", at.case.network.depth).shape
            else answer
        ),
        caught=("quick", "default", "fixture", "kinks"),
        why="no two of these arrays have the same shape in the sweeps",
    ),
    Fault("clipped gradient", "term", "numbers beyond 1 are cut", "answer", each_array(_clipped)),
    Fault(
        "unit dropped out",
        "term",
        "in the backward pass one unit is off and the others are scaled",
        "delta",
        lambda value, at: (
            without(value, slice(0, 1), -1)
            * value.dtype.type(value.shape[-1] / max(value.shape[-1] - 1, 1))
        ),
    ),
    Fault(
        "skip",
        "term",
        "the cotangent skips a layer of equal width",
        "cotangent",
        lambda value, at: (
            value + at("delta", at.layer + 1)
            if at("delta", at.layer + 1).shape == value.shape
            else value
        ),
    ),
    Fault(
        "momentum",
        "term",
        "a tenth of the last dW of this shape is added",
        "weight gradient",
        lambda value, at: _momentum(value, at),
    ),
    Fault(
        "centred inputs",
        "term",
        "dW is made with inputs less their mean over rows",
        "activation kept",
        lambda value, at: value - value.mean(axis=-2, keepdims=True) if at.rows > 1 else value,
    ),
)


def _momentum(value: Any, at: At) -> Any:
    place = "momentum", at.layer, value.shape, value.dtype.str
    then = at.memory.get(place)
    at.memory[place] = value.copy()
    return value if then is None else value + then / 8
