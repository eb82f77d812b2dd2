"""Gradients of cases with NaN, infinities or overflow: which values are possible, entry by entry.

The reference's formulas run on numbers that may be infinite or NaN (`crosscheck.numbers.extended`).
IEEE 754 leaves four questions open; for each answer to them that makes a difference
(`crosscheck.judge.policies`) it is told what may come of a case.

*Forward mode.* Frameworks multiply by all of the tangent, zeros included, so that 0 · NaN occurs
everywhere: the pass that is followed here is the dense one,

    ż_l = a_{l-1} Ẇ_lᵀ + ȧ_{l-1} W_lᵀ + ḃ_l,    ȧ_l = s_l ∘ ż_l,    J̇ = Σ g_L ∘ ȧ_L,

with one-hot tangents, for as many parameters as `BUDGET` allows. And where Σ d² may be infinite or
NaN, the product rule for the constant factor ½ adds 0 · ∞ to J̇: NaN is possible
(`crosscheck.judge.enclosed.loss_tangent`).
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from crosscheck.judge.enclosed import Derivation
from crosscheck.judge.policies import Policies, Policy, gate, relu
from crosscheck.judge.verdict import QUESTIONS
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.loss_bounds import loss_tangent
from crosscheck.network.loss_kinds import (
    half_sum_of_squares,
    quotient_of,
    residual_of,
    tangent_of_loss,
)
from crosscheck.network.reference import Trace, backward, forward
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.endless import model_of
from crosscheck.numbers.extended import Extended, placed
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.named import Arithmetic

__all__ = ["BUDGET", "Outcomes"]

BUDGET = 2**23
"""Products that the dense passes of forward mode may take; other parameters are not compared."""

_NUMBERS = 2**18
"""Numbers of a case times policies that are looked at together."""
_AT_ONCE = 2**18
"""Products that are formed together in forward mode."""


class Outcomes:
    """What is possible for the gradient of a single case, for each policy.

    Args:
        case: A single case.
        derivation: The mode of differentiation.
        arithmetic: How matrix products are formed, if not in the dtype's own arithmetic.
    """

    def __init__(
        self,
        case: Case,
        derivation: Derivation = "reverse",
        arithmetic: Arithmetic | None = None,
    ) -> None:
        self.case, self.derivation = case, derivation
        self.model = model_of(format_of(case.dtype), arithmetic)

    def _of(self, values: Array) -> Extended:
        return Extended.of(self.model, values)

    @cached_property
    def every(self) -> Sequence[tuple[Policy, Gradients, frozenset[str]]]:
        """Each policy that makes a difference, what is possible, and which questions mattered.

        Two policies that differ in answers to questions that mattered to neither give the same.
        So from any policy on those are enough that are reached by changing the answer to one
        question that mattered, again and again: a policy that is not reached agrees with one that
        is in all that mattered to it.

        The arrays of the gradient have an axis of length 1 in front. In forward mode entries
        beyond the budget are of every kind and size.
        """
        wanted = [Policy(*(answers[0] for answers in QUESTIONS.values()))]
        found: dict[Policy, tuple[Gradients, frozenset[str]]] = {}
        numbers = self.case.size
        at_once = max(1, _NUMBERS // numbers)
        while wanted:
            chunk, wanted = wanted[:at_once], wanted[at_once:]
            found.update(zip(chunk, self._of_policies(chunk), strict=True))
            for policy in chunk:
                for question in sorted(found[policy][1]):
                    for other in policy.others(question):
                        if other not in found and other not in wanted:
                            wanted.append(other)
        return [(policy, *of_policy) for policy, of_policy in found.items()]

    def _of_policies(
        self, policies: Sequence[Policy]
    ) -> Iterator[tuple[Gradients, frozenset[str]]]:
        together = Policies(policies)
        with np.errstate(all="ignore"):
            possible = self._gradients(together, len(policies))
        for at in range(len(policies)):
            with np.errstate(all="ignore"):  # a part may close what was left open
                part = possible.map(operator.itemgetter(slice(at, at + 1)))
                one = part.map(operator.attrgetter("returned"))
            asked = together.asked[:, at]
            yield one, frozenset(itertools.compress(QUESTIONS, asked.tolist()))

    def _gradients(self, policies: Policies, count: int) -> Gradients:
        """The gradient on `Extended` numbers, for some policies."""
        case, network = self.case, self.case.network
        weights = [self._of(weight) for weight in case.weights]
        biases = [None if bias is None else self._of(bias) for bias in case.biases]
        x, y = (self._of(np.stack([array] * count)) for array in (case.x, case.y))

        def value(z: Extended) -> Extended:
            policies.ask("value at NaN", z.may.nan)
            policies.ask("slope at NaN", z.may.nan)
            policies.ask("value at -inf", z.may.minus)
            return relu(z, policies)

        trace = forward(network, weights, biases, x, value)
        gates = [
            gate(z, policies) if network.has_relu(layer) else None
            for layer, z in enumerate(trace.pre_activations, start=1)
        ]
        divisor = case.rows if network.reduction == "mean" else 1
        residual = residual_of(trace.activations[-1], y)
        loss = half_sum_of_squares(residual, divisor)
        is_mean = network.reduction == "mean"
        cotangent = quotient_of(residual, divisor) if is_mean else residual
        if self.derivation == "forward":
            return self._pushed(weights, trace, gates, cotangent, loss, divisor)
        return backward(network, weights, biases, trace, y, gates, lambda *_: (loss, cotangent))

    def _pushed(
        self,
        weights: Sequence[Extended],
        trace: Trace,
        gates: Sequence[Any],
        cotangent: Extended,
        loss: Extended,
        divisor: int,
    ) -> Gradients:
        """Forward mode's dense passes; see the module's text."""
        case, depth = self.case, self.case.network.depth
        weights = [weight.swapaxes(-1, -2) for weight in weights]
        count = loss.shape[0]

        def zeros(*shape: int) -> Extended:
            return self._of(np.zeros(shape))

        still = [
            (activation @ zeros(*weight.shape)).closed
            for activation, weight in zip(trace.activations, weights, strict=False)
        ]  # a_{l-1} Ẇ_lᵀ with Ẇ_l = 0

        def upwards(tangent: Extended, layer: int) -> Extended:
            """ȧ_layer from ż_layer."""
            gate = gates[layer - 1]
            return tangent if gate is None else gate * tangent

        carried, below = [], zeros(count, *case.x.shape)
        for layer in range(1, depth + 1):
            carried.append((below @ weights[layer - 1]).closed)  # ȧ_{l-1} W_lᵀ if θ is above
            below = upwards((carried[-1] + still[layer - 1]).closed, layer)

        def derivative(tangent: Extended, layer: int) -> Extended:
            """J̇ from ż_layer."""
            for at in range(layer, depth):
                tangent = (upwards(tangent, at) @ weights[at] + still[at]).closed
            tangent = upwards(tangent, depth)
            found = tangent_of_loss(
                cotangent, tangent, divisor, lambda g, t: loss_tangent(g, t, divisor)
            )
            overflows = np.broadcast_to(~loss.may.plain, found.shape)
            return Extended(found.finite, found.may._replace(nan=found.may.nan | overflows))

        def of_leaf(shape: tuple[int, ...], begin: Callable[[Any], tuple[Extended, int]]) -> Any:
            chosen = np.arange(0, math.prod(shape), self.stride)
            at_once = max(1, _AT_ONCE // self._products)
            parts = []
            for start in range(0, len(chosen), at_once):
                at = chosen[start : start + at_once]
                one_hot = np.zeros((len(at), math.prod(shape)))
                one_hot[np.arange(len(at)), at] = 1.0
                tangent, layer = begin(self._of(one_hot.reshape(len(at), 1, *shape)))
                parts.append((at, derivative(tangent, layer).swapaxes(0, 1)))
            return placed(self.model, count, shape, parts)

        for_weights, for_biases = [], []
        for layer, bias in enumerate(case.biases, start=1):
            at = layer - 1

            def by_weight(one_hot: Extended, at: int = at) -> tuple[Extended, int]:
                product = trace.activations[at] @ one_hot.swapaxes(-1, -2)
                return (product + carried[at]).closed, at + 1

            def by_bias(one_hot: Extended, at: int = at) -> tuple[Extended, int]:
                rest = (carried[at] + still[at]).closed
                return (rest + one_hot[..., None, :]).closed, at + 1

            for_weights.append(of_leaf(case.weights[at].shape, by_weight))
            for_biases.append(None if bias is None else of_leaf(bias.shape, by_bias))
        for_x = of_leaf(case.x.shape, lambda one_hot: ((one_hot @ weights[0] + still[0]).closed, 1))
        return Gradients(loss, tuple(for_weights), tuple(for_biases), for_x)

    @cached_property
    def _products(self) -> int:
        """How many products one pass takes."""
        widths = self.case.network.widths
        return self.case.rows * sum(map(math.prod, itertools.pairwise(widths)))

    @cached_property
    def stride(self) -> int:
        """Every how many-th parameter of each array is compared in forward mode."""
        count = self.case.size - self.case.y.size
        return max(1, -(-count * self._products // BUDGET))
