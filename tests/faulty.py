"""Frameworks that are wrong on purpose: each plants one fault in an otherwise correct gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.reference import backward, forward, gradients
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of

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


def rows_from_8(case: Case) -> Gradients:
    """Rows from index 8 on contribute nothing to the gradients of the parameters."""
    right = gradients(case)
    factor = 1.0 if case.network.reduction == "sum" else min(case.rows, 8) / case.rows
    first = Case(
        case.network,
        case.weights,
        case.biases,
        case.x[..., :8, :],
        case.y[..., :8, :],
        case.dtype,
    )
    part = gradients(first)
    return replace(
        right,
        weights=tuple(w * factor for w in part.weights),
        biases=tuple(None if b is None else b * factor for b in part.biases),
    )


def _tail_of(size: int) -> Fault:
    def tail(case: Case) -> Gradients:
        right = gradients(case)

        def cut(array: Array) -> Array:
            width = array.shape[-1]
            written = np.arange(width) < (width // size * size if width > size else width)
            return np.where(written, array, 0.0)

        return replace(right, weights=tuple(map(cut, right.weights)), x=cut(right.x))

    tail.__name__ = f"tail_of_{size}"
    tail.__doc__ = f"The remainder of a loop over vectors of {size} numbers is not written."
    return tail


def transposed_square(case: Case) -> Gradients:
    """g W for g Wᵀ … where a layer is square: any other would not fit."""
    trace = forward(case.network, case.weights, case.biases, case.x, lambda z: np.maximum(z, 0.0))
    gates = [
        (z > 0).astype(np.float64) if case.network.has_relu(layer) else None
        for layer, z in enumerate(trace.pre_activations, start=1)
    ]
    turned = [w.swapaxes(-1, -2) if w.shape[-1] == w.shape[-2] else w for w in case.weights]
    return backward(case.network, turned, case.biases, trace, case.y, gates)


def later_bias(case: Case) -> Gradients:
    """dJ/db of the last row instead of all rows, from the second layer on."""
    right, last = gradients(case), missing_batch_sum(case)
    return replace(right, biases=(right.biases[0], *last.biases[1:]))


def layer_without_bias(case: Case) -> Gradients:
    """dJ/dW of a layer without bias is that of the layer's first unit for all of its units."""
    right = gradients(case)
    weights = tuple(
        w if b is not None else np.broadcast_to(w[..., :1, :], w.shape).copy()
        for w, b in zip(right.weights, right.biases, strict=True)
    )
    return replace(right, weights=weights)


WIDE_FAULTS: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (
        rows_from_8,
        *map(_tail_of, (4, 8, 16, 32)),
        transposed_square,
        later_bias,
        layer_without_bias,
    )
}
"""Faults that show from some size on, or in some form of network."""


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
        with np.errstate(over="ignore", invalid="ignore"):  # no framework's warnings are NumPy's
            result, form = self._fault(case), format_of(case.dtype)
        return Gradients(
            form.round(result.loss),
            tuple(form.round(w) for w in result.weights),
            tuple(None if b is None else form.round(b) for b in result.biases),
            form.round(result.x),
        )


def at_kinks(slope: float) -> Callable[..., Any]:
    """By hand, with another derivative of ReLU at zero."""

    def off(weights: Any, biases: Any, x: Any, y: Any) -> Any:
        (w1, w2), (b1, b2) = weights, biases
        z1 = x @ w1.T + b1
        a1 = np.maximum(z1, 0)
        z2 = a1 @ w2.T + b2
        g2 = (np.maximum(z2, 0) - y) * np.heaviside(z2, slope)
        g1 = g2 @ w2 * np.heaviside(z1, slope)
        return [g1.T @ x, g2.T @ a1], [g1.sum(0), g2.sum(0)], g1 @ w1

    return off
