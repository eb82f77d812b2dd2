"""Real data: a small ReLU network trained on scikit-learn's digits, as one case.

The pixels are whole numbers from 0 to 16, many of them 0, and go in as they are, so that the
first layer meets exact zeros and repeated values: what real data has and Gaussian data has not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.errors import UsageError
from harness.formats import format_of
from harness.network import Array, Case
from harness.reference import forward, gradients

__all__ = ["TrainedDigits", "train_digits"]

_BATCH = 100


@dataclass(frozen=True, eq=False)
class TrainedDigits:
    """A trained network on the data it was trained on.

    Attributes:
        case: The network with the whole data set, 1,797 rows. The output is linear, since
            the targets are one-hot and a ReLU there would start out dead for many digits; the
            loss is a mean over the rows.
        accuracy: Share of the images whose largest output is the right digit.
        steps: Gradient steps taken.
    """

    case: Case
    accuracy: float
    steps: int


def train_digits(
    *, hidden: tuple[int, ...] = (32,), dtype: str = "float32", seed: int = 0, steps: int = 2000
) -> TrainedDigits:
    """Train by stochastic gradient descent with momentum, on the reference's own gradient.

    The training itself is in float64, on pixels divided by 16; for the case the division goes
    into the first weights, where it is exact, and the network is rounded to ``dtype``.

    Args:
        hidden: Widths of the hidden layers.
        dtype: Of the case.
        seed: Of the initial weights.
        steps: Steps, each on 100 images.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    format_of(dtype)
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UsageError(
            "digits: the data come with scikit-learn, which is not installed; "
            "pip install 'gradient-crosscheck[digits]'"
        ) from None
    data = load_digits()
    x, labels = np.asarray(data.data, dtype=np.float64), np.asarray(data.target)
    y = np.eye(10)[labels]
    widths = (x.shape[1], *hidden, 10)
    rng = np.random.Generator(np.random.Philox(seed))
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    parameters = [rng.standard_normal(pair) * np.sqrt(2.0 / pair[1]) for pair in pairs]  # He's
    parameters += [np.zeros(units) for units, _ in pairs]
    speeds = [np.zeros_like(parameter) for parameter in parameters]
    depth, order = len(pairs), np.arange(len(x))

    def case_of(pixels: Array, targets: Array, divisor: float, dtype: str) -> Case:
        """The present network, with ``divisor`` of the pixels taken into the first weights."""
        weights = [parameters[0] / divisor, *parameters[1:depth]]
        return Case.of(
            weights,
            parameters[depth:],
            pixels,
            targets,
            dtype=dtype,
            output="identity",
            reduction="mean",
        )

    for step in range(steps):
        start = step * _BATCH % len(x)
        if start < _BATCH:
            order = rng.permutation(len(x))
        rows = order[start : start + _BATCH]
        found = gradients(case_of(x[rows] / 16.0, y[rows], 1.0, "float64"))
        for parameter, speed, slope in zip(
            parameters, speeds, [*found.weights, *found.biases], strict=True
        ):
            speed *= 0.9
            speed -= 0.03 * slope
            parameter += speed
    case = case_of(x, y, 16.0, dtype)
    trace = forward(case.network, case.weights, case.biases, case.x, lambda z: np.maximum(z, 0.0))
    accuracy = float(np.mean(np.argmax(trace.activations[-1], axis=1) == labels))
    return TrainedDigits(case, accuracy, steps)
