"""Exact rationals: what every float is, and what the gradient of a ReLU network at floats is.

Each float is a dyadic rational, and dense layers, ReLU and a squared loss stay within the
rationals, so forward and backward pass can be computed without any error. python-flint's
`fmpq` is used where it is installed, `fractions.Fraction` otherwise; the results are equal.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.network.dense import Case, Gradients, Network
from crosscheck.network.reference import Trace, backward, forward
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.dyadic import Dyadics

_rational: Callable[[int, int], Any] = Fraction
with contextlib.suppress(ImportError):
    from flint import fmpq

    _rational = fmpq

__all__ = [
    "exact_at",
    "exact_first_layer",
    "exact_forward",
    "exact_gradients",
    "exact_where_open",
    "nearest_float",
    "nearest_floats",
    "rational_of",
    "rationals",
]

Rationals = NDArray[np.object_]


def rationals(values: Array) -> Rationals:
    """The exact values of finite float64 ``values``, as an object array of the same shape."""
    exact = np.empty(values.size, dtype=object)
    exact[:] = [_rational(*value.as_integer_ratio()) for value in values.ravel().tolist()]
    return exact.reshape(values.shape)


def rational_of(value: Fraction) -> Any:
    """A fraction as a rational of the kind that is used here."""
    return _rational(value.numerator, value.denominator)


def nearest_float(value: Any) -> float:
    """A rational rounded to float64, ties to even; ±inf beyond its range."""
    fraction = Fraction(int(value.numerator), int(value.denominator))
    try:
        return fraction.numerator / fraction.denominator
    except OverflowError:
        return float("inf") if fraction > 0 else float("-inf")


def nearest_floats(gradients: Gradients) -> Gradients:
    """Gradients in rationals of any kind, each entry rounded to float64."""

    def convert(values: Any) -> Array:
        exact = np.asarray(values, dtype=object)
        floats = [nearest_float(value) for value in exact.ravel()]
        return np.array(floats, dtype=np.float64).reshape(exact.shape)

    return gradients.map(convert)


def _relu(values: Rationals) -> Rationals:
    return np.where(values > 0, values, values * 0)


def exact_forward(case: Case) -> Trace:
    """The forward pass of a finite single ``case`` on rationals."""
    exact = case.each(rationals)
    return forward(case.network, exact.weights, exact.biases, exact.x, _relu)


def exact_where_open(
    network: Network,
    weights: Sequence[Array],
    biases: Sequence[Array | None],
    x: Array,
    signs: Sequence[Any],
) -> Mapping[tuple[int, int, int], Any]:
    """The exact pre-activations whose signs are open, and no others if it can be helped.

    Of the layers below the last such one, units that are certainly inactive in all rows that
    matter are left out: what they pass on is exactly zero.

    Args:
        network: The shape.
        weights: ``W_1 … W_L`` of a finite single case.
        biases: ``b_1 … b_L``.
        x: Its inputs.
        signs: Of each layer 1, -1 or, at an open gate, 0, shaped as ``z_l``; ``None`` for a layer
            without ReLU.

    Returns:
        (layer, row, unit) of each open gate to z, in this order.
    """
    opened = [np.empty((0, 2), int) if sign is None else np.argwhere(sign == 0) for sign in signs]
    last = max((layer for layer, found in enumerate(opened, start=1) if len(found)), default=0)
    rows = np.unique(np.concatenate(opened)[:, 0])
    units = []
    for layer in range(1, last + 1):
        sign = signs[layer - 1][rows]
        matters = sign == 0 if layer == last else sign >= 0
        units.append(np.flatnonzero(matters.any(axis=0)))
    found = _pre_activations(network, weights, biases, x[rows], units)
    values = {}
    for layer, places in enumerate(opened, start=1):
        for row, unit in places.tolist():
            at = np.searchsorted(rows, row), np.searchsorted(units[layer - 1], unit)
            values[layer, row, unit] = _one_rational(found[layer - 1][at])
    return values


def exact_at(
    network: Network,
    weights: Sequence[Array],
    biases: Sequence[Array | None],
    x: Array,
    active: Sequence[Any],
    unit: int,
) -> Any:
    """The exact pre-activation of one unit in one row, above layers without open gates.

    Args:
        network: The shape.
        weights: ``W_1 … W_l`` of a finite single case, up to the unit's layer.
        biases: ``b_1 … b_l``.
        x: The inputs of the row, (n_0,).
        active: Which units of the layers 1 … l - 1 are active, each (n,).
        unit: Index within layer l.
    """
    units = [*map(np.flatnonzero, active), np.array([unit])]
    found = _pre_activations(network, weights, biases, x[None], units)
    return _one_rational(found[-1][0, 0])


def _pre_activations(
    network: Network,
    weights: Sequence[Array],
    biases: Sequence[Array | None],
    x: Array,
    units: Sequence[Any],
) -> tuple[Dyadics, ...]:
    """The exact pre-activations of some units of each layer, up to some layer.

    Args:
        network: The shape.
        weights: ``W_1 …`` of a finite single case.
        biases: ``b_1 …``
        x: Its inputs, or some rows of them.
        units: The units; those left out pass on exactly zero.
    """
    last = len(units)
    floats = [weights[0][units[0]]]
    floats += [weights[at][units[at]][:, units[at - 1]] for at in range(1, last)]
    floats += [b[here] for b, here in zip(biases, units, strict=False) if b is not None]
    numbers = iter(Dyadics.of(*floats, x))
    trace = forward(
        network,
        [next(numbers) for _ in range(last)],
        [None if bias is None else next(numbers) for bias in biases[:last]],
        next(numbers),
        Dyadics.relu,
    )
    return trace.pre_activations


def _one_rational(value: Dyadics) -> Any:
    number, exponent = value.numbers, value.exponent
    return _rational(number << max(exponent, 0), 1 << max(-exponent, 0))


def exact_first_layer(weights: Array, biases: Array | None, x: Array) -> list[Any]:
    """The exact pre-activations of units of first layers, each of a finite case of its own.

    Args:
        weights: Of each unit its row of ``W_1``, (C, n_0).
        biases: Of each unit its entry of ``b_1``, (C,), or ``None``.
        x: Of each unit the row of its inputs, (C, n_0).
    """
    shape = len(x), 1, x.shape[1]
    floats = [weights.reshape(shape), x.reshape(shape)]
    weight, row, *bias = Dyadics.of(*floats, *([] if biases is None else [biases[:, None]]))
    network = Network((x.shape[1], 1), output="identity")
    trace = forward(network, [weight], bias or [None], row, Dyadics.relu)
    return [_one_rational(trace.pre_activations[0][at, 0, 0]) for at in range(len(x))]


def exact_gradients(
    case: Case, trace: Trace, gates: Sequence[Any], weights: Sequence[Rationals] | None = None
) -> Gradients:
    """The backward pass on rationals.

    Args:
        case: A finite single case.
        trace: What `exact_forward` returned for it.
        gates: ``s_1 … s_L``: float64 arrays shaped as ``z_l``, read exactly; ``None`` for a
            layer without ReLU.
        weights: `rationals` of ``W_1 … W_L``, if they are there already.
    """
    return backward(
        case.network,
        [rationals(weight) for weight in case.weights] if weights is None else weights,
        case.biases,
        trace,
        rationals(case.y),
        [None if gate is None else rationals(gate) for gate in gates],
    )
