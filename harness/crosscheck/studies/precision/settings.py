"""The settings of the study, and the case of each trial."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from crosscheck.network.dense import Case, Network
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import WORKING, format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.studies.digits import load_images
from crosscheck.tools.errors import UsageError

__all__ = ["DTYPES", "Setting", "default_settings", "draw", "quick_settings", "require_count"]

DTYPES = tuple(reversed(WORKING))
"""The dtypes of the study."""

_PIXELS, _DIGITS, _IMAGES = 64, 10, 1797


@dataclass(frozen=True)
class Setting:
    """One network shape, batch size and dtype of the study.

    Attributes:
        hidden: Units of each hidden layer, each with ReLU; at least one layer.
        dtype: A name in `crosscheck.numbers.formats.FORMATS`.
        rows: Images in a minibatch, 1 to 1,797.
        repeat: Trials of this setting for each trial asked for: more where λ matters rarely.
        zero_biases: Whether all biases are zero: then a layer whose units are all inactive for an
            image makes kinks of the next layer's pre-activations, all zero.

    Raises:
        UsageError: An attribute is not as described.
    """

    hidden: tuple[int, ...]
    dtype: str
    rows: int = 32
    repeat: int = 1
    zero_biases: bool = False

    def __post_init__(self) -> None:
        format_of(self.dtype)
        if not isinstance(self.hidden, tuple) or not self.hidden:
            raise UsageError(f"hidden={self.hidden!r}: wanted a tuple with at least one width")
        Network(self.widths)
        for name, value, most in (
            ("rows", self.rows, _IMAGES),
            ("repeat", self.repeat, None),
        ):
            require_count(name, value, 1, most)

    @property
    def widths(self) -> tuple[int, ...]:
        """``(64, *hidden, 10)``: pixels, hidden layers, digits."""
        return (_PIXELS, *self.hidden, _DIGITS)

    @property
    def gates(self) -> int:
        """ReLU evaluations in one forward pass over the minibatch."""
        return self.rows * sum(self.hidden)


def default_settings(dtypes: Sequence[str] = DTYPES) -> list[Setting]:
    """The grid of the study: three series of networks, each in every dtype.

    Two hidden layers of 16, 64 and 256 units; 1, 2, 4 and 6 hidden layers of 64 units; and two
    layers of 256 units on minibatches of 32, 256 and all 1,797 images. The last one has ten
    times the trials in float32. A narrow network without biases, six layers of 4 units, comes
    with them: it has kinks in every dtype.
    """
    shapes: list[tuple[tuple[int, ...], int]] = [((width, width), 32) for width in (16, 64, 256)]
    shapes += [((64,) * depth, 32) for depth in (1, 4, 6)]
    shapes += [((256, 256), rows) for rows in (256, _IMAGES)]
    settings = []
    for dtype in dtypes:
        for hidden, rows in shapes:
            repeat = 10 if rows == _IMAGES and dtype == "float32" else 1
            settings.append(Setting(hidden, dtype, rows, repeat))
        settings.append(Setting((4,) * 6, dtype, zero_biases=True))
    return settings


def quick_settings(dtypes: Sequence[str] = DTYPES) -> list[Setting]:
    """A small grid, for a first look and for tests: a few seconds at 20 trials."""
    shapes: list[tuple[int, ...]] = [(16, 16), (64, 64), (64,) * 4]
    return [Setting(hidden, dtype) for dtype in dtypes for hidden in shapes]


@cache
def _digits() -> tuple[Array, Array]:
    """The pixels divided by 16, shape (1797, 64), and the one-hot labels, shape (1797, 10)."""
    pixels, labels = load_images("precision")
    return pixels / 16.0, np.eye(_DIGITS)[labels]


@in_ieee_arithmetic
def draw(setting: Setting, *, seed: int, trial: int) -> Case:
    """The case of one trial.

    Weights are He's, Gaussian with variance 2 / n for n inputs. Biases are uniform in ±n^-½,
    PyTorch's default, unless the setting has none. Pixels are divided by 16, so
    that they lie in [0, 1] and are exact in every dtype. Targets are one-hot, the output is
    linear, the loss is a mean over the rows. The same seed and trial give the same minibatch for
    every shape, and the same parameters, before they are rounded to the dtype, for every dtype.

    Args:
        setting: Shape, dtype and rows.
        seed: Of the study; not negative.
        trial: Number of the trial, from 0.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    pixels, targets = _digits()
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, trial])))
    rows = rng.permutation(len(pixels))[: setting.rows]
    pairs = list(zip(setting.widths[1:], setting.widths[:-1], strict=True))
    weights = [rng.standard_normal(pair) * math.sqrt(2.0 / pair[1]) for pair in pairs]
    size = 0.0 if setting.zero_biases else 1.0
    biases = [size * rng.uniform(-1.0, 1.0, units) / math.sqrt(inputs) for units, inputs in pairs]
    return Case.of(
        weights,
        biases,
        pixels[rows],
        targets[rows],
        dtype=setting.dtype,
        output="identity",
        reduction="mean",
    )


def require_count(name: str, value: object, least: int, most: int | None = None) -> None:
    """Whole numbers from ``least`` to ``most`` pass.

    Raises:
        UsageError: It is none.
    """
    within = isinstance(value, int) and not isinstance(value, bool) and value >= least
    if not within or (most is not None and isinstance(value, int) and value > most):
        wanted = f"{least} or more" if most is None else f"{least} to {most}"
        raise UsageError(f"{name}={value!r}: wanted a whole number, {wanted}")
