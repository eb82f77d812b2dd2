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

Forward mode. The same derivatives, carried upwards: for one parameter θ write v̇ = ∂v/∂θ, the
tangent of v. With a one-hot tangent of the parameter (Ẇ_l, ḃ_l or ẋ = ȧ_0) and all others zero,

    ż_l = a_{l-1} Ẇ_lᵀ + ȧ_{l-1} W_lᵀ + ḃ_l       (product rule)
    ȧ_l = s_l ∘ ż_l                                ȧ_L = ż_L for an identity output
    ∂J/∂θ = J̇ = Σ g_L ∘ ȧ_L                        g_L = d, or d / B for a mean

one pass for each parameter (Griewank and Walther, *Evaluating Derivatives*, 2nd ed., 3.1). Where a
one-hot tangent enters, the sum for ż_l has one term:

    θ = W_l[i,j]:   ż_l[r,i] = a_{l-1}[r,j],  0 at the other units
    θ = b_l[i]:     ż_l[r,i] = 1,             0 at the other units
    θ = x[r,j]:     ȧ_0[r,j] = 1,             0 elsewhere

All passes use array operators only (`@`, `*`, `+`, `-`, `/` by a whole number, `swapaxes`,
`sum`, indexing), and the caller says what ReLU is. So the same lines run on NumPy floats, on
enclosures, on exact rationals and on symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.network import Array, Case, Gradients, Network

__all__ = [
    "Trace",
    "backward",
    "backward_layer",
    "forward",
    "forward_mode",
    "gradients",
    "loss_and_cotangent",
    "loss_tangent",
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
        z = activations[-1] @ weight.swapaxes(-1, -2)
        if bias is not None:
            z = z + bias[..., None, :]
        pre_activations.append(z)
        activations.append(relu(z) if network.has_relu(layer) else z)
    return Trace(tuple(pre_activations), tuple(activations))


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
    bias_gradient = None if bias is None else delta.sum(axis=-2)
    return delta.swapaxes(-1, -2) @ activation, bias_gradient, delta @ weight


def backward(
    network: Network,
    weights: Sequence[Any],
    biases: Sequence[Any],
    trace: Trace,
    y: Any,
    gates: Sequence[Any],
) -> Gradients:
    """The backward pass, on any number type.

    Args:
        network: The shape and the loss.
        weights: ``W_1 … W_L``.
        biases: ``b_1 … b_L``; only whether they are ``None`` matters.
        trace: What `forward` returned.
        y: Targets.
        gates: ``s_1 … s_L``, each shaped as ``z_l``; ``None`` for a layer without ReLU.
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


def loss_tangent(cotangent: Any, tangent: Any) -> Any:
    """``J̇ = Σ g_L ∘ ȧ_L``, over the last two axes.

    Args:
        cotangent: ``g_L``.
        tangent: ``ȧ_L``, with any axes in front.
    """
    return (cotangent * tangent).sum(axis=(-2, -1))


def forward_mode(
    network: Network,
    weights: Sequence[Any],
    biases: Sequence[Any],
    trace: Trace,
    y: Any,
    gates: Sequence[Any],
    number: Callable[[Array], Any],
    loss_tangent: Callable[[Any, Any], Any] = loss_tangent,
) -> Gradients:
    """The gradient in forward mode, on any number type.

    Each array of parameters has its tangents computed together. Two more axes in front number
    the parameters: row and column of an entry of ``W_l``, row and column of an entry of ``x``;
    an entry of ``b_l`` has one. With ``[k = i]`` for 1 where k = i and 0 elsewhere,

        θ = W_l[i,j]:   ż_l[i,j,r,k] = [k = i] a_{l-1}[r,j]
        θ = b_l[i]:     ż_l[i,r,k]   = [k = i]
        θ = x[i,j]:     ȧ_0[i,j,r,k] = [r = i] [k = j]

    which holds the whole of ż_l, exactly, wherever adding zero and multiplying by zero and by
    one are exact.

    Args:
        network: The shape and the loss.
        weights: ``W_1 … W_L``.
        biases: ``b_1 … b_L``; only whether they are ``None`` matters.
        trace: What `forward` returned.
        y: Targets.
        gates: ``s_1 … s_L``, each shaped as ``z_l``; ``None`` for a layer without ReLU.
        number: Float64 arrays of zeros and ones as numbers of this type.
        loss_tangent: ``J̇`` from ``g_L`` and ``ȧ_L``, if not by `loss_tangent`.
    """
    loss, cotangent = loss_and_cotangent(network, trace.activations[-1], y)
    cases = (1,) * (len(y.shape) - 2)  # the axis over independent cases, if there is one

    def gated(z: Any, layer: int) -> Any:
        gate = gates[layer - 1]
        return z if gate is None else gate * z

    def derivative(tangent: Any, layer: int) -> Any:
        """``J̇`` from ``ȧ_layer``, with the axis over cases in front of the parameters'."""
        for above in range(layer + 1, network.depth + 1):
            tangent = gated(tangent @ weights[above - 1].swapaxes(-1, -2), above)
        result = loss_tangent(cotangent, tangent)
        if cases:
            for axis in range(len(result.shape) - 1, 0, -1):
                result = result.swapaxes(axis, axis - 1)
        return result

    rows, inputs = trace.activations[0].shape[-2:]
    weight_gradients: list[Any] = []
    bias_gradients: list[Any] = []
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
        width = weight.shape[-2]
        unit = np.eye(width, dtype=int).reshape(width, *cases, 1, width)  # i, [C,] r, k
        column = trace.activations[layer - 1][None].swapaxes(0, -1)  # j, [C,] r, k
        weight_gradients.append(derivative(gated(unit[:, None] * column[None], layer), layer))
        if bias is None:
            bias_gradients.append(None)
            continue
        every_row = number(unit * np.ones((rows, 1), dtype=int))
        bias_gradients.append(derivative(gated(every_row, layer), layer))
    row = np.eye(rows, dtype=int).reshape(rows, 1, *cases, rows, 1)
    entry = np.eye(inputs, dtype=int).reshape(inputs, *cases, 1, inputs)
    x_gradient = derivative(number(row * entry), 0)
    return Gradients(loss, tuple(weight_gradients), tuple(bias_gradients), x_gradient)


def gradients(case: Case, *, kink_slope: float = 0.0) -> Gradients:
    """Loss and gradient of ``case`` in NumPy float64.

    Args:
        case: A single case or a stack. NaN and infinities are not meaningful here: a gate is
            a factor, and 0 · ∞ is NaN.
        kink_slope: λ, the derivative of ReLU used where a pre-activation is zero.
    """
    network, weights, biases = case.network, case.weights, case.biases
    with np.errstate(over="ignore", invalid="ignore"):  # overflow shows in the result
        trace = forward(network, weights, biases, case.x, lambda z: np.maximum(z, 0.0))
        gates: list[Array | None] = [
            np.heaviside(z, kink_slope) if network.has_relu(layer) else None
            for layer, z in enumerate(trace.pre_activations, start=1)
        ]
        return backward(network, weights, biases, trace, case.y, gates)
