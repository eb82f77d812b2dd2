"""The numbers of one derivation, from the lines of `crosscheck.network.reference`.

They are run on exact rationals, with a symbol λ in place of each gate that is not certain.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from crosscheck.explain.names import Names
from crosscheck.explain.values import Value, plain
from crosscheck.judge.compare import Judge
from crosscheck.judge.decisions import Decision, GateClass, Place
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.exact import exact_forward, nearest_float, rationals
from crosscheck.network.names import EntryName
from crosscheck.network.reference import (
    Trace,
    backward_layer,
    float_forward,
    loss_and_cotangent,
)
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.model import Model
from crosscheck.numbers.multilinear import slope_symbol
from crosscheck.tools.errors import UsageError

__all__ = ["Numbers"]

_MOST_EXACT = 100_000
"""Products in a forward pass that is still done on rationals: about a second."""
_MOST_SYMBOLS = 64
"""Gates that are still kept as symbols: what they lead to is read by people."""


class Numbers:
    """Forward and backward pass of one case, in numbers that can be shown.

    Args:
        case: A single finite case.
        judge: The judge of the same case, if there is one already.

    Raises:
        UsageError: The case is too large for rationals, and its float64 numbers overflow.

    Attributes:
        case: The case.
        names: What its numbers are called.
        is_exact: Whether the numbers are rationals; for large cases they are float64.
        open_gates: The gates that are not certain.
        symbols: Those among them that are kept as symbols: all of them, or none if they are
            many. Without a symbol, a kink has λ = 0 and any other gate its exact side.
        trace: The forward pass.
        loss: ``J``.
        cotangents: ``g_0 … g_L``.
        gates: ``s_1 … s_L``; ``None`` for a layer without ReLU.
        gradients: The gradient.
    """

    @in_ieee_arithmetic
    @np.errstate(over="ignore", invalid="ignore")
    def __init__(self, case: Case, judge: Judge | None = None) -> None:
        judge = judge or Judge(case)
        self.case = case
        self.names = Names.of(case)
        self.open_gates: tuple[Decision, ...] = judge.enclosed(Model(judge.format)).open_gates
        products = case.rows * sum(weight.size for weight in case.weights)
        self.is_exact = products <= _MOST_EXACT
        many = len(self.open_gates) > _MOST_SYMBOLS or not self.is_exact
        self.symbols: dict[Place, Decision] = (
            {} if many else {gate.place: gate for gate in self.open_gates}
        )
        network = case.network
        if self.is_exact:
            self.trace: Trace = exact_forward(case)
            weights: list[Any] = [rationals(weight) for weight in case.weights]
            y: Any = rationals(case.y)
        else:
            self.trace = float_forward(network, case.weights, case.biases, case.x)
            weights, y = list(case.weights), case.y
        self.weights = weights
        self.gates = [
            self._gates(layer) if network.has_relu(layer) else None
            for layer in range(1, network.depth + 1)
        ]
        self.loss, cotangent = loss_and_cotangent(network, self.trace.activations[-1], y)
        self.cotangents: list[Any] = [cotangent]
        for_weights: list[Any] = []
        for_biases: list[Any] = []
        for at in reversed(range(network.depth)):
            for_weight, for_bias, cotangent = backward_layer(
                weights[at],
                case.biases[at],
                self.trace.activations[at],
                cotangent,
                self.gates[at],
            )
            for_weights.insert(0, for_weight)
            for_biases.insert(0, for_bias)
            self.cotangents.insert(0, cotangent)
        self.gradients = Gradients(self.loss, tuple(for_weights), tuple(for_biases), cotangent)
        if not self.is_exact:
            self._refuse_overflow()

    def _gates(self, layer: int) -> Any:
        z = self.trace.pre_activations[layer - 1]
        gates = np.empty(z.shape, dtype=object if self.is_exact else np.float64)
        for index, value in np.ndenumerate(z):
            place = Place(layer, index)
            side = int(value > 0)
            gates[index] = slope_symbol(place) if place in self.symbols else side
        return gates

    def _refuse_overflow(self) -> None:
        gradients = dict(self.gradients.entries()).values()
        shown = (*self.trace.pre_activations, *self.cotangents, *gradients)
        if not all(np.isfinite(array).all() for array in shown):
            raise UsageError(
                f"case: has more than {_MOST_EXACT} products in its forward pass and is shown in "
                f"float64, where it overflows; wanted fewer rows or units, or smaller numbers"
            )

    @cached_property
    def exact_sides(self) -> dict[Place, Fraction]:
        """The slopes that are known exactly: those of gates that are undecided, but not zero."""
        return {
            place: Fraction(gate.side)
            for place, gate in self.symbols.items()
            if gate.gate is GateClass.UNDECIDED
        }

    def may_overflow(self, layer: int, row: int, unit: int) -> bool:
        """Whether a correct evaluation of a pre-activation may overflow on its way, in some order.

        A sum of terms t_i in some order goes through every partial sum, and none is larger than
        Σ |t_i|; what overflows below is an infinity or NaN in it, whatever its weight.
        """
        largest = format_of(self.case.dtype).largest
        below = any((reach[row] > largest).any() for reach in self._reaches[: layer - 1])
        return below or bool(self._reaches[layer - 1][row, unit] > largest)

    @cached_property
    def _reaches(self) -> list[Array]:
        """Σ |w a| + |b| of every unit in every row, layer by layer, in float64."""
        found = []
        with np.errstate(over="ignore", invalid="ignore"):
            for weight, bias, activation in zip(
                self.case.weights, self.case.biases, self.trace.activations, strict=False
            ):
                below = np.abs(np.vectorize(nearest_float, otypes=[float])(activation))
                reach = below @ np.abs(weight).T
                found.append(reach if bias is None else reach + np.abs(bias))
        return found

    # -- single numbers ------------------------------------------------------------------------

    def entry(self, name: EntryName) -> Value:
        """The value of an entry of the gradient."""
        return plain(self.array(name)[name.index])

    def array(self, name: EntryName) -> Any:
        """The gradient with respect to a whole array."""
        if name.letter == "x":
            return self.gradients.x
        assert name.layer is not None
        arrays = self.gradients.weights if name.letter == "W" else self.gradients.biases
        return arrays[name.layer - 1]

    def gate(self, layer: int, row: int, unit: int) -> Value:
        """s of a unit in a row; 1 without ReLU."""
        gates = self.gates[layer - 1]
        return Fraction(1) if gates is None else plain(gates[row, unit])

    def cotangent(self, layer: int, row: int, unit: int) -> Value:
        """∂J/∂a of a unit in a row."""
        return plain(self.cotangents[layer][row, unit])

    def activation(self, layer: int, row: int, unit: int) -> Value:
        """a of a unit in a row."""
        return plain(self.trace.activations[layer][row, unit])

    def pre_activation(self, layer: int, row: int, unit: int) -> Value:
        """z of a unit in a row."""
        return plain(self.trace.pre_activations[layer - 1][row, unit])

    def weight(self, layer: int, unit: int, source: int) -> Value:
        """An entry of W."""
        return plain(self.weights[layer - 1][unit, source])
