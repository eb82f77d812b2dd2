"""Honest gradients in each named arithmetic, simulated in real float32, and how they are judged.

As a program it measures: python tests/coarser.py tf32 --cases 1000 --seed 0
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from crosscheck.judge.compare import Judge
from crosscheck.judge.verdict import Kind
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.named import ARITHMETICS, Arithmetic

__all__ = ["FAULTS", "Simulated", "cut", "random_case", "rounded"]

FAULTS: dict[str, Callable[[Gradients], Gradients]] = {}


def fault(function: Callable[[Gradients], Gradients]) -> Callable[[Gradients], Gradients]:
    """Register what a defect makes of a right gradient."""
    FAULTS[function.__name__.replace("_", " ")] = function
    return function


@fault
def zero(given: Gradients) -> Gradients:
    """All derivatives are zero."""
    return given.map_derivatives(lambda array: 0.0 * array)


@fault
def doubled(given: Gradients) -> Gradients:
    """All derivatives are twice what they should be."""
    return given.map_derivatives(lambda array: 2.0 * array)


@fault
def negated(given: Gradients) -> Gradients:
    """All derivatives have the other sign."""
    return given.map_derivatives(lambda array: -array)


@fault
def a_hundredth_more(given: Gradients) -> Gradients:
    """All derivatives are too large by a hundredth."""
    return given.map_derivatives(lambda array: array * 1.01)


@fault
def one_layer_negated(given: Gradients) -> Gradients:
    """The first layer's derivatives have the other sign."""
    bias = None if given.biases[0] is None else -given.biases[0]
    return dataclasses.replace(
        given, weights=(-given.weights[0], *given.weights[1:]), biases=(bias, *given.biases[1:])
    )


class Simulated:
    """One evaluation of a case in a named arithmetic, with dice for what is left open.

    Sums are taken in a random order in a random number of lanes. Multiplicands are rounded to
    nearest with ties to even or away from zero.

    Args:
        case: A single case.
        arithmetic: Which one.
        rng: The dice.
        slope: λ where a pre-activation is zero.
        spared: The share of matrix products that are formed in the dtype's own arithmetic.
    """

    def __init__(
        self,
        case: Case,
        arithmetic: Arithmetic,
        rng: np.random.Generator,
        *,
        slope: float = 0.0,
        spared: float = 0.0,
    ) -> None:
        self.case, self.arithmetic, self.rng = case, arithmetic, rng
        self.slope, self.spared = slope, spared
        self.away = bool(rng.random() < 0.5)
        self.lanes = int(rng.choice([1, 2, 8, 16, 64]))
        self.is_bfloat16 = case.dtype == "bfloat16"
        self.working: Any = np.float32

    def kept(self, values: Any) -> Any:
        """Results in the dtype: float32, or rounded to bfloat16."""
        return rounded(values, FORMATS["bfloat16"], False) if self.is_bfloat16 else values

    def sum(self, terms: Any, kind: Any = None) -> Any:
        """Σ over the first axis, in a random order, every addition rounded."""
        terms = terms[self.rng.permutation(len(terms))]
        finish = self.kept if kind is None else (lambda values: values.astype(kind))
        lanes = min(self.lanes, len(terms))
        parts = [terms[lane] for lane in range(lanes)]
        for at in range(lanes, len(terms)):
            parts[at % lanes] = finish(parts[at % lanes] + terms[at])
        while len(parts) > 1:
            parts = [
                finish(parts[i] + parts[i + 1]) if i + 1 < len(parts) else parts[i]
                for i in range(0, len(parts), 2)
            ]
        return parts[0]

    def product(self, left: Any, right: Any, bias: Any = None) -> Any:
        """left @ right, and a bias added to it."""
        arithmetic, coarse = self.arithmetic, self.rng.random() >= self.spared
        if not coarse:
            terms = left.T[:, :, None] * right[:, None, :]
            return self._with_bias(self.sum(terms, np.float32), bias)
        if arithmetic.multiplicand is not None:
            left, right = (rounded(v, arithmetic.multiplicand, self.away) for v in (left, right))
        if arithmetic.accumulator.name == "float16":
            left, right = left.astype(np.float16), right.astype(np.float16)
            found = self.sum(left.T[:, :, None] * right[:, None, :], np.float16)
            return self._with_bias(found.astype(np.float32), bias)
        terms = left.T[:, :, None] * right[:, None, :]
        if arithmetic.cut:
            found = cut(self.sum(terms, np.float32))
            return found if bias is None else self.kept(found + bias)
        if bias is not None and self.rng.random() < 0.5:  # in the accumulator from the start
            shape = (1, *terms.shape[1:])
            return self.sum(
                np.concatenate([terms, np.broadcast_to(bias, shape)]).astype(np.float32),
                np.float32,
            )
        return self._with_bias(self.sum(terms, np.float32), bias)

    @staticmethod
    def _with_bias(found: Any, bias: Any) -> Any:
        return found if bias is None else found + bias

    def gradients(self) -> Gradients:
        """Backpropagation."""
        case, network = self.case, self.case.network
        number = np.float32
        weights = [weight.astype(number) for weight in case.weights]
        biases = [None if bias is None else bias.astype(number) for bias in case.biases]
        activations, pre = [case.x.astype(number)], []
        for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True), start=1):
            z = self.product(activations[-1], weight.T, bias)
            pre.append(z)
            activations.append(np.maximum(z, number(0)) if network.has_relu(layer) else z)
        d = self.kept(activations[-1] - case.y.astype(number))
        loss = self.kept(self.sum(self.kept(d * d).reshape(-1)) * number(0.5))
        if network.reduction == "mean":
            loss, d = self.kept(loss / number(case.rows)), self.kept(d / number(case.rows))
        of_weights: list[Any] = []
        of_biases: list[Any] = []
        for layer in range(network.depth, 0, -1):
            if network.has_relu(layer):
                d = self.kept(np.heaviside(pre[layer - 1], number(self.slope)) * d)
            of_weights.insert(0, self.product(d.T, activations[layer - 1]))
            bias = biases[layer - 1]
            of_biases.insert(0, None if bias is None else self.sum(d))
            d = self.product(d, weights[layer - 1])
        wide = np.float64
        return Gradients(
            np.asarray(loss, dtype=wide),
            tuple(weight.astype(wide) for weight in of_weights),
            tuple(None if bias is None else bias.astype(wide) for bias in of_biases),
            d.astype(wide),
        )


