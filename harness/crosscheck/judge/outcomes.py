"""Gradients of cases with NaN, infinities or overflow: which values are possible, entry by entry.

The reference's formulas run on numbers that may be infinite or NaN (`crosscheck.numbers.extended`).
IEEE 754 says what comes of them but for four questions, on which a framework may do as it likes,
though always the same in one gradient (`Policy`):

    value at NaN        max(NaN, 0) is NaN; where(z > 0, z, 0) makes it 0.
    value at -inf       0, or NaN where the unit multiplies or adds: z · (z > 0), (z + |z|) / 2.
    slope at NaN        ReLU has no derivative there: 0, ½ (of |z|, with sign(NaN) = 0), 1 or NaN.
    closed gate         0 · ∞ and 0 · NaN: 0 where the gate selects, NaN where it is a factor.

With a policy every gate is known: 1 for z > 0 and +inf, 0 for z < 0 and -inf, the slope at NaN for
NaN; and any number in [0, 1] where the sign of a finite z is open. If z can be of several kinds,
the gate can be any of their slopes. δ = s ∘ g is then, for finite g, s g; for an infinite g and
s > 0 that infinity; for a NaN and s > 0 NaN; under a closed gate as the policy says; for s = NaN
NaN.

Formulations that double z or its derivative before they halve it, (z + |z|) / 2, overflow from ½Ω
on: beyond that +inf is possible for a value, and an infinity for δ.

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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from crosscheck.judge.enclosed import Derivation
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
from crosscheck.numbers.double_double import DoubleDouble
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.endless import model_of
from crosscheck.numbers.extended import Extended, placed
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.kinds import Kinds
from crosscheck.numbers.model import Model
from crosscheck.numbers.named import Arithmetic

__all__ = ["BUDGET", "Outcomes", "Policy"]

BUDGET = 2**23
"""Products that the dense passes of forward mode may take; other parameters are not compared."""

_SLOPES = {"0": 0.0, "1": 1.0, "1/2": 0.5, "NaN": math.nan}
_NUMBERS = 2**18
"""Numbers of a case times policies that are looked at together."""
_AT_ONCE = 2**18
"""Products that are formed together in forward mode."""


@dataclass(frozen=True)
class Policy:
    """One answer to each of `crosscheck.judge.verdict.QUESTIONS`.

    Attributes:
        value_at_nan: What ReLU makes of NaN.
        value_at_minus_inf: What ReLU makes of -inf.
        slope_at_nan: Its derivative at NaN.
        closed_gate: ``"select"``: 0 · ∞ = 0 · NaN = 0; ``"product"``: they are NaN.
    """

    value_at_nan: str
    value_at_minus_inf: str
    slope_at_nan: str
    closed_gate: str

    @property
    def answers(self) -> tuple[str, ...]:
        """In the order of `QUESTIONS`."""
        return self.value_at_nan, self.value_at_minus_inf, self.slope_at_nan, self.closed_gate

    def others(self, question: str) -> Iterator[Policy]:
        """Those that differ in the answer to one of `QUESTIONS`."""
        place = list(QUESTIONS).index(question)
        for answer in QUESTIONS[question]:
            if answer != self.answers[place]:
                answers = *self.answers[:place], answer, *self.answers[place + 1 :]
                yield Policy(*answers)


class _Policies:
    """Several policies, along the first axis of all that is computed with them.

    Attributes:
        nan_is_zero: Whether ReLU makes 0 of NaN, of shape (P, 1, 1) like those that follow.
        minus_inf_is_zero: Whether it makes 0 of -inf.
        slope: Its derivative at NaN, float64.
        selects: Whether 0 · ∞ and 0 · NaN are 0 under a closed gate.
        asked: Which of `QUESTIONS` mattered, of shape (4, P).
    """

    def __init__(self, policies: Sequence[Policy]) -> None:
        def each(found: Iterable[Any]) -> Any:
            return np.array(list(found))[:, None, None]

        self.nan_is_zero = each(one.value_at_nan == "0" for one in policies)
        self.minus_inf_is_zero = each(one.value_at_minus_inf == "0" for one in policies)
        self.slope = each(_SLOPES[one.slope_at_nan] for one in policies)
        self.selects = each(one.closed_gate == "select" for one in policies)
        self.asked = np.zeros((len(QUESTIONS), len(policies)), dtype=bool)

    def ask(self, question: str, where: Any) -> None:
        """Note for which policies a question matters: those for which ``where`` is true once."""
        axis = where.ndim - 3
        others = tuple(each for each in range(where.ndim) if each != axis)
        self.asked[list(QUESTIONS).index(question)] |= where.any(axis=others)


@dataclass(eq=False)
class _Slopes:
    """Slopes of ReLU at numbers that may be infinite or NaN.

    Attributes:
        low: The least that is possible, float64.
        high: The largest.
        nan: Whether NaN is possible.
        number: Whether anything else is.
        policies: Along the third axis from the last.
    """

    low: Array
    high: Array
    nan: Any
    number: Any
    policies: _Policies

    def __mul__(self, other: Extended) -> Extended:
        """δ = s ∘ g; see the module's text."""
        may, finite, selects = other.may, other.finite, self.policies.selects
        shut, opens = self.number & (self.low == 0), self.number & (self.high > 0)
        odd = may.plus | may.minus | may.nan
        self.policies.ask("closed gate", shut & odd)
        doubled = np.maximum(np.abs(other.low), np.abs(other.high)) > 0.5 * _largest(finite.model)
        into_zero = shut & odd & selects
        spill = opens & may.finite & doubled
        kinds = Kinds(
            (may.finite & self.number) | into_zero,
            (opens & may.plus) | (spill & (other.high > 0)),
            (opens & may.minus) | (spill & (other.low < 0)),
            (opens & may.nan) | self.nan | (shut & odd & ~selects),
        )
        if not finite.model.format.has_infinity:
            kinds = kinds._replace(nan=kinds.nan | spill)
        low = np.where(into_zero, 0.0, self.low)
        known = np.where(self.low == self.high, self.low, 0.0)
        product = known * finite
        spread = kinds.finite & (low != self.high)
        if not spread.any():
            return Extended(_only(product, kinds.finite), kinds)
        ends = [low * other.low, low * other.high, self.high * other.low, self.high * other.high]
        return Extended(
            _hull(product, np.minimum.reduce(ends), np.maximum.reduce(ends), spread, kinds.finite),
            kinds,
        )


