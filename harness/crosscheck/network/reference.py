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

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from crosscheck.network.dense import Case, Gradients, Network
from crosscheck.numbers.arrays import Array

__all__ = [
    "Trace",
    "backward",
    "backward_layer",
    "float_forward",
    "forward",
    "forward_mode",
    "gradients",
    "loss_and_cotangent",
    "loss_tangent",
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
    join: Callable[[Sequence[Any]], Any] = np.concatenate,
    at_once: int = 2**16,
    loss_and_cotangent: LossAndCotangent = loss_and_cotangent,
) -> Gradients:
    """The gradient in forward mode, on any number type.

    The tangents of many parameters are computed together, on more axes in front. What is zero
    because a tangent is one-hot is left out, for adding zero and multiplying by zero and by one
    are exact. A parameter of unit i reaches the layers above through that unit alone,

        θ = W_l[i,j]:   ȧ_l[r,i] = s_l[r,i] a_{l-1}[r,j]
        θ = b_l[i]:     ȧ_l[r,i] = s_l[r,i]                 ż_{l+1}[r,k] = ȧ_l[r,i] W_{l+1}[k,i]

    and an input reaches its own row alone, so that x[r,j] of all rows r go in one pass:

        θ = x[r,j]:     ż_1[r,k] = W_1[k,j]

    Args:
        network: The shape and the loss.
        weights: ``W_1 … W_L``.
        biases: ``b_1 … b_L``; only whether they are ``None`` matters.
        trace: What `forward` returned.
        y: Targets.
        gates: ``s_1 … s_L``, each shaped as ``z_l``; ``None`` for a layer without ReLU.
        number: Float64 arrays of zeros and ones as numbers of this type.
        loss_tangent: ``J̇`` from ``g_L`` and ``ȧ_L``, if not by `loss_tangent`.
        join: Puts arrays of numbers one after the other along the first axis.
        at_once: About how many tangents of one layer to hold at once; at least those that the
            parameters of one unit have.
        loss_and_cotangent: ``J`` and ``g_L``, if not by `loss_and_cotangent`.
    """
    loss, cotangent = loss_and_cotangent(network, trace.activations[-1], y)
    cases = y.shape[:-2]  # the axis over independent cases, if there is one
    rows, inputs = trace.activations[0].shape[-2:]

    def pushed(tangent: Any, layer: int) -> Any:
        """``ȧ_L`` from ``ż_layer``."""
        for at in range(layer, network.depth + 1):
            gate = gates[at - 1]
            tangent = tangent if gate is None else gate * tangent
            if at < network.depth:
                tangent = tangent @ weights[at].swapaxes(-1, -2)
        return tangent

    def by_unit(array: Any, units: slice, new_axes: int) -> Any:
        """Axes i, new ones, then the array's own but 1 for its last, which becomes i."""
        moved = array[..., units][None].swapaxes(0, -1)
        return moved[(slice(None), *(None,) * new_axes)]

    def derivative(tangent: Any, layer: int) -> Any:
        """``J̇`` from ``ż_layer`` of each unit's own parameters: axes ([j,] [C,] r, i or 1)."""
        gate, width = gates[layer - 1], network.widths[layer]
        tangent = (np.ones(width, dtype=int) if gate is None else gate) * tangent
        new_axes = len(tangent.shape) - len(cases) - 2  # 1 for the axis j
        of_a_unit = math.prod(tangent.shape[:-1]) * max((1, *network.widths[layer + 1 :]))
        block = max(1, at_once // of_a_unit)
        found = []
        for start in range(0, width, block):
            units = slice(start, start + block)
            own = by_unit(tangent, units, 0)
            if layer == network.depth:
                found.append(loss_tangent(by_unit(cotangent, units, new_axes), own))
                continue
            row = by_unit(weights[layer], units, new_axes).swapaxes(-1, -2)
            found.append(loss_tangent(cotangent, pushed(own @ row, layer + 1)))
        result = found[0] if len(found) == 1 else join(found)  # i, [j,] [C]
        for axis in range(len(result.shape) - 1, 0, -1) if cases else ():
            result = result.swapaxes(axis, axis - 1)
        return result

    weight_gradients: list[Any] = []
    bias_gradients: list[Any] = []
    for layer, bias in enumerate(biases, start=1):
        column = trace.activations[layer - 1][None].swapaxes(0, -1)  # j, [C,] r, 1
        weight_gradients.append(derivative(column, layer))
        ones = None if bias is None else number(np.ones((*cases, rows, network.widths[layer])))
        bias_gradients.append(None if ones is None else derivative(ones, layer))
    entry = number(np.eye(inputs).reshape(inputs, *(1 for _ in cases), 1, inputs))
    tangent = pushed(entry @ weights[0].swapaxes(-1, -2), 1)[..., None, :]  # j, [C,] r, 1, k
    x_gradient = loss_tangent(cotangent[..., None, :], tangent)  # j, [C,] r
    for axis in range(len(cases) + 1):
        x_gradient = x_gradient.swapaxes(axis, axis + 1)
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
        trace = float_forward(network, weights, biases, case.x)
        gates: list[Array | None] = [
            np.heaviside(z, kink_slope) if network.has_relu(layer) else None
            for layer, z in enumerate(trace.pre_activations, start=1)
        ]
        return backward(network, weights, biases, trace, case.y, gates)
