"""Exact rationals: what every float is, and what the gradient of a ReLU network at floats is.

Each float is a dyadic rational, and dense layers, ReLU and a squared loss stay within the
rationals, so forward and backward pass can be computed without any error. python-flint's
`fmpq` is used where it is installed, `fractions.Fraction` otherwise; the results are equal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.network import Array, Case, Gradients
from harness.reference import Trace, backward, forward

_rational: Callable[[int, int], Any] = Fraction
with contextlib.suppress(ImportError):
    from flint import fmpq

    _rational = fmpq

__all__ = ["exact_forward", "exact_gradients", "nearest_float", "nearest_floats", "rationals"]

Rationals = NDArray[np.object_]


def rationals(values: Array) -> Rationals:
    """The exact values of finite float64 ``values``, as an object array of the same shape."""
    exact = np.empty(values.size, dtype=object)
    exact[:] = [_rational(*value.as_integer_ratio()) for value in values.ravel().tolist()]
    return exact.reshape(values.shape)


def nearest_float(value: Any) -> float:
    """A rational rounded to float64, ties to even; ±inf beyond its range."""
    fraction = Fraction(int(value.numerator), int(value.denominator))
    try:
        return fraction.numerator / fraction.denominator
    except OverflowError:
        return float("inf") if fraction > 0 else float("-inf")


def nearest_floats(gradients: Gradients) -> Gradients:
    """Gradients in rationals of any kind, each entry rounded to float64."""

    def convert(values: Any) -> Array | None:
        if values is None:
            return None
        exact = np.asarray(values, dtype=object)
        floats = [nearest_float(value) for value in exact.ravel()]
        return np.array(floats, dtype=np.float64).reshape(exact.shape)

    return Gradients(
        convert(gradients.loss),
        tuple(convert(weight) for weight in gradients.weights),
        tuple(convert(bias) for bias in gradients.biases),
        convert(gradients.x),
    )


def _relu(values: Rationals) -> Rationals:
    return np.where(values > 0, values, values * 0)


def exact_forward(case: Case, layers: int | None = None) -> Trace:
    """The forward pass of a finite single ``case`` on rationals.

    Args:
        case: The case.
        layers: How many layers, from the first on; all by default.
    """
    return forward(
        case.network,
        [rationals(weight) for weight in case.weights[:layers]],
        [None if bias is None else rationals(bias) for bias in case.biases[:layers]],
        rationals(case.x),
        _relu,
    )


def exact_gradients(case: Case, trace: Trace, gates: Sequence[Any]) -> Gradients:
    """The backward pass on rationals.

    Args:
        case: A finite single case.
        trace: What `exact_forward` returned for it.
        gates: ``s_1 … s_L``: float64 arrays shaped as ``z_l``, read exactly; ``None`` for a
            layer without ReLU.
    """
    return backward(
        case.network,
        [rationals(weight) for weight in case.weights],
        case.biases,
        trace,
        rationals(case.y),
        [None if gate is None else rationals(gate) for gate in gates],
    )
