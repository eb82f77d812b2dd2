"""Faults of the loss and of the biases."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from crosscheck.studies.faults.fault import Fault, scaled
from crosscheck.studies.faults.handwritten import At
from crosscheck.studies.faults.numbers import coarse

__all__ = ["BIASES", "LOSSES"]


def _rows_mean(loss: Any, at: At) -> Any:
    return loss / at.rows if at.case.network.reduction == "mean" else loss


def _decayed(value: Any, at: At) -> Any:
    return value + at.numbers.weights[at.layer - 1] / 1024


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
    Fault("loss is 0", "loss", "in the value only", "loss", lambda value, at: value * 0),
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
        "the gradient is that of the sum of the absolute residuals",
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
        coarse("float32"),
        dtypes=("float64",),
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
