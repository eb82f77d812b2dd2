"""A case on enclosures: its forward pass, its gates, and its gradient for chosen gates."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from harness.arithmetic.enclosure import Enclosure, Model
from harness.arithmetic.exact import exact_forward
from harness.gates import Gate, OpenGate, Signs, all_gates, certain_signs, open_gates
from harness.network import Array, Case, Gradients
from harness.reference import Trace, backward, forward, loss_and_cotangent

__all__ = ["Enclosed", "leaves_bound"]


class Enclosed:
    """A finite case, single or a stack, evaluated on enclosures of one arithmetic.

    Attributes:
        case: The case.
        model: The arithmetic that frameworks are held to.
        weights: Enclosures of ``W_1 … W_L``.
        biases: Enclosures of ``b_1 … b_L``, ``None`` for a layer without one.
        trace: The forward pass.
        signs: `certain_signs` of each layer; ``None`` for a layer without ReLU.
        loss: Enclosure of ``J``.
        cotangent: Enclosure of ``g_L``.
    """

    def __init__(self, case: Case, model: Model) -> None:
        self.case = case
        self.model = model
        self.weights = [model.enclose(weight) for weight in case.weights]
        self.biases = [None if bias is None else model.enclose(bias) for bias in case.biases]
        self.y = model.enclose(case.y)
        with np.errstate(all="ignore"):
            self.trace: Trace = forward(
                case.network, self.weights, self.biases, model.enclose(case.x), Enclosure.relu
            )
            self.signs: tuple[Signs | None, ...] = tuple(
                certain_signs(z) if case.network.has_relu(layer) else None
                for layer, z in enumerate(self.trace.pre_activations, start=1)
            )
            self.loss, self.cotangent = loss_and_cotangent(
                case.network, self.trace.activations[-1], self.y
            )

    @cached_property
    def has_open_gates(self) -> Any:
        """Whether any gate is open; one answer per case of a stack."""
        result: Any = np.zeros(self.case.x.shape[:-2], dtype=bool)
        for sign in self.signs:
            if sign is not None:
                result = result | (sign == 0).any(axis=(-2, -1))
        return result

    @cached_property
    def exact(self) -> Trace:
        """The forward pass of a single case on rationals."""
        return exact_forward(self.case)

    @cached_property
    def open_gates(self) -> tuple[OpenGate, ...]:
        """The open gates of a single case."""
        if not self.has_open_gates:
            return ()
        return open_gates(self.case.network, self.trace, self.signs, self.exact)

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Every gate of a single case, certain or not."""
        return all_gates(self.trace, self.signs, self.open_gates)

    @cached_property
    def certain_gates(self) -> tuple[Array | None, ...]:
        """s_1 … s_L with 0 at every gate that is not certainly active."""
        return tuple(None if sign is None else (sign > 0).astype(np.float64) for sign in self.signs)

    def gradients(self, gates: Sequence[Any]) -> Gradients:
        """The gradient on enclosures, for any framework that uses the slopes ``gates``."""
        with np.errstate(all="ignore"):
            return backward(self.case.network, self.weights, self.biases, self.trace, self.y, gates)

    @cached_property
    def certain_gradients(self) -> Gradients:
        """`gradients` with `certain_gates`."""
        return self.gradients(self.certain_gates)


def leaves_bound(enclosure: Enclosure, values: Any) -> Any:
    """Which of ``values`` no correct framework can have returned, entry by entry.

    A NaN leaves every finite bound; an infinite bound holds everything.
    """
    with np.errstate(all="ignore"):
        distance = enclosure.distance(np.asarray(values, dtype=np.float64))
        return ~(distance <= enclosure.bound) & np.isfinite(enclosure.bound)
