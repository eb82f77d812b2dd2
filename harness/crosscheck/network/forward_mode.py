"""Forward mode through dense ReLU layers, written by hand.

The derivatives of `crosscheck.network.reference`, carried upwards: for one parameter θ write
v̇ = ∂v/∂θ, the tangent of v. With a one-hot tangent of the parameter (Ẇ_l, ḃ_l or ẋ = ȧ_0) and all
others zero,

    ż_l = a_{l-1} Ẇ_lᵀ + ȧ_{l-1} W_lᵀ + ḃ_l       (product rule)
    ȧ_l = s_l ∘ ż_l                                ȧ_L = ż_L for an identity output
    ∂J/∂θ = J̇ = Σ g_L ∘ ȧ_L                        g_L = d, or d / B for a mean

one pass for each parameter (Griewank and Walther, *Evaluating Derivatives*, 2nd ed., 3.1). Where a
one-hot tangent enters, the sum for ż_l has one term:

    θ = W_l[i,j]:   ż_l[r,i] = a_{l-1}[r,j],  0 at the other units
    θ = b_l[i]:     ż_l[r,i] = 1,             0 at the other units
    θ = x[r,j]:     ȧ_0[r,j] = 1,             0 elsewhere

As there, array operators alone are used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.network.dense import Gradients, Network
from crosscheck.network.reference import LossAndCotangent, Trace, loss_and_cotangent
from crosscheck.numbers.arrays import Array

__all__ = ["forward_mode", "loss_tangent"]


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
    tangents = _Tangents(network, weights, gates, cotangent, cases, loss_tangent, join, at_once)
    weight_gradients: list[Any] = []
    bias_gradients: list[Any] = []
    for layer, bias in enumerate(biases, start=1):
        column = trace.activations[layer - 1][None].swapaxes(0, -1)  # j, [C,] r, 1
        weight_gradients.append(tangents.derivative(column, layer))
        ones = None if bias is None else number(np.ones((*cases, rows, network.widths[layer])))
        bias_gradients.append(None if ones is None else tangents.derivative(ones, layer))
    entry = number(np.eye(inputs).reshape(inputs, *(1 for _ in cases), 1, inputs))
    tangent = tangents.pushed(entry @ weights[0].swapaxes(-1, -2), 1)  # j, [C,] r, k
    x_gradient = loss_tangent(cotangent[..., None, :], tangent[..., None, :])  # j, [C,] r
    for axis in range(len(cases) + 1):
        x_gradient = x_gradient.swapaxes(axis, axis + 1)
    return Gradients(loss, tuple(weight_gradients), tuple(bias_gradients), x_gradient)


@dataclass(frozen=True, eq=False)
class _Tangents:
    """The way of tangents upwards; attributes as the arguments of `forward_mode`.

    Attributes:
        cotangent: ``g_L``.
        cases: The axis over independent cases, if there is one.
    """

    network: Network
    weights: Sequence[Any]
    gates: Sequence[Any]
    cotangent: Any
    cases: tuple[int, ...]
    loss_tangent: Callable[[Any, Any], Any]
    join: Callable[[Sequence[Any]], Any]
    at_once: int

    def pushed(self, tangent: Any, layer: int) -> Any:
        """``ȧ_L`` from ``ż_layer``."""
        for at in range(layer, self.network.depth + 1):
            gate = self.gates[at - 1]
            tangent = tangent if gate is None else gate * tangent
            if at < self.network.depth:
                tangent = tangent @ self.weights[at].swapaxes(-1, -2)
        return tangent

    def derivative(self, tangent: Any, layer: int) -> Any:
        """``J̇`` from ``ż_layer`` of each unit's own parameters: axes ([j,] [C,] r, i or 1)."""
        gate, width = self.gates[layer - 1], self.network.widths[layer]
        tangent = (np.ones(width, dtype=int) if gate is None else gate) * tangent
        new_axes = len(tangent.shape) - len(self.cases) - 2  # 1 for the axis j
        of_a_unit = math.prod(tangent.shape[:-1]) * max((1, *self.network.widths[layer + 1 :]))
        block = max(1, self.at_once // of_a_unit)
        found = []
        for start in range(0, width, block):
            units = slice(start, start + block)
            own = _by_unit(tangent, units, 0)
            if layer == self.network.depth:
                found.append(self.loss_tangent(_by_unit(self.cotangent, units, new_axes), own))
                continue
            row = _by_unit(self.weights[layer], units, new_axes).swapaxes(-1, -2)
            found.append(self.loss_tangent(self.cotangent, self.pushed(own @ row, layer + 1)))
        result = found[0] if len(found) == 1 else self.join(found)  # i, [j,] [C]
        for axis in range(len(result.shape) - 1, 0, -1) if self.cases else ():
            result = result.swapaxes(axis, axis - 1)
        return result


def _by_unit(array: Any, units: slice, new_axes: int) -> Any:
    """Axes i, new ones, then the array's own but 1 for its last, which becomes i."""
    moved = array[..., units][None].swapaxes(0, -1)
    return moved[(slice(None), *(None,) * new_axes)]
