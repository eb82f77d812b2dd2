"""SymPy's own derivative of the loss: an oracle that shares no line with the reference.

Here the loss is written down as one expression in symbols, with SymPy's `Max` for ReLU, and SymPy
differentiates it. The derivative of Max(z, 0) is Heaviside(z), and SymPy sets Heaviside(0) = ½:
at a kink this oracle stands for the convention λ = ½.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from numpy.typing import NDArray

from crosscheck.network.dense import Case, Gradients, Network

__all__ = ["SymbolicNetwork", "sympy_gradients"]

Symbols = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class SymbolicNetwork:
    """A network whose every number is a symbol, with its loss as one expression.

    Attributes:
        weights: Arrays of symbols ``w{l}_{i}_{j}``.
        biases: Arrays of symbols ``b{l}_{i}``; ``None`` for a layer without bias.
        x: Array of symbols ``x{r}_{j}``.
        y: Array of symbols ``y{r}_{i}``.
        loss: ``J`` as an expression in them.
    """

    weights: tuple[Symbols, ...]
    biases: tuple[Symbols | None, ...]
    x: Symbols
    y: Symbols
    loss: Any

    @classmethod
    def of(cls, network: Network, *, rows: int = 1, bias: tuple[bool, ...] = ()) -> SymbolicNetwork:
        """The symbolic form of ``network``.

        Args:
            network: The shape and the loss.
            rows: Rows of the batch.
            bias: For each layer whether it has a bias; empty for all.
        """
        widths = network.widths
        has_bias = bias or (True,) * network.depth
        weights = tuple(
            _symbols(f"w{layer}", (widths[layer], widths[layer - 1]))
            for layer in range(1, network.depth + 1)
        )
        biases = tuple(
            _symbols(f"b{layer}", (widths[layer],)) if has_bias[layer - 1] else None
            for layer in range(1, network.depth + 1)
        )
        x, y = _symbols("x", (rows, widths[0])), _symbols("y", (rows, widths[-1]))
        loss = sympy.Integer(0)
        for row in range(rows):
            layer_values = list(x[row])
            for layer in range(1, network.depth + 1):
                weight, offset = weights[layer - 1], biases[layer - 1]
                sums = [
                    sum((w * a for w, a in zip(line, layer_values, strict=True)), sympy.Integer(0))
                    for line in weight
                ]
                if offset is not None:
                    sums = [total + b for total, b in zip(sums, offset, strict=True)]
                if network.has_relu(layer):
                    sums = [sympy.Max(total, 0) for total in sums]
                layer_values = sums
            for value, target in zip(layer_values, y[row], strict=True):
                loss += (value - target) ** 2 / 2
        if network.reduction == "mean":
            loss = loss / rows
        return cls(weights, biases, x, y, loss)

    def derivative(self, symbol: Any) -> Any:
        """∂J/∂symbol as an expression, kinks as Heaviside functions."""
        return sympy.diff(self.loss, symbol)


def sympy_gradients(case: Case) -> Gradients:
    """Loss and gradient of a finite single ``case`` by SymPy, as object arrays of rationals.

    Exact, and slow: meant for networks of a few units.
    """
    network = SymbolicNetwork.of(case.network, rows=case.rows, bias=case.has_bias)
    values: dict[Any, Any] = {}
    pairs = [
        (network.x, case.x),
        (network.y, case.y),
        *zip(network.weights, case.weights, strict=True),
        *zip(network.biases, case.biases, strict=True),
    ]
    for symbols, numbers in pairs:
        if symbols is not None and numbers is not None:
            for symbol, number in zip(symbols.flat, numbers.flat, strict=True):
                values[symbol] = sympy.Rational(*float(number).as_integer_ratio())

    def differentiate(symbols: Symbols) -> Symbols:
        result = np.empty(symbols.shape, dtype=object)
        for index, symbol in np.ndenumerate(symbols):
            result[index] = network.derivative(symbol).subs(values)
        return result

    return Gradients(
        np.asarray(network.loss.subs(values), dtype=object),
        tuple(differentiate(weight) for weight in network.weights),
        tuple(None if offset is None else differentiate(offset) for offset in network.biases),
        differentiate(network.x),
    )


def _symbols(prefix: str, shape: tuple[int, ...]) -> Symbols:
    symbols = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        symbols[index] = sympy.Symbol("_".join([prefix, *map(str, index)]), real=True)
    return symbols
