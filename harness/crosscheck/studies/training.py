"""Models trained on scikit-learn's digits, on the reference's own gradient, each as one case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from crosscheck.cases.plans import Plan
from crosscheck.network.composed import Composed
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.program.evaluate import evaluate
from crosscheck.program.floats import OnFloats
from crosscheck.program.graph import Program
from crosscheck.studies.digits import load_images
from crosscheck.studies.models import CLASSES, MODELS, inputs_of
from crosscheck.tools.errors import UsageError

__all__ = ["ROWS", "STEPS", "TrainedModel", "train_model"]

ROWS = 64
"""Images in a batch, and in the case."""

STEPS: Mapping[str, int] = MappingProxyType(
    {"cnn": 150, "residual": 150, "transformer": 200, "recurrence": 600}
)
"""Of training, enough for 95 % of the images."""

_RATE, _MEAN, _SQUARE, _SMALL = 0.003, 0.9, 0.99, 2.0**-26
"""Adam's α, β₁, β₂ and ε (Kingma and Ba 2015)."""

_PIXEL = 16.0
"""The largest pixel: they are divided by it, exactly."""


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """A trained model on the first images of its data.

    Attributes:
        case: The model with a batch of images.
        steps: Gradient steps taken.
    """

    case: Composed
    steps: int

    @cached_property
    def accuracy(self) -> float:
        """Share of all images whose largest logit is the right digit, batch by batch.

        The last batch is filled up with the first images.
        """
        case, (images, labels) = self.case, load_images("digits")
        program = case.program
        logits = Program(program.nodes, program.inputs, {"out": case.results["out"]})
        rows, right = len(case.inputs["y"]), 0
        shapes = {name: array.shape for name, array in case.inputs.items()}
        for start in range(0, len(images), rows):
            chosen = np.arange(start, start + rows) % len(images)
            given = inputs_of(shapes, images[chosen] / _PIXEL, case.inputs["y"])
            found = evaluate(logits, OnFloats(), {**case.parameters, **given})["out"]
            hits = found.argmax(axis=1) == labels[chosen]
            right += int(hits[: len(images) - start].sum())
        return right / len(images)


def train_model(
    name: str,
    *,
    dtype: str = "float32",
    seed: int = 0,
    steps: int | None = None,
    rows: int = ROWS,
) -> TrainedModel:
    """Train by Adam, on the reference's own gradient in float64; then round to ``dtype``.

    One seed gives one model, bit for bit, on one machine with one NumPy.

    Args:
        name: Of `MODELS`.
        dtype: Of the case.
        seed: Of the initial weights and of the order of the images; not negative.
        steps: Steps, each on one batch; by default those of `STEPS`.
        rows: Images in a batch, and in the case.

    Raises:
        UsageError: scikit-learn is not installed, or an argument is not as described.
    """
    format_of(dtype)
    if name not in MODELS:
        raise UsageError(f"model={name!r}: wanted one of {', '.join(MODELS)}")
    steps = STEPS[name] if steps is None else steps
    for what, value, least in (("seed", seed, 0), ("steps", steps, 0), ("rows", rows, 2)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise UsageError(f"{what}={value!r}: wanted a whole number, {least} or more")
    images, labels = load_images("digits")
    if rows > len(images):
        raise UsageError(f"rows={rows}: wanted {len(images)} or less, the images there are")
    images = images / _PIXEL
    plan = MODELS[name](rows)
    inputs = plan.inputs
    rng = np.random.Generator(np.random.Philox(seed))
    parameters = _initial(plan, rng)
    targets = np.eye(CLASSES)[labels]
    some = slice(rows)
    shown = inputs_of(inputs, images[some], targets[some])
    program = plan.case({**parameters, **shown}, "float64").gradient
    wanted = {name: program.outputs[name] for name in parameters}
    program = Program(program.nodes, program.inputs, wanted)
    state = {key: (np.zeros_like(each), np.zeros_like(each)) for key, each in parameters.items()}
    for number, chosen in zip(range(1, steps + 1), _batches(len(images), rows, rng), strict=False):
        given = inputs_of(inputs, images[chosen], targets[chosen])
        found = evaluate(program, OnFloats(), {**parameters, **given})
        _step(parameters, found, state, number)
    return TrainedModel(plan.case({**parameters, **shown}, dtype), steps)


def _initial(plan: Plan, rng: np.random.Generator) -> dict[str, Array]:
    """He's for what has several axes; of norms 1 for weights, and 0 for every bias."""
    found = {}
    for name, shape in plan.parameters.items():
        if len(shape) == 1:
            found[name] = np.full(shape, float(name.startswith("weight")))
        else:
            found[name] = rng.standard_normal(shape) * np.sqrt(2.0 / np.prod(shape[1:]))
    return found


def _batches(count: int, rows: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Batches without end, of whole batches from one order of all images after the other."""
    while True:
        order = rng.permutation(count)
        for start in range(0, count - rows + 1, rows):
            yield order[start : start + rows]


def _step(
    parameters: dict[str, Array],
    gradient: Mapping[str, Array],
    state: dict[str, tuple[Array, Array]],
    number: int,
) -> None:
    """Adam's step ``number``, counted from 1: new numbers for each parameter."""
    for name, before in parameters.items():
        slope = gradient[name]
        mean, square = state[name]
        mean = _MEAN * mean + (1.0 - _MEAN) * slope
        square = _SQUARE * square + (1.0 - _SQUARE) * slope * slope
        state[name] = mean, square
        size = np.sqrt(square / (1.0 - _SQUARE**number)) + _SMALL
        parameters[name] = before - _RATE * mean / (1.0 - _MEAN**number) / size
