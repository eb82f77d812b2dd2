"""Faults of values: dtypes, factors, missing paths, the loss, biases, NaN and infinities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from harness.faults.fault import (
    Fault,
    Road,
    each_array,
    first,
    last,
    mapped,
    only_layer,
    scaled,
    without,
)
from harness.faults.handwritten import At, Change
from harness.formats import format_of
from harness.network import Gradients

__all__ = ["BIASES", "DETACHED", "DTYPES", "LAYERS", "LOSSES", "NONFINITES", "SCALES", "TERMS"]


def _as(dtype: str) -> Change:
    """Rounded to the numbers of another dtype."""
    return lambda value, at: format_of(dtype).round(value).astype(value.dtype)


def _numbers_as(dtype: str) -> Change:
    def change(numbers: Any, at: At) -> Any:
        def cast(array: Any) -> Any:
            return None if array is None else _as(dtype)(array, at)

        return replace(numbers, weights=tuple(map(cast, numbers.weights)), x=cast(numbers.x))

    return change


def _bits(bits: int) -> Callable[[Any], Any]:
    """Rounded to so many significant bits."""

    def cut(array: Any) -> Any:
        significand, exponent = np.frexp(array)
        whole = np.rint(np.ldexp(significand, bits))
        return np.ldexp(whole, exponent - bits).astype(array.dtype)

    return cut


def _coarse_down(bits: int) -> Change:
    """Both multiplicands of the product that goes down have so many bits."""

    def change(value: Any, at: At) -> Any:
        cut = _bits(bits)
        return cut(at("delta", at.layer + 1)) @ cut(at("weight going down", at.layer + 1))

    return change


_F64, _F32 = ("float64",), ("float32",)

DTYPES = (
    Fault(
        "float32 in dW",
        "dtype",
        "a float64 dW has been through float32",
        "weight gradient",
        _as("float32"),
        dtypes=_F64,
    ),
    Fault(
        "float32 in dx",
        "dtype",
        "a float64 dx has been through float32",
        "answer",
        lambda answer, at: replace(answer, x=_as("float32")(answer.x, at)),
        dtypes=_F64,
    ),
    Fault(
        "float32 residual",
        "dtype",
        "in float64 it has been through float32",
        "residual",
        _as("float32"),
        dtypes=_F64,
    ),
    Fault(
        "cast too early",
        "dtype",
        "weights and inputs are made float32 before the pass",
        "numbers",
        _numbers_as("float32"),
        dtypes=_F64,
    ),
    Fault(
        "float32 delta",
        "dtype",
        "in float64 it has been through float32",
        "delta",
        _as("float32"),
        dtypes=_F64,
    ),
    Fault(
        "sum of rows in float32",
        "dtype",
        "db in float64",
        "bias gradient",
        lambda value, at: at("delta").astype(np.float32).sum(axis=-2).astype(value.dtype),
        dtypes=_F64,
    ),
    Fault(
        "40 bits",
        "dtype",
        "of 53 are kept in each number",
        "answer",
        each_array(_bits(40)),
        dtypes=_F64,
    ),
    Fault(
        "bfloat16 in float32",
        "dtype",
        "each number of the answer has 8 bits",
        "answer",
        each_array(_bits(8)),
        dtypes=_F32,
    ),
    Fault(
        "float16 in float32",
        "dtype",
        "the delta has been through float16",
        "delta",
        _as("float16"),
        dtypes=_F32,
    ),
    Fault(
        "bfloat16 multiplicands",
        "dtype",
        "of the product that goes down, in float32",
        "cotangent",
        _coarse_down(8),
        dtypes=_F32,
    ),
    Fault(
        "TF32 multiplicands",
        "dtype",
        "of the product that goes down, in float32",
        "cotangent",
        _coarse_down(11),
        dtypes=_F32,
    ),
    Fault(
        "bfloat16 weights",
        "dtype",
        "float32 weights and inputs are made bfloat16 before the pass",
        "numbers",
        _numbers_as("bfloat16"),
        dtypes=_F32,
    ),
    Fault(
        "whole numbers",
        "dtype",
        "the residual is made an integer",
        "residual",
        lambda value, at: np.trunc(value),
    ),
    Fault(
        "8 bits in bfloat16 less one",
        "dtype",
        "each number of a bfloat16 answer has 4 bits",
        "answer",
        each_array(_bits(4)),
        dtypes=("bfloat16",),
    ),
    Fault(
        "5 bits in float16",
        "dtype",
        "each number of a float16 answer has 5 bits",
        "answer",
        each_array(_bits(5)),
        dtypes=("float16",),
    ),
)


def _one_number(factor: float) -> Change:
    """The largest number of dW is wrong by a factor, in each case."""

    def change(value: Any, at: At) -> Any:
        flat = value.reshape(*value.shape[:-2], -1).copy()
        index = np.abs(flat).argmax(axis=-1)[..., None]
        taken = np.take_along_axis(flat, index, axis=-1)
        np.put_along_axis(flat, index, (taken * factor).astype(value.dtype), axis=-1)
        return flat.reshape(value.shape)

    return change


def _all(name: str, says: str, factor: float, **more: Any) -> Fault:
    return Fault(
        name, "scale", says, "answer", each_array(lambda a: a * a.dtype.type(factor)), **more
    )


SCALES = (
    _all("all zero", "the gradient is 0", 0.0),
    _all("doubled", "the gradient is twice what it should be", 2.0),
    _all("halved", "the gradient is half of what it should be", 0.5),
    _all("negated", "the gradient has the other sign", -1.0),
    _all("1.01", "the gradient is one per cent too large", 1.01),
    _all("1 + 2^-10", "the gradient is too large by so much", 1 + 2.0**-10),
    _all("1 + 2^-18", "the gradient is too large by so much", 1 + 2.0**-18),
    _all("1 + 2^-30", "the gradient is too large by so much", 1 + 2.0**-30, dtypes=_F64),
    _all("1 + 2^-44", "the gradient is too large by so much", 1 + 2.0**-44, dtypes=_F64),
    Fault(
        "one number by 2^-12",
        "scale",
        "the largest number of each dW is too large by 1 + 2^-12",
        "weight gradient",
        _one_number(1 + 2.0**-12),
    ),
    Fault(
        "one number by 2^-40",
        "scale",
        "the largest number of each dW is too large by 1 + 2^-40",
        "weight gradient",
        _one_number(1 + 2.0**-40),
        dtypes=_F64,
    ),
    Fault(
        "42s",
        "scale",
        "each number of the gradient is 42",
        "answer",
        each_array(lambda a: np.full_like(a, 42)),
    ),
    Fault(
        "all zero in float16",
        "scale",
        "the gradient is 0",
        "answer",
        each_array(np.zeros_like),
        dtypes=("float16",),
    ),
    Fault(
        "all zero in bfloat16",
        "scale",
        "the gradient is 0",
        "answer",
        each_array(np.zeros_like),
        dtypes=("bfloat16",),
    ),
)


def _zero(value: Any, at: At) -> Any:
    return np.zeros_like(value)


_DEEP = "only networks of two layers and more"

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


def _rows_mean(loss: Any, at: At) -> Any:
    return loss / at.rows if at.case.network.reduction == "mean" else loss


def _decayed(value: Any, at: At) -> Any:
    return value + at.numbers.weights[at.layer - 1] / 1024


_VALUE: tuple[Road, ...] = ("quick", "default", "sweep", "fixture", "kinks")

LOSSES = (
    Fault(
        "loss without the half",
        "loss",
        "the value is doubled, the gradient is right",
        "loss",
        scaled(2.0),
    ),
    Fault(
        "loss by 1 + 2^-16",
        "loss",
        "the value is a little off, the gradient is right",
        "loss",
        scaled(1 + 2.0**-16),
    ),
    Fault(
        "loss of the first row",
        "loss",
        "in the value only",
        "loss",
        lambda value, at: _rows_mean((at("residual")[..., :1, :] ** 2).sum(axis=(-2, -1)) / 2, at),
    ),
    Fault("loss is 0", "loss", "in the value only", "loss", _zero),
    Fault(
        "loss never averaged",
        "loss",
        "in the value only",
        "loss",
        lambda value, at: (at("residual") ** 2).sum(axis=(-2, -1)) / 2,
        caught=("quick", "default", "sweep", "kinks"),
        why="the fixture's loss is a sum unless it is told otherwise",
    ),
    Fault(
        "absolute loss",
        "loss",
        "the gradient is that of the sum of |d|",
        "loss cotangent",
        lambda value, at: np.sign(value),
    ),
    Fault(
        "Huber's loss",
        "loss",
        "the residual is cut at 1 in the gradient",
        "loss cotangent",
        lambda value, at: (
            value
            * (
                np.minimum(np.abs(at("residual")), 1)
                / np.maximum(np.abs(at("residual")), 2.0**-100)
            ).astype(value.dtype)
        ),
    ),
    Fault("weight decay", "loss", "W/1024 is added to dW", "weight gradient", _decayed),
    Fault(
        "loss in float32",
        "loss",
        "the value in float64 has been through float32",
        "loss",
        _as("float32"),
        dtypes=_F64,
    ),
    Fault(
        "target plus one",
        "loss",
        "the residual is taken from y + 1",
        "residual",
        lambda value, at: value - 1,
    ),
)


def _without_biases(numbers: Any, at: At) -> Any:
    return replace(numbers, biases=tuple(None if b is None else b * 0 for b in numbers.biases))


def _next_biases(numbers: Any, at: At) -> Any:
    biases = numbers.biases
    return replace(
        numbers,
        biases=tuple(
            here if here is None or below is None or here.shape != below.shape else below
            for here, below in zip(biases, (biases[0], *biases[:-1]), strict=True)
        ),
    )


BIASES = (
    Fault("biases ignored", "bias", "in the forward pass", "numbers", _without_biases),
    Fault(
        "bias twice",
        "bias",
        "in the forward pass",
        "pre-activation",
        lambda value, at: (
            value if (b := at.numbers.biases[at.layer - 1]) is None else value + b[..., None, :]
        ),
    ),
    Fault(
        "bias after ReLU",
        "bias",
        "it is added to the activation",
        "activation",
        lambda value, at: (
            value
            if (b := at.numbers.biases[at.layer - 1]) is None
            else np.maximum(at.z - b[..., None, :], 0) + b[..., None, :]
            if at.case.network.has_relu(at.layer)
            else value
        ),
    ),
    Fault("bias of the layer below", "bias", "where widths are equal", "numbers", _next_biases),
    Fault(
        "db before the gate",
        "bias",
        "it is the sum of dJ/da",
        "bias gradient",
        lambda value, at: at.g.sum(axis=-2),
    ),
    Fault(
        "db for a bias of one case",
        "bias",
        "only the first row's bias is differentiated",
        "bias gradient",
        lambda value, at: at("delta")[..., 0, :],
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


def _quiet(array: Any) -> Any:
    return np.nan_to_num(array, nan=0.0)


def _infected(answer: Gradients, at: At) -> Gradients:
    """NaN everywhere as soon as a number of the case is NaN."""
    numbers = [
        *at.numbers.weights,
        *(b for b in at.numbers.biases if b is not None),
        at.numbers.x,
        at.numbers.y,
    ]
    if not any(np.isnan(array).any() for array in numbers):
        return answer
    return mapped(answer, lambda array: np.full_like(array, np.nan))


def _is_nonfinite(at: At) -> bool:
    return not (at.case.is_finite if at.case.count is None else bool(at.case.are_finite.all()))


_FINITE = "generated cases of a run are finite"
_SPECIAL: tuple[Road, ...] = ("sweep", "kinks")

NONFINITES = (
    Fault(
        "nan_to_num",
        "NaN and infinity",
        "NaN in the answer is made 0",
        "answer",
        each_array(_quiet),
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "nan_to_num of infinities",
        "NaN and infinity",
        "NaN is made 0, an infinity the largest number",
        "answer",
        each_array(np.nan_to_num),
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "NaN swallowed by ReLU",
        "NaN and infinity",
        "max(NaN, 0) is 0 in the forward pass",
        "activation",
        lambda value, at: np.fmax(at.z, 0) if at.case.network.has_relu(at.layer) else value,
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "42s beside NaN",
        "NaN and infinity",
        "all is 42 where the case holds NaN or an infinity",
        "answer",
        lambda answer, at: (
            mapped(answer, lambda a: np.full_like(a, 42)) if _is_nonfinite(at) else answer
        ),
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "doubled beside NaN",
        "NaN and infinity",
        "the finite numbers are doubled where the case holds NaN or an infinity",
        "answer",
        lambda answer, at: mapped(answer, lambda a: a * 2) if _is_nonfinite(at) else answer,
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "NaN everywhere",
        "NaN and infinity",
        "one NaN in the case makes all of the gradient NaN",
        "answer",
        _infected,
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "rows with NaN skipped",
        "NaN and infinity",
        "their delta is 0",
        "delta",
        lambda value, at: np.where(np.isnan(value).any(axis=-1, keepdims=True), 0, value),
        caught=_SPECIAL,
        why=_FINITE,
    ),
    Fault(
        "infinity is the largest number",
        "NaN and infinity",
        "in what goes down",
        "cotangent",
        lambda value, at: np.clip(value, np.finfo(value.dtype).min, np.finfo(value.dtype).max),
        caught=_SPECIAL,
        why=_FINITE,
    ),
)
