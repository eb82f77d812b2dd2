"""Frameworks that are wrong on purpose: each plants one fault in an otherwise correct gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np

from harness.formats import format_of
from harness.frameworks.base import Framework
from harness.network import Array, Case, Gradients
from harness.reference import backward, forward, gradients

Fault = Callable[[Case], Gradients]


def _gradients_with(case: Case, gate: Callable[[Array], Array]) -> Gradients:
    trace = forward(case.network, case.weights, case.biases, case.x, lambda z: np.maximum(z, 0.0))
    gates = [
        gate(z) if case.network.has_relu(layer) else None
        for layer, z in enumerate(trace.pre_activations, start=1)
    ]
    return backward(case.network, case.weights, case.biases, trace, case.y, gates)


def correct(case: Case) -> Gradients:
    """No fault: strict gates, z > 0."""
    return gradients(case)


def transposed_gradient(case: Case) -> Gradients:
    """dJ/dW in the memory order of its transpose."""
    right = gradients(case)
    return replace(
        right,
        weights=tuple(w.swapaxes(-1, -2).reshape(w.shape) for w in right.weights),
    )


def missing_mask(case: Case) -> Gradients:
    """ReLU' = 1 everywhere in the backward pass."""
    return _gradients_with(case, lambda z: np.ones_like(z))


def not_strict(case: Case) -> Gradients:
    """z >= 0 for z > 0: another convention, no fault."""
    return _gradients_with(case, lambda z: (z >= 0).astype(np.float64))


def scaled_gradient(case: Case) -> Gradients:
    """Every entry too large by 2⁻²⁰ of itself."""
    right, factor = gradients(case), 1.0 + 2.0**-20
    return Gradients(
        right.loss,
        tuple(w * factor for w in right.weights),
        tuple(None if b is None else b * factor for b in right.biases),
        right.x * factor,
    )


def missing_batch_sum(case: Case) -> Gradients:
    """dJ/db of the first row only."""
    right = gradients(case)
    first = Case(
        replace(case.network, reduction="sum"),
        case.weights,
        case.biases,
        case.x[..., :1, :],
        case.y[..., :1, :],
        case.dtype,
    )
    return replace(right, biases=gradients(first).biases)


def float32_step(case: Case) -> Gradients:
    """A float64 gradient that passed through float32 on its way."""
    right, single = gradients(case), format_of("float32")
    return replace(right, weights=tuple(single.round(w) for w in right.weights))


def doubled_loss(case: Case) -> Gradients:
    """J = Σ d², the factor ½ forgotten in the value only."""
    right = gradients(case)
    return replace(right, loss=2.0 * right.loss)


def unrelated_kinks(case: Case) -> Gradients:
    """Weights as if ReLU'(0) were 0, biases as if it were 1."""
    return replace(gradients(case), biases=gradients(case, kink_slope=1.0).biases)


FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        transposed_gradient,
        missing_mask,
        scaled_gradient,
        missing_batch_sum,
        float32_step,
        doubled_loss,
    )
}
"""Faults that show on smooth cases."""


class Faulty(Framework):
    """A framework that computes whatever function it is given."""

    name: ClassVar[str] = "faulty"
    module: ClassVar[str] = "numpy"
    packages: ClassVar[tuple[str, ...]] = ("numpy",)

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self._fault = fault

    def gradients(self, case: Case) -> Gradients:
        """The faulty gradient, rounded to the dtype as a framework's would be."""
        result, form = self._fault(case), format_of(case.dtype)
        return Gradients(
            form.round(result.loss),
            tuple(form.round(w) for w in result.weights),
            tuple(None if b is None else form.round(b) for b in result.biases),
            form.round(result.x),
        )
