"""The gradient of one case at a time, in Python's own numbers: as far from NumPy as can be."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from crosscheck.network.batch import Batch, held_dtype
from crosscheck.network.dense import Gradients
from crosscheck.numbers.formats import format_of
from crosscheck.studies.alarms.numbers import narrowed

__all__ = ["exactly", "with_correctly_rounded_sums"]

Dot = Callable[[Sequence[Any], Sequence[Any], Any], Any]


def _case(batch: Batch, index: int, number: Callable[[float], Any], dot: Dot) -> Gradients:
    """Backpropagation over lists.

    Args:
        batch: Finite cases.
        index: Of the case.
        number: A float as a number of the arithmetic.
        dot: Σ of products, plus one addend.
    """
    network = batch.network

    def listed(array: Any) -> Any:
        return [[number(float(value)) for value in row] for row in np.atleast_2d(array[index])]

    weights = [listed(weight) for weight in batch.weights]
    biases = [None if bias is None else listed(bias)[0] for bias in batch.biases]
    zero, x, y = number(0.0), listed(batch.x), listed(batch.y)
    rows, activations, masks = range(len(x)), [x], []
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        added = [zero] * len(weight) if bias is None else bias
        z = [
            [dot(a, row, b) for row, b in zip(weight, added, strict=True)] for a in activations[-1]
        ]
        has_relu = network.has_relu(layer)
        masks.append([[not has_relu or value > 0 for value in row] for row in z])
        activations.append(
            [[max(value, zero) if has_relu else value for value in row] for row in z]
        )
    one, minus = number(1.0), number(-1.0)
    d = [
        [dot([one, minus], [a, t], zero) for a, t in zip(*pair, strict=True)]
        for pair in zip(activations[-1], y, strict=True)
    ]
    flat = [value for row in d for value in row]
    divisor = number(float(len(x) if network.reduction == "mean" else 1))
    loss = dot(flat, flat, zero) / number(2.0) / divisor
    cotangent = [[value / divisor for value in row] for row in d]
    found: list[tuple[Any, Any]] = []
    for at in range(network.depth - 1, -1, -1):
        delta = [
            [g if on else zero for g, on in zip(*pair, strict=True)]
            for pair in zip(cotangent, masks[at], strict=True)
        ]
        columns = list(zip(*delta, strict=True))
        inputs = list(zip(*activations[at], strict=True))
        for_weight = [[dot(column, a, zero) for a in inputs] for column in columns]
        for_bias = [dot(column, [one] * len(rows), zero) for column in columns]
        found.insert(0, (for_weight, None if biases[at] is None else for_bias))
        below = list(zip(*weights[at], strict=True))
        cotangent = [[dot(row, column, zero) for column in below] for row in delta]
    return Gradients(
        loss, tuple(weight for weight, _ in found), tuple(bias for _, bias in found), cotangent
    )


def _stacked(batch: Batch, given: Callable[[Any], Any], cases: Sequence[Gradients]) -> Gradients:
    def array(lists: Sequence[Any], shape: tuple[int, ...]) -> Any:
        numbers = np.array(lists, dtype=object).reshape(-1)
        rounded = np.array([float(given(value)) for value in numbers], dtype=np.float64)
        return rounded.reshape(len(cases), *shape).astype(held_dtype(batch.dtype))

    return Gradients(
        array([case.loss for case in cases], ()),
        tuple(
            array([case.weights[at] for case in cases], weight.shape[1:])
            for at, weight in enumerate(batch.weights)
        ),
        tuple(
            None if bias is None else array([case.biases[at] for case in cases], bias.shape[1:])
            for at, bias in enumerate(batch.biases)
        ),
        array([case.x for case in cases], batch.x.shape[1:]),
    )


def exactly(batch: Batch) -> Gradients:
    """Rational arithmetic without error, and the result rounded to the dtype once."""
    form = format_of(batch.dtype)
    least = Fraction(form.smallest_subnormal)

    def dot(ones: Sequence[Fraction], others: Sequence[Fraction], addend: Fraction) -> Fraction:
        pairs = zip(ones, others, strict=True)
        return sum((one * other for one, other in pairs if one and other), addend)

    def rounded(value: Fraction) -> float:
        size = abs(value)
        if size == 0:
            return 0.0
        exponent = size.numerator.bit_length() - size.denominator.bit_length()
        exponent -= size < Fraction(2) ** exponent
        grid = max(Fraction(2) ** (exponent - form.precision + 1), least)
        found = grid * round(value / grid)  # ties to even
        if abs(found) <= form.largest:
            return float(found)
        return math.inf if value > 0 else -math.inf

    cases = [_case(batch, index, Fraction, dot) for index in range(batch.count)]
    return _stacked(batch, rounded, cases)


def with_correctly_rounded_sums(batch: Batch) -> Gradients:
    """Products and quotients rounded, each sum rounded once, from its exact value: `math.fsum`."""

    def rounded(value: float) -> float:
        return float(narrowed(np.float64(value).reshape(1), batch.dtype)[0])

    def dot(ones: Sequence[float], others: Sequence[float], addend: float) -> float:
        products = [rounded(one * other) for one, other in zip(ones, others, strict=True)]
        try:
            return rounded(math.fsum([*products, addend]))
        except (OverflowError, ValueError):  # of what is infinite, or becomes so
            return rounded(sum([*products, addend]))

    with np.errstate(all="ignore"):
        cases = [_case(batch, index, float, dot) for index in range(batch.count)]
        return _stacked(batch, rounded, cases)