def rounded(values: Any, form: Format, away: bool) -> Any:
    """To nearest in ``form``, ties to even or away from zero, as float32."""
    wide = np.asarray(values, dtype=np.float64)
    nearest = form.round(wide)
    if away:
        spacing = form.ulp(np.where(np.isfinite(wide), wide, 0.0))
        tie = np.abs(wide / spacing - np.trunc(wide / spacing)) == 0.5
        further = np.copysign(np.ceil(np.abs(wide) / spacing) * spacing, wide)
        nearest = np.where(tie, further, nearest)
    return nearest.astype(np.float32)


def cut(values: Any) -> Any:
    """float32 to bfloat16 by leaving out the lower 16 bits."""
    whole = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return (whole & np.uint32(0xFFFF0000)).view(np.float32)


def random_case(
    rng: np.random.Generator,
    dtype: str,
    *,
    widest: int = 1024,
    rows: int = 17,
    depth: int = 3,
    kinks: bool = False,
) -> Case:
    """A network of random shape; widths are spread evenly over their logarithm.

    Args:
        rng: The dice.
        dtype: Of the case.
        widest: The largest width.
        rows: The most rows.
        depth: The most layers.
        kinks: Numbers of few bits, of which many sums are zero, beside such of all bits.
    """
    layers = int(rng.integers(1, depth + 1))
    widths = np.exp(rng.uniform(0, np.log(widest + 1), layers + 1)).astype(int)
    batch = int(rng.integers(1, rows + 1))

    def draw(*shape: int) -> Any:
        numbers = rng.standard_normal(shape)
        if kinks:
            return np.where(rng.random(shape) < 0.8, rng.integers(-2, 3, shape) / 2, numbers)
        return numbers

    pairs = [(int(n), int(m)) for n, m in zip(widths[1:], widths[:-1], strict=True)]
    return Case.of(
        [draw(*pair) * np.sqrt(2.0 / pair[1]) ** (0 if kinks else 1) for pair in pairs],
        [draw(pair[0]) if rng.random() < 0.7 else None for pair in pairs],
        draw(batch, int(widths[0])),
        draw(batch, int(widths[-1])) + (0 if kinks else 2),
        dtype=dtype,
        output="identity" if rng.random() < 0.5 else "relu",
        reduction="mean" if rng.random() < 0.5 else "sum",
    )


def main(words: list[str]) -> int:
    """Judge honest gradients of one arithmetic, and planted faults in some."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arithmetic", choices=ARITHMETICS)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--widest", type=int, default=1024)
    parser.add_argument("--kinks", action="store_true")
    parser.add_argument("--spared", type=float, default=0.0)
    parser.add_argument("--faults", action="store_true")
    chosen = parser.parse_args(words)
    arithmetic = ARITHMETICS[chosen.arithmetic]
    (dtype,) = arithmetic.dtypes
    kinds: Counter[str] = Counter()
    names: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    bits: list[float] = []
    for index in range(chosen.cases):
        rng = np.random.default_rng([chosen.seed, index])
        case = random_case(rng, dtype, widest=chosen.widest, kinks=chosen.kinks)
        if not case.is_finite:
            continue
        slope = float(rng.choice([0.0, 0.5, 1.0]))
        with np.errstate(all="ignore"):
            given = Simulated(case, arithmetic, rng, slope=slope, spared=chosen.spared).gradients()
        judge = Judge(case)
        verdict = judge.verdict(given, framework="simulated")
        kinds[verdict.kind] += 1
        if verdict.kind is Kind.REDUCED:
            names[f"{verdict.arithmetics}"] += 1
            names["nothing told from zero"] += "any array" in verdict.detail
            names["all slopes"] += "any slopes" in verdict.detail
            if verdict.precision is not None:
                bits.append(verdict.precision)
            if chosen.faults:
                for name, spoil in FAULTS.items():
                    found = judge.verdict(spoil(given), framework="simulated")
                    passed[f"{name}: {found.kind} {found.arithmetics}"] += 1
        elif verdict.kind is Kind.DISAGREES:
            print(index, case.network.widths, case.rows, verdict.worst, verdict.detail, flush=True)
    print(dict(kinds), dict(names))
    if bits:
        print("bits", np.quantile(bits, [0, 0.01, 0.1, 0.5, 0.9, 0.99, 1]).round(2))
    for name, count in sorted(passed.items()):
        print(f"  {name}: {count}")
    return int(kinds[Kind.DISAGREES] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
