"""The reference: backpropagation through dense ReLU layers, written by hand.

Shapes. A batch has B rows. Layer l = 1 … L has a weight matrix W_l of shape (n_l, n_{l-1})
and a bias b_l of shape (n_l,); x has shape (B, n_0) and y has shape (B, n_L). Everything may
carry one more leading axis, over independent cases; the formulas do not change.

Forward, with a_0 = x:

    z_l = a_{l-1} W_lᵀ + b_l          (B, n_l)     pre-activations
    a_l = ReLU(z_l) = max(z_l, 0)     (B, n_l)     a_L = z_L for an identity output
    d   = a_L - y                     (B, n_L)     residual
    J   = ½ Σ d²                                   over rows and outputs; J / B for a mean

Backward. Write g_l = ∂J/∂a_l and δ_l = ∂J/∂z_l, both of shape (B, n_l). The chain rule, one
factor at a time from the loss down:

    J = ½ Σ d², d = a_L - y           ⟹   g_L = d          (d / B for a mean)
    a_l[r,i] = ReLU(z_l[r,i])         ⟹   δ_l = s_l ∘ g_l,  s_l = ReLU'(z_l)
    z_l[r,i] = Σ_j W_l[i,j] a_{l-1}[r,j] + b_l[i]:
        ∂z_l[r,i] / ∂W_l[i,j] = a_{l-1}[r,j]      ⟹   ∂J/∂W_l = δ_lᵀ a_{l-1}   (n_l, n_{l-1})
        ∂z_l[r,i] / ∂b_l[i]   = 1                 ⟹   ∂J/∂b_l = Σ_r δ_l[r]     (n_l,)
        ∂z_l[r,i] / ∂a_{l-1}[r,j] = W_l[i,j]      ⟹   g_{l-1} = δ_l W_l        (B, n_{l-1})

and ∂J/∂x = g_0. The gate s = ReLU'(z) is 1 for z > 0 and 0 for z < 0. At z = 0 there is no
derivative and any number in [0, 1] is a convention, so the gates are an argument here.

Forward mode: `crosscheck.network.forward_mode`.

All passes use array operators only (`@`, `*`, `+`, `-`, `/` by a whole number, `swapaxes`,
`sum`, indexing), and the caller says what ReLU is. So the same lines run on NumPy floats, on
enclosures, on exact rationals and on symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from crosscheck.network.dense import Case, Gradients, Network
from crosscheck.numbers.arrays import Array

__all__ = [
    "LossAndCotangent",
    "Trace",
    "backward",
    "backward_layer",
    "float_forward",
    "forward",
    "gradients",
    "loss_and_cotangent",
    "parameter_gradients",
    "pre_activation",
]


@dataclass(frozen=True, eq=False)
class Trace:
    """What the forward pass leaves for the backward pass.

    Attributes:
        pre_activations: ``z_1 … z_L``, each ``([C,] B, n_l)``.
        activations: ``a_0 … a_L``; ``a_0`` is the input.
    """

    pre_activations: tuple[Any, ...]
    activations: tuple[Any, ...]


def forward(
    network: Network,
    weights: Sequence[Any],
    biases: Sequence[Any],
    x: Any,
    relu: Callable[[Any], Any],
) -> Trace:
    """The forward pass, on any number type.

    Args:
        network: The shape.
        weights: ``W_1 … W_L``.
        biases: ``b_1 … b_L``, ``None`` for a layer without one.
        x: Inputs.
        relu: max(z, 0) for this number type.
    """
    pre_activations, activations = [], [x]
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        z = pre_activation(weight, bias, activations[-1])
        pre_activations.append(z)
        activations.append(relu(z) if network.has_relu(layer) else z)
    return Trace(tuple(pre_activations), tuple(activations))


def pre_activation(weight: Any, bias: Any, below: Any) -> Any:
    """``z_l``, on any number type.

    Args:
        weight: ``W_l``.
        bias: ``b_l``, or ``None``.
        below: ``a_{l-1}``.
    """
    z = below @ weight.swapaxes(-1, -2)
    return z if bias is None else z + bias[..., None, :]


def float_forward(
    network: Network, weights: Sequence[Array], biases: Sequence[Array | None], x: Array
) -> Trace:
    """The forward pass in NumPy float64; arguments as of `forward`."""
    return forward(network, weights, biases, x, lambda z: np.maximum(z, 0.0))


def loss_and_cotangent(network: Network, output: Any, y: Any) -> tuple[Any, Any]:
    """``J`` and ``g_L = ∂J/∂a_L``, on any number type.

    Args:
        network: Its reduction decides whether to divide by the number of rows.
        output: ``a_L``.
        y: Targets.
    """
    rows = y.shape[-2]
    residual = output - y
    loss = (residual * residual).sum(axis=(-2, -1)) / 2
    if network.reduction == "mean":
        return loss / rows, residual / rows
    return loss, residual


LossAndCotangent: TypeAlias = Callable[[Network, Any, Any], tuple[Any, Any]]
"""Of the shape, ``a_L`` and the targets: ``J`` and ``g_L``."""


def backward_layer(
    weight: Any, bias: Any, activation: Any, cotangent: Any, gate: Any
) -> tuple[Any, Any, Any]:
    """One layer of the backward pass, on any number type.

    Args:
        weight: ``W_l``.
        bias: ``b_l``; only whether it is ``None`` matters.
        activation: ``a_{l-1}``.
        cotangent: ``g_l``.
        gate: ``s_l``, or ``None`` for a layer without ReLU.

    Returns:
        ``∂J/∂W_l``, ``∂J/∂b_l`` (``None`` without bias) and ``g_{l-1}``.
    """
    delta = cotangent if gate is None else gate * cotangent
    return *parameter_gradients(bias, activation, delta), delta @ weight


def parameter_gradients(bias: Any, activation: Any, delta: Any) -> tuple[Any, Any]:
    """``∂J/∂W_l`` and ``∂J/∂b_l`` (``None`` without bias), on any number type.

    Args:
        bias: ``b_l``; only whether it is ``None`` matters.
        activation: ``a_{l-1}``.
        delta: ``δ_l``, of all units or of some.
    """
    bias_gradient = None if bias is None else delta.sum(axis=-2)
    return delta.swapaxes(-1, -2) @ activation, bias_gradient


def backward(
    network: Network,
    weights: Sequence[Any],
    biases: Sequence[Any],
    trace: Trace,
    y: Any,
    gates: Sequence[Any],
    loss_and_cotangent: LossAndCotangent = loss_and_cotangent,
) -> Gradients:
    """The backward pass, on any number type.

    Args:
        network: The shape and the loss.
        weights: ``W_1 … W_L``.
        biases: ``b_1 … b_L``; only whether they are ``None`` matters.
        trace: What `forward` returned.
        y: Targets.
        gates: ``s_1 … s_L``, each shaped as ``z_l``; ``None`` for a layer without ReLU.
        loss_and_cotangent: ``J`` and ``g_L``, if not by `loss_and_cotangent`.
    """
    loss, cotangent = loss_and_cotangent(network, trace.activations[-1], y)
    weight_gradients: list[Any] = []
    bias_gradients: list[Any] = []
    for weight, bias, activation, gate in reversed(
        list(zip(weights, biases, trace.activations[:-1], gates, strict=True))
    ):
        for_weight, for_bias, cotangent = backward_layer(weight, bias, activation, cotangent, gate)
        weight_gradients.insert(0, for_weight)
        bias_gradients.insert(0, for_bias)
    return Gradients(loss, tuple(weight_gradients), tuple(bias_gradients), cotangent)


def gradients(
    case: Case,
    *,
    kink_slope: float = 0.0,
    slopes: Mapping[tuple[int, int, int], float] = MappingProxyType({}),
) -> Gradients:
    """Loss and gradient of ``case`` in NumPy float64.

    Args:
        case: A single case or a stack. NaN and infinities are not meaningful here: a gate is
            a factor, and 0 · ∞ is NaN.
        kink_slope: λ, the derivative of ReLU used where a pre-activation is zero.
        slopes: The derivative used at (layer, row, unit) of a single case, layers from 1, whatever
            the pre-activation is.
    """
    network, weights, biases = case.network, case.weights, case.biases
    with np.errstate(over="ignore", invalid="ignore"):  # overflow shows in the result
        trace = float_forward(network, weights, biases, case.x)
        gates: list[Array | None] = [
            np.heaviside(z, kink_slope) if network.has_relu(layer) else None
            for layer, z in enumerate(trace.pre_activations, start=1)
        ]
        for (layer, row, unit), slope in slopes.items():
            gate = gates[layer - 1]
            assert gate is not None  # there is no decision without a ReLU
            gate[row, unit] = slope
        return backward(network, weights, biases, trace, case.y, gates)
