"""A case on enclosures: its forward pass, its gates, and its gradient for chosen gates.

The gradient can be enclosed as reverse mode or as forward mode computes it: two formulas for the
same numbers, with rounding errors of their own. Up to ȧ_L forward mode consists of any-order sums
of products and of products with gates, for which the rules of `harness.arithmetic.enclosure` hold
as they stand. The last step is new: `loss_tangent`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from harness.arithmetic.double_double import DoubleDouble
from harness.arithmetic.enclosure import Enclosure, Model
from harness.arithmetic.exact import exact_forward, exact_where_open
from harness.arithmetic.halved_sum import with_constants_anywhere
from harness.gates import Gate, OpenGate, Signs, all_gates, certain_signs, open_gates
from harness.network import Array, Case, Gradients, LeftOut
from harness.reference import (
    Trace,
    backward,
    backward_layer,
    forward,
    forward_mode,
    loss_and_cotangent,
)

__all__ = ["Derivation", "Enclosed", "leaves_bound", "loss_tangent"]

ProductName: TypeAlias = Literal["forward", "weight", "input"]

Derivation: TypeAlias = Literal["reverse", "forward"]
"""The mode of differentiation that a framework used."""

T = TypeVar("T")

_ROUNDED = 1.0 + 2.0**-48
"""More than what a handful of float64 operations on non-negative numbers can lose."""


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

    def __init__(self, case: Case, model: Model, derivation: Derivation = "reverse") -> None:
        self.case = case
        self.model = model
        self.derivation = derivation
        self.weights = [model.enclose(weight) for weight in case.weights]
        self.biases = [None if bias is None else model.enclose(bias) for bias in case.biases]
        self.y = model.enclose(case.y)
        self._known: dict[Any, tuple[Enclosure, Any]] = {}
        with np.errstate(all="ignore"):
            trace: Trace = forward(
                case.network,
                [self._operand(each, "forward", at) for at, each in enumerate(self.weights, 1)],
                self.biases,
                model.enclose(case.x),
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
            loss, self.cotangent = loss_and_cotangent(case.network, output, self.y)
            self.loss = with_constants_anywhere(loss, output - self.y, self._divisor)

    @property
    def _divisor(self) -> int:
        """B for a mean, else 1."""
        return self.case.rows if self.case.network.reduction == "mean" else 1

    def _operand(self, right: Enclosure, product: ProductName, layer: int) -> Enclosure:
        """The right operand of a matrix product, which knows whether the product is spared."""
        return right.spared() if (product, layer) in self.model.spared else right

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
    def gates(self) -> tuple[Gate, ...]:
        """Every gate of a single case, certain or not."""
        return all_gates(self.trace, self.signs, self.open_gates)

    @cached_property
    def certain_gates(self) -> tuple[Array | None, ...]:
        """s_1 … s_L with 0 at every gate that is not certainly active."""
        return tuple(None if sign is None else (sign > 0).astype(np.float64) for sign in self.signs)

    def gradients(self, gates: Sequence[Any]) -> Gradients:
        """The gradient on enclosures, for any framework that uses the slopes ``gates``."""
        network, weights, biases = self.case.network, self.weights, self.biases
        with np.errstate(all="ignore"):
            if self.derivation == "reverse":
                plain = all(gate is None or isinstance(gate, np.ndarray) for gate in gates)
                if plain and self.case.count is None:
                    return self._backward(gates)
                found = backward(network, weights, biases, self.trace, self.y, gates)
                return replace(found, loss=self.loss)
            found = forward_mode(
                network,
                weights,
                biases,
                self._tangent_trace,
                self.y,
                gates,
                self.model.enclose,
                partial(loss_tangent, divisor=self._divisor),
                _joined,
            )
            return Gradients(
                self.loss,
                tuple(map(self._unless_the_loss_overflows, found.weights)),
                tuple(
                    None if bias is None else self._unless_the_loss_overflows(bias)
                    for bias in found.biases
                ),
                self._unless_the_loss_overflows(found.x),
            )

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
        """`harness.reference.backward_layer` of a single case, once for each cotangent and gate.

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
        )

    def once(self, key: Any, cotangent: Enclosure, compute: Callable[[], T]) -> T:
        """What ``compute`` returned when it was first called for this key.

        Args:
            key: Names the result. It has ``id(cotangent)`` in it, which therefore is kept.
            cotangent: What the result was made of.
            compute: Called if the key is new.
        """
        if key not in self._known:
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


