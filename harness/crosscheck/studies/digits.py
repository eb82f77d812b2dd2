"""Real data: a small ReLU network trained on scikit-learn's digits, as one case.

The pixels are whole numbers from 0 to 16, many of them 0, and go in as they are, so that the
first layer meets exact zeros and repeated values: what real data has and Gaussian data has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crosscheck.network.dense import Case, Network
from crosscheck.network.reference import float_forward, gradients
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.tools.errors import UsageError
from crosscheck.tools.installing import installation

__all__ = ["TrainedDigits", "load_images", "train_digits"]

_BATCH = 100

_RATE = 0.05
"""Learning rate. From three times this, some seeds lose most of their hidden units for good."""


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


def load_images(purpose: str) -> tuple[Array, NDArray[np.int64]]:
    """scikit-learn's digits: pixels of shape (1797, 64), whole numbers, and the right answers.

    Args:
        purpose: Who wants them, for the message.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise UsageError(
            f"{purpose}: the data come with scikit-learn, which is not installed; "
            f"{installation('digits')}"
        ) from None
    data = load_digits()
    return np.asarray(data.data, dtype=np.float64), np.asarray(data.target)


def train_digits(
    *, hidden: Sequence[int] = (32,), dtype: str = "float32", seed: int = 0, steps: int = 4000
) -> TrainedDigits:
    """Train by stochastic gradient descent, on the reference's own gradient.

    The training itself is in float64, on pixels divided by 16; for the case the division goes
    into the first weights, where it is exact, and the network is rounded to ``dtype``.

    One seed gives one network, bit for bit, on one machine with one NumPy; another BLAS may
    sum in another order, and then the last bits differ.

    Args:
        hidden: Widths of the hidden layers. The default learns at least 95 % of the images;
            narrow layers may not, since units that die while learning stay dead.
        dtype: Of the case.
        seed: Of the initial weights and of the order of the images; not negative.
        steps: Steps, each on 100 images; not negative.

    Raises:
        UsageError: scikit-learn is not installed, or an argument is not as described.
    """
    format_of(dtype)
    for name, value in (("seed", seed), ("steps", steps)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise UsageError(f"{name}={value!r}: wanted a whole number, 0 or more")
    widths = Network((64, *hidden, 10)).widths
    x, labels = load_images("digits")
    y = np.eye(10)[labels]
    rng = np.random.Generator(np.random.Philox(seed))
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    weights = [rng.standard_normal(pair) * np.sqrt(2.0 / pair[1]) for pair in pairs]  # He's
    biases = [np.zeros(units) for units, _ in pairs]
    order = np.arange(len(x))

    def case_of(pixels: Array, targets: Array, divisor: float, dtype: str) -> Case:
        """The present network, with ``divisor`` of the pixels taken into the first weights."""
        return Case.of(
            [weights[0] / divisor, *weights[1:]],
            biases,
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
        for parameter, slope in zip(
            [*weights, *biases], [*found.weights, *found.biases], strict=True
        ):
            parameter -= _RATE * slope
    case = case_of(x, y, 16.0, dtype)
    trace = float_forward(case.network, case.weights, case.biases, case.x)
    accuracy = float(np.mean(np.argmax(trace.activations[-1], axis=1) == labels))
    return TrainedDigits(case, accuracy, steps)
