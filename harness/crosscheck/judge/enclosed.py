"""A case on enclosures: its forward pass, its gates, and its gradient for chosen gates.

The gradient can be enclosed as reverse mode or as forward mode computes it: two formulas for the
same numbers, with rounding errors of their own. Up to ȧ_L forward mode consists of any-order sums
of products and of products with gates, for which the rules of `crosscheck.numbers.enclosure` hold
as they stand. The last step is new: `crosscheck.network.loss_bounds.loss_tangent`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from crosscheck.judge.decisions import Decision
from crosscheck.judge.gates import Signs, all_gates, certain_signs, open_gates
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.exact import exact_forward, exact_where_open
from crosscheck.network.forward_mode import forward_mode
from crosscheck.network.loss_bounds import loss_and_cotangent, loss_tangent
from crosscheck.network.reference import Trace, backward, backward_layer, forward
from crosscheck.network.tree import LeftOut
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.model import Model

__all__ = ["Derivation", "Enclosed", "joined", "leaves_bound"]

ProductName: TypeAlias = Literal["forward", "weight", "input"]

Derivation: TypeAlias = Literal["reverse", "forward"]
"""The mode of differentiation that a framework used."""

T = TypeVar("T")

_MOST_HELD = 2**21
"""How many numbers with their bounds, about 64 bytes each, are kept for another gradient."""


class Enclosed:
    """A finite case, single or a stack, evaluated on enclosures of one arithmetic.

    Attributes:
        case: The case.
        model: The arithmetic that frameworks are held to.
        model: The arithmetic that frameworks are held to.
        derivation: The mode of differentiation that frameworks are held to.
        weights: Enclosures of ``W_1 … W_L``.
        biases: Enclosures of ``b_1 … b_L``, ``None`` for a layer without one.
        trace: The forward pass.
        signs: `certain_signs` of each layer; ``None`` for a layer without ReLU.
        loss: Enclosure of ``J``.
        cotangent: Enclosure of ``g_L``.
    """

    @in_ieee_arithmetic
    def __init__(self, case: Case, model: Model, derivation: Derivation = "reverse") -> None:
        self.case = case
        self.model = model
        self.derivation = derivation
        own = case.each(partial(Enclosure.of, model))
        self.weights, self.biases, self.y = list(own.weights), own.biases, own.y
        self._known: dict[Any, tuple[Enclosure, Any]] = {}
        self._held = 0  # numbers in what is known
        with np.errstate(all="ignore"):
            trace: Trace = forward(
                case.network,
                [self._operand(each, "forward", at) for at, each in enumerate(self.weights, 1)],
                self.biases,
                own.x,
                Enclosure.relu,
            )
            activations = [
                self._operand(each, "weight", at) for at, each in enumerate(trace.activations, 1)
            ]
            self.trace = Trace(trace.pre_activations, tuple(activations))
            self.weights = [
                self._operand(each, "input", at) for at, each in enumerate(self.weights, 1)
            ]
            self.signs: tuple[Signs | None, ...] = tuple(
                certain_signs(z) if case.network.has_relu(layer) else None
                for layer, z in enumerate(self.trace.pre_activations, start=1)
            )
            output = self.trace.activations[-1]
            self.loss, self.cotangent = loss_and_cotangent(case.network, output, self.y)

    def _loss_and_cotangent(self, *_: Any) -> tuple[Enclosure, Enclosure]:
        return self.loss, self.cotangent

    @property
    def _divisor(self) -> int:
        """B for a mean, else 1."""
        return self.case.rows if self.case.network.reduction == "mean" else 1

    def _operand(self, right: Enclosure, product: ProductName, layer: int) -> Enclosure:
        """The right operand of a matrix product, which knows whether the product is spared."""
        return right.spared() if (product, layer) in self.model.spared else right

    @cached_property
    @in_ieee_arithmetic
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
    @in_ieee_arithmetic
    def open_gates(self) -> tuple[Decision, ...]:
        """The open gates of a single case.

        Under a named arithmetic exact arithmetic says nothing about them: there the executed
        pre-activation decides, which is exactly zero for everyone, or not told from zero.
        """
        if not self.has_open_gates:
            return ()
        case = self.case
        if self.model.arithmetic is not None:
            executed = {
                (layer, int(row), int(unit)): Fraction(float(np.nan_to_num(z.high[row, unit])))
                for layer, (z, sign) in enumerate(
                    zip(self.trace.pre_activations, self.signs, strict=True), start=1
                )
                if sign is not None
                for row, unit in np.argwhere(sign == 0)
            }
            return open_gates(self.trace, executed)
        values = exact_where_open(case.network, case.weights, case.biases, case.x, self.signs)
        return open_gates(self.trace, values)

    @property
    def gates(self) -> tuple[Decision, ...]:
        """Every gate of a single case, certain or not."""
        return all_gates(self.trace, self.signs, self.open_gates)

    @cached_property
    def certain_gates(self) -> tuple[Array | None, ...]:
        """s_1 … s_L with 0 at every gate that is not certainly active."""
        return tuple(None if sign is None else (sign > 0).astype(np.float64) for sign in self.signs)

    @in_ieee_arithmetic
    def gradients(self, gates: Sequence[Any]) -> Gradients:
        """The gradient on enclosures, for any framework that uses the slopes ``gates``."""
        network, weights, biases = self.case.network, self.weights, self.biases
        with np.errstate(all="ignore"):
            if self.derivation == "reverse":
                plain = all(gate is None or isinstance(gate, np.ndarray) for gate in gates)
                if plain and self.case.count is None:
                    return self._backward(gates)
                return backward(
                    network, weights, biases, self.trace, self.y, gates, self._loss_and_cotangent
                )
            found = forward_mode(
                network,
                weights,
                biases,
                self._tangent_trace,
                self.y,
                gates,
                partial(Enclosure.of, self.model),
                partial(loss_tangent, divisor=self._divisor),
                joined,
                loss_and_cotangent=self._loss_and_cotangent,
            )
            return replace(found.map_derivatives(self._unless_the_loss_overflows), loss=self.loss)

    def _backward(self, gates: Sequence[Any]) -> Gradients:
        """`backward` of a single case, by layers that may have been computed before."""
        depth, cotangent = self.case.network.depth, self.cotangent
        found: list[tuple[Any, Any]] = []
        for layer in range(depth, 0, -1):
            *own, cotangent = self.backward_layer(layer, cotangent, gates[layer - 1])
            found.insert(0, (own[0], own[1]))
        weights, biases = zip(*found, strict=True)
        return Gradients(self.loss, weights, biases, cotangent)

    def backward_layer(self, layer: int, cotangent: Enclosure, gate: Any) -> tuple[Any, Any, Any]:
        """`crosscheck.network.reference.backward_layer` once for each cotangent and gate.

        Gradients of several frameworks are mostly explained by the same slopes, and those of one
        by slopes that differ in few layers.

        Args:
            layer: 1 … L.
            cotangent: ``g_l``, from here, or `cotangent` for ``g_L``.
            gate: ``s_l``.
        """
        at = layer - 1
        key = (layer, id(cotangent), None if gate is None else gate.tobytes())
        return self.once(
            key,
            cotangent,
            lambda: backward_layer(
                self.weights[at], self.biases[at], self.trace.activations[at], cotangent, gate
            ),
            self.case.weights[at].size,
        )

    def once(self, key: Any, cotangent: Enclosure, compute: Callable[[], T], numbers: int = 0) -> T:
        """What ``compute`` returned when it was first called for this key.

        Args:
            key: Names the result. It has ``id(cotangent)`` in it, which therefore is kept.
            cotangent: What the result was made of.
            compute: Called if the key is new, or was forgotten, as all is where numbers are too
                many.
            numbers: About how many there are in what it returns, if they are many.
        """
        if key not in self._known:
            if self._held + numbers > _MOST_HELD:
                self._known.clear()
                self._held = 0
            self._held += numbers
            self._known[key] = cotangent, compute()
        result: T = self._known[key][1]
        return result

    def _unless_the_loss_overflows(self, derivative: Enclosure) -> Enclosure:
        """A derivative in forward mode, without a bound where Σ d² may overflow; `loss_tangent`."""
        fits = np.isfinite(self.loss.e)
        fits = fits.reshape(fits.shape + (1,) * (derivative.e.ndim - fits.ndim))
        e = np.where(fits, derivative.e, np.inf)
        return Enclosure(derivative.model, derivative.c, derivative.r, e)

    @cached_property
    def _tangent_trace(self) -> Trace:
        """The forward pass, with the activations as they come out of a_{l-1} Ẇ_lᵀ.

        A product with 1 is exact, but a named arithmetic may round the other multiplicand.
        """
        if self.model.arithmetic is None:
            return self.trace
        rounded = [activation.multiplicand for activation in self.trace.activations[:-1]]
        activations = [Enclosure(self.model, each.c, each.r, each.e) for each in rounded]
        return Trace(self.trace.pre_activations, (*activations, self.trace.activations[-1]))

    @cached_property
    def certain_gradients(self) -> Gradients:
        """`gradients` with `certain_gates`."""
        return self.gradients(self.certain_gates)


def joined(parts: Sequence[Enclosure]) -> Enclosure:
    """Enclosures one after the other along the first axis."""
    low = [part.c.low for part in parts if isinstance(part.c, DoubleDouble)]
    high = np.concatenate([part.high for part in parts])
    return Enclosure(
        parts[0].model,
        DoubleDouble(high, np.concatenate(low)) if low else high,
        np.concatenate([part.r for part in parts]),
        np.concatenate([part.e for part in parts]),
    )


def leaves_bound(enclosure: Enclosure, values: Any) -> Any:
    """Which of ``values`` no correct framework can have returned, entry by entry.

    A NaN leaves every finite bound; an infinite bound holds everything. What was left out leaves
    none.
    """
    if isinstance(values, LeftOut):
        return np.zeros(enclosure.shape, dtype=bool)
    with np.errstate(all="ignore"):
        distance = enclosure.distance(np.asarray(values, dtype=np.float64))
        return ~(distance <= enclosure.bound) & np.isfinite(enclosure.bound)
