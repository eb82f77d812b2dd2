"""Cases with NaN, infinities and overflow, and honest gradients of them in simulated arithmetic."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.judge.policies import Policy
from crosscheck.network.dense import Case, Gradients, Network
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of

_SLOPE = {"0": 0.0, "1": 1.0, "1/2": 0.5, "NaN": np.nan}


def stack_of_cases(
    seed: int,
    count: int,
    dtype: str,
    widths: tuple[int, ...] = (3, 4, 2),
    rows: int = 2,
    **settings: Any,
) -> Case:
    """Every kind of number in every kind of array: NaN, ±inf, and finite data that overflows."""
    rng, form = np.random.default_rng(seed), format_of(dtype)
    network = Network(widths, **settings)

    def array(*shape: int) -> Array:
        return form.round(rng.uniform(-2, 2, (count, *shape)))

    weights = [array(n, m) for m, n in itertools.pairwise(widths)]
    biases, x = [array(n) for n in widths[1:]], array(rows, widths[0])
    y = array(rows, widths[-1])
    kinds = [weights, biases, [x], [y]]
    for index in range(count):
        special = (np.nan, form.beyond, -form.beyond, None)[index % 4]
        arrays = kinds[index // 4 % 4]
        at = arrays[rng.integers(len(arrays))][index].reshape(-1)
        place = rng.integers(at.size)
        if special is not None:
            at[place] = special
            continue
        at[place] = rng.choice([-1, 1]) * form.largest * 2.0 ** -int(rng.integers(form.emax))
        for other in (weights, biases, [x]):
            factor = 2.0 ** int(rng.integers(form.emax // 2))
            chosen = other[rng.integers(len(other))][index]
            with np.errstate(over="ignore"):
                chosen[...] = np.clip(form.round(chosen * factor), -form.largest, form.largest)
    return Case(network, tuple(weights), tuple(biases), x, y, dtype)


@dataclass
class Simulated:
    """A framework that rounds each operation to the dtype, by NumPy, in an order of its own.

    Attributes:
        case: A single case.
        policy: What it does where IEEE 754 does not say.
        rng: Decides the order of each sum, and whether it is accumulated in float64.
    """

    case: Case
    policy: Policy
    rng: np.random.Generator

    def summed(self, terms: Any) -> Any:
        """Along the last axis, in any order; one by one, or halves first."""
        terms = terms[..., self.rng.permutation(terms.shape[-1])]
        while terms.shape[-1] > 1:
            at = int(self.rng.integers(1, terms.shape[-1]))
            both = (terms[..., at - 1] + terms[..., at])[..., None]
            terms = np.concatenate([terms[..., : at - 1], both, terms[..., at + 1 :]], axis=-1)
        return terms[..., 0]

    def dot(self, left: Any, right: Any, bias: Any = None) -> Any:
        """Rows of ``left`` times rows of ``right``, and a bias in the same sum."""
        kind = left.dtype
        if self.rng.random() < 0.3:  # fused, and in accumulators of a wider range
            left, right = left.astype(np.float64), right.astype(np.float64)
        terms = left[:, None, :] * right[None]
        if bias is not None:
            terms = np.concatenate(
                [terms, np.broadcast_to(bias[:, None], (*terms.shape[:2], 1))], 2
            )
        return self.summed(terms).astype(kind)

    def relu(self, z: Any) -> Any:
        """max(z, 0)."""
        value = np.where(z > 0, z, z.dtype.type(0))
        of_nan = float(self.policy.value_at_nan)
        value = np.where(np.isnan(z), of_nan, value)
        return np.where(np.isneginf(z), float(self.policy.value_at_minus_inf), value).astype(
            z.dtype
        )

    def gated(self, z: Any, g: Any) -> Any:
        """ReLU'(z) ∘ g."""
        slope = np.where(z > 0, 1.0, 0.0)
        slope = np.where(np.isnan(z), _SLOPE[self.policy.slope_at_nan], slope).astype(z.dtype)
        product = slope * g
        selects = self.policy.closed_gate == "select"
        return np.where(slope == 0, z.dtype.type(0), product) if selects else product

    def gradients(self) -> Gradients:
        """Loss and gradient, in float64 arrays."""
        case, kind = self.case, format_of(self.case.dtype).dtype
        assert kind is not None
        with np.errstate(all="ignore"):
            weights = [weight.astype(kind) for weight in case.weights]
            biases = [None if bias is None else bias.astype(kind) for bias in case.biases]
            activations, z = [case.x.astype(kind)], []
            for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
                z.append(self.dot(activations[-1], weight, bias))
                relu = case.network.has_relu(layer)
                activations.append(self.relu(z[-1]) if relu else z[-1])
            g = activations[-1] - case.y.astype(kind)
            loss = kind.type(0.5) * self.summed((g * g).reshape(1, -1))[0]
            if case.network.reduction == "mean":
                loss, g = loss / kind.type(case.rows), g / kind.type(case.rows)
            found: list[tuple[Any, Any]] = []
            for layer in range(len(weights), 0, -1):
                delta = self.gated(z[layer - 1], g) if case.network.has_relu(layer) else g
                found.insert(0, (self.dot(delta.T, activations[layer - 1].T), self.summed(delta.T)))
                g = self.dot(delta, weights[layer - 1].T)
        return Gradients(
            np.float64(loss),
            tuple(weight.astype(np.float64) for weight, _ in found),
            tuple(
                None if bias is None else for_bias.astype(np.float64)
                for bias, (_, for_bias) in zip(biases, found, strict=True)
            ),
            g.astype(np.float64),
        )