def _largest(model: Model) -> float:
    return float(model.format.end)  # type: ignore[attr-defined]


def _only(enclosure: Enclosure, mask: Any) -> Enclosure:
    """``enclosure``, exactly zero where ``mask`` is false."""
    c: Any = enclosure.c
    if isinstance(c, DoubleDouble):
        c = DoubleDouble(np.where(mask, c.high, 0.0), np.where(mask, c.low, 0.0))
    else:
        c = np.where(mask, c, 0.0)
    return Enclosure(
        enclosure.model, c, np.where(mask, enclosure.r, 0.0), np.where(mask, enclosure.e, 0.0)
    )


def _hull(enclosure: Enclosure, low: Array, high: Array, where: Any, finite: Any) -> Enclosure:
    """``enclosure``, but the interval from ``low`` to ``high`` at some places, and 0 at others."""
    rest = _only(enclosure, finite & ~where)
    middle = 0.5 * low + 0.5 * high
    half = np.maximum(high - middle, middle - low)
    half = np.nextafter(half + 4.0 * enclosure.model.least, np.inf)
    c: Any = rest.c
    if isinstance(c, DoubleDouble):
        c = DoubleDouble(np.where(where, middle, c.high), c.low)
    else:
        c = np.where(where, middle, c)
    return Enclosure(enclosure.model, c, rest.r, np.where(where, half, rest.e))


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
        together = _Policies(policies)
        with np.errstate(all="ignore"):
            possible = self._gradients(together, len(policies))
        for at in range(len(policies)):
            with np.errstate(all="ignore"):  # a part may close what was left open
                part = possible.map(operator.itemgetter(slice(at, at + 1)))
                one = part.map(operator.attrgetter("returned"))
            asked = together.asked[:, at]
            yield one, frozenset(itertools.compress(QUESTIONS, asked.tolist()))

    def _gradients(self, policies: _Policies, count: int) -> Gradients:
        """The gradient on `Extended` numbers, for some policies."""
        case, network = self.case, self.case.network
        weights = [self._of(weight) for weight in case.weights]
        biases = [None if bias is None else self._of(bias) for bias in case.biases]
        x, y = (self._of(np.stack([array] * count)) for array in (case.x, case.y))

        def relu(z: Extended) -> Extended:
            policies.ask("value at NaN", z.may.nan)
            policies.ask("slope at NaN", z.may.nan)
            policies.ask("value at -inf", z.may.minus)
            return _relu(z, policies)

        trace = forward(network, weights, biases, x, relu)
        gates = [
            _gate(z, policies) if network.has_relu(layer) else None
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


def _relu(z: Extended, policies: _Policies) -> Extended:
    """max(z, 0), as the policies have it."""
    may = z.may
    into_zero = (may.nan & policies.nan_is_zero) | (may.minus & policies.minus_inf_is_zero)
    nan = (may.nan & ~policies.nan_is_zero) | (may.minus & ~policies.minus_inf_is_zero)
    doubled = may.finite & (z.high > 0.5 * _largest(z.model))
    if not z.model.format.has_infinity:
        nan = nan | doubled
    kinds = Kinds(may.finite | into_zero, may.plus | doubled, np.zeros_like(nan), nan)
    finite, low = z.finite.relu(), np.maximum(z.low, 0.0)
    spread = may.finite & into_zero & (z.high > 0)
    if spread.any():
        finite = _hull(finite, np.where(into_zero, 0.0, low), z.high, spread, may.finite)
    return Extended(finite, kinds)


def _gate(z: Extended, policies: _Policies) -> _Slopes:
    """ReLU'(z), as the policies have it."""
    may, least, slope = z.may, z.model.least, policies.slope
    by_nan = may.nan & ~np.isnan(slope)
    low, high = np.ones(z.shape), np.zeros(z.shape)
    for where, value in (
        (may.finite & (z.low < least), 0.0),  # which may be negative, or read as zero
        (may.finite & (z.high > -least), 1.0),
        (may.plus, 1.0),
        (may.minus, 0.0),
        (by_nan, slope),
    ):
        low = np.where(where, np.minimum(low, value), low)
        high = np.where(where, np.maximum(high, value), high)
    number = may.finite | may.plus | may.minus | by_nan
    return _Slopes(
        np.where(number, low, 0.0), np.where(number, high, 0.0), may.nan & ~by_nan, number, policies
    )
