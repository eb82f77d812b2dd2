"""Faults of the gate ReLU'(z): masks, and derivatives at the kink that are none."""

from __future__ import annotations

from typing import Any

import numpy as np

from crosscheck.studies.faults.fault import Fault, first, last, only_layer
from crosscheck.studies.faults.handwritten import At, Change

__all__ = ["MASKS", "SLOPES"]


def _gate(change: Change) -> Change:
    """Only where there is a gate."""
    return lambda value, at: None if value is None else change(value, at).astype(value.dtype)


def _of_z(test: Any) -> Change:
    return _gate(lambda gate, at: test(at.z))


def _other_layer(gate: Any, at: At) -> Any:
    layers = [layer for layer in range(1, at.case.network.depth + 1) if layer != at.layer]
    for layer in layers:
        other = at("pre-activation", layer)
        if other.shape == gate.shape:
            return other > 0
    return gate


def _without_bias(gate: Any, at: At) -> Any:
    bias = at.numbers.biases[at.layer - 1]
    return gate if bias is None else at.z - bias[..., None, :] > 0


def _kinks(slope: Any) -> Change:
    """Slope ``slope``, a number or one for each row, where z is zero."""

    def change(gate: Any, at: At) -> Any:
        rows = slope(np.arange(at.rows))[:, None] if callable(slope) else slope
        return np.where(at.z == 0, rows, gate)

    return _gate(change)


def _mask(name: str, says: str, change: Change, **more: Any) -> Fault:
    return Fault(name, "mask", says, "gate", change, **more)


def _slope(name: str, says: str, role: str, change: Change, **more: Any) -> Fault:
    return Fault(name, "slope", says, role, change, **more)


MASKS = (
    _mask("no gate", "ReLU' is 1 everywhere", _of_z(np.ones_like)),
    _mask("no gate, last layer", "only there ReLU' is 1", only_layer(last, _of_z(np.ones_like))),
    _mask("no gate, layer 1", "only there ReLU' is 1", only_layer(first, _of_z(np.ones_like))),
    _mask("closed gate", "ReLU' is 0 everywhere", _of_z(np.zeros_like)),
    _mask("wrong side", "ReLU' is 1 where z < 0", _of_z(lambda z: z < 0)),
    _mask("sign for step", "ReLU' is -1 where z < 0", _of_z(np.sign)),
    _mask("leaky", "ReLU' is 1/64 where z < 0", _of_z(lambda z: np.where(z > 0, 1.0, 1 / 64))),
    _mask("gate of another layer", "of the first layer of the same shape", _gate(_other_layer)),
    _mask("gate before the bias", "W a > 0 is asked, and not z > 0", _gate(_without_bias)),
    _mask(
        "gate of the row before",
        "row r has the gates of row r - 1",
        _of_z(lambda z: np.roll(z > 0, 1, axis=-2)),
    ),
    _mask(
        "gate of the unit before",
        "unit i has the gates of unit i - 1",
        _of_z(lambda z: np.roll(z > 0, 1, axis=-1)),
    ),
    _mask(
        "gates of the first row",
        "all rows have them",
        _of_z(lambda z: np.broadcast_to(z[..., :1, :] > 0, z.shape)),
    ),
    _mask(
        "a unit is open if any row is",
        "the gates of a unit are reduced over rows",
        _of_z(lambda z: np.broadcast_to((z > 0).any(axis=-2, keepdims=True), z.shape)),
    ),
    _mask(
        "gate by an epsilon of 2^-10",
        "z > 2^-10 is asked",
        _of_z(lambda z: z > 2.0**-10),
        caught=("default", "sweep", "kinks"),
        why="few pre-activations are drawn so near to zero",
    ),
    _mask(
        "gate by an epsilon of 2^-30",
        "z > 2^-30 is asked",
        _of_z(lambda z: z > 2.0**-30),
        caught=("default", "sweep", "kinks"),
        why="few pre-activations are drawn so near to zero",
    ),
    _mask(
        "gate open below zero",
        "z > -2^-10 is asked",
        _of_z(lambda z: z > -(2.0**-10)),
        caught=("default", "sweep", "kinks"),
        why="few pre-activations are drawn so near to zero",
    ),
    Fault(
        "gate in a layer without ReLU",
        "mask",
        "the last layer has a gate although its output is the identity",
        "gate",
        lambda gate, at: at.z > 0 if gate is None else gate,
        caught=("quick", "default", "sweep", "kinks"),
        why="the networks of the fixture end in a ReLU unless it is told otherwise",
    ),
    Fault(
        "gate of the targets",
        "mask",
        "the last gate asks whether the target is positive",
        "gate",
        only_layer(last, _gate(lambda gate, at: at.numbers.y > 0)),
    ),
)

SLOPES = (
    _slope("slope 2 at zero", "outside [0, 1]", "gate", _kinks(2.0)),
    _slope("slope -1 at zero", "outside [0, 1]", "gate", _kinks(-1.0)),
    _slope("slope 1.01 at zero", "just outside [0, 1]", "gate", _kinks(1.01)),
    _slope("slope NaN at zero", "0/0, as of z/abs(z)", "gate", _kinks(np.nan)),
    _slope("slope infinite at zero", "1/0, as of 1/z", "gate", _kinks(np.inf)),
    _slope(
        "slope by row",
        "2 in even rows, -1 in odd ones",
        "gate",
        _kinks(lambda r: 2 - 3 * (r % 2.0)),
    ),
    _slope("slope is the row's number", "0, 1, 2, ...", "gate", _kinks(lambda r: 1.0 * r)),
    _slope(
        "slope 2 in layer 1",
        "only the first layer's kinks are outside [0, 1]",
        "gate",
        only_layer(first, _kinks(2.0)),
    ),
    _slope(
        "two slopes at one gate",
        "the bias gradient is given the slope 1 at zero, all else the slope 0",
        "bias gradient",
        lambda value, at: (
            (at.g * (at.z >= 0)).sum(axis=-2).astype(value.dtype)
            if at.case.network.has_relu(at.layer)
            else value
        ),
    ),
    _slope(
        "two slopes at one gate, downwards",
        "what goes down is given the slope 1 at zero, the weights the slope 0",
        "cotangent",
        lambda value, at: _down_with_slope_one(value, at),
    ),
)


def _down_with_slope_one(value: Any, at: At) -> Any:
    layer = at.layer + 1
    if not at.case.network.has_relu(layer):
        return value
    above = "loss cotangent" if layer == at.case.network.depth else "cotangent"
    delta = at(above, layer) * (at("pre-activation", layer) >= 0)
    return (delta @ at("weight going down", layer)).astype(value.dtype)