def loss_tangent(cotangent: Enclosure, tangent: Enclosure, divisor: int) -> Enclosure:
    """J̇ = Σ g_L ∘ ȧ_L over the last two axes, as forward mode evaluates it: with ȧ_L first.

    J = ½ Σ d² / B, where B = 1 for a sum, has the tangent J̇ = Σ ½ (2 d ḋ) / B with d = a_L - y
    and ḋ = ȧ_L. Frameworks differ in

        the square     d² gives (2 d) ḋ, 2 (d ḋ) or d (2 ḋ); d · d gives ḋ d + d ḋ, where one
                       product may be fused into the addition, or which are two dot products;
        ½ and 1 / B    one after the other or as one factor; put to d or to ḋ, to the terms, to
                       sums of some of them or to the whole sum;
        the sum        over rows and outputs, in any order.

    *Relative errors.* Doubling and halving are exact. `cotangent` is g_L = d / B, whose bound
    has the (1 + u)³ of the division; a division that comes later meets a partial sum, which is
    the same as scaling all its terms. A product passes one rounding, and ḋ d + d ḋ one more: an
    addition of two equal products, or of two whole dot products. So a term p = g ḋ errs by
    e_p + u |p̂|, and the terms, of which N can differ from zero, pass N - 1 additions.

    *Absolute errors*, at the size of p. Let a product lose τ = ½η. The factors before or after
    the product are one of these:

        ½ before, 1 / B after       two products of ½ d ḋ, then the division:   2τ / B + τ
        1 / (2 B) before            two products:                               2τ
        1 / B before, ½ after       two products of d ḋ / B, then the halving:  2τ / 2 + τ
        both after                  τ / B, then ½ and 1 / B:                    τ / B + τ / B + τ
        both after, ½ last          τ / B, then 1 / B and ½:                    τ / B + τ / 2 + τ

    and where B = 1 nothing is lost by dividing: at most 2τ for B = 1 and 2½τ for B >= 2.
    Under flush-to-zero τ = λ₀, and an addition or a doubling may lose λ₀ too, at the size it has:
    3τ / B + τ (3τ for B = 1), 3τ, 3τ / 2 + τ, 5τ / 2B + τ (5τ / 2 for B = 1) and
    3τ / 2B + τ / 2 + τ: never more than 3τ. So e_p, which has τ, is given 2τ more, and ς(p) for
    reading p̂ as zero. Where p is exact and e_p = 0, only its half can be lost, in either of two
    products or once after them: 2τ. Factors that are put to sums lose no more than those put to
    terms. Two dot products have N - 1 additions each and one of their results, 2N - 1 in all:
    under flush-to-zero N more are counted than for one sum, Nλ₀, unless the sum is exact.

    What scaling d loses is in g_L (`Enclosure.__sub__`, `Enclosure.__truediv__`). The same for
    ḋ: ½ and 2 as for the difference ḋ = ȧ_L - 0; and where B > 1, ḋ / (2 B) loses τ, which is
    2Bτ at the size of ḋ, unless ḋ is exact and a multiple of 2B η (2B λ₀) for B a power of two
    (for other B, g_L is inexact, and so is p).

    *Exact* are terms that are exact as products and multiples of 2η (2λ₀): their halves are
    multiples of η, and doubling and halving do not change the number of bits.

    *Overflow.* With ½ and 1 / B after the sum, partial sums are 2 B times as large as here. And
    where a framework takes the product rule for a constant factor too, (c v)˙ = c v̇ + ċ v with
    ċ = 0, this is NaN if v = Σ d² overflows, whatever J̇ is (TensorFlow's `ForwardAccumulator`
    does so for ½ v). So where the loss has no bound no derivative has one: `Enclosed.gradients`
    sees to that, here nothing is known of the loss.

    Args:
        cotangent: Enclosure of g_L.
        tangent: Enclosure of ȧ_L, with any axes in front.
        divisor: B.
    """
    model = tangent.model
    tangent = tangent - model.enclose(np.zeros((1,) * len(tangent.shape)))
    if divisor > 1:
        shifted = np.minimum(tangent.grain, 1023) - (2 * divisor - 1).bit_length()
        free = tangent.exact & (np.ldexp(1.0, shifted) >= model.least) | (tangent.reach == 0)
        lost = _ROUNDED * (tangent.e + 2.0 * divisor * model.underflow)
        tangent = Enclosure(model, tangent.c, tangent.r, np.where(free, tangent.e, lost))
    product = cotangent * tangent
    free = product.exact & (np.ldexp(1.0, np.minimum(product.grain, 1023)) >= 2.0 * model.least)
    lost = product.e + model.roundoff * product.reach + 2.0 * model.underflow
    lost = _ROUNDED * (lost + product.lost_by_reading) + 2.0**-1074
    e = np.where(free | (product.reach == 0), product.e, lost)
    result = Enclosure(model, product.c, product.r, e).sum(axis=(-2, -1))
    growth = np.exp((result.addends + 1.0) * np.log1p(model.roundoff))
    peak = growth * (result.total + result.flushed + result.addends * model.least)
    peak = 2.0 * divisor * peak * (1.0 + (result.depth + 16) * 2.0**-52)
    fits = peak < model.format.largest
    e = result.e
    if model.flush:
        e = np.where(e > 0, _ROUNDED * (e + result.addends * model.least), e)
    return Enclosure(model, result.c, result.r, np.where(fits, e, np.inf))


def _joined(parts: Sequence[Enclosure]) -> Enclosure:
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
