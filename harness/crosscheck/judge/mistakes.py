"""The usual mistakes in a gradient worked out by hand, and which of them makes given numbers.

Each mistake is a formula of its own, and its numbers have derived bounds as the right ones have:
the rules of the enclosures are run on the backward pass in which one factor of the chain rule is
left out, or on the loss with the other reduction. A factor of 2, ½ or −1 is exact in binary, so
that given numbers divided by it are held to the right ones' bounds; a transposed array is held to
its own.

A mistake counts if every number it speaks of is inside its bounds, and some number there tells.
It is sought for everything that was given at once, then for each array, then for the wrong
entries of an array, and the first of these at which any fits is told. Several may make the same
numbers (where ∂J/∂a = 2, leaving it out makes half); then they are told as possibilities.

`crosscheck.judge.causes` looks for one edit of a traced program that explains many cases. Here
there is one case, a part of its gradient, in digits, and the words are those of the chain rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crosscheck.judge.compare import Judge
from crosscheck.judge.enclosed import Enclosed, leaves_bound
from crosscheck.judge.kinks.influence import gates_with
from crosscheck.judge.marking import Marked
from crosscheck.network.dense import Gradients
from crosscheck.network.names import LOSS
from crosscheck.network.reference import backward, backward_layer
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure

__all__ = ["mistakes_told"]

_MOST_TOLD = 3

_FACTORS = (
    (2.0, "twice what it should be"),
    (0.5, "half of what it should be"),
    (-1.0, "right but for the sign"),
)


@dataclass(frozen=True, eq=False)
class _Mistake:
    """A mistake.

    Attributes:
        words: What it makes of an array.
        bounds: What it makes of each array that it speaks of, on enclosures, by name.
        back: What takes given numbers back to those that are bounded.
        is_transposed: Whether it moves numbers, so that it speaks of whole arrays.
        is_of_all: Whether it speaks of all arrays at once: of one, another mistake says less.
    """

    words: str
    bounds: Mapping[str, Any]
    back: Callable[[Array], Array] = lambda array: array
    is_transposed: bool = False
    is_of_all: bool = False

    def fits(self, marked: Marked, name: str, chosen: NDArray[np.bool_]) -> bool:
        """Whether it makes the chosen numbers of an array, as far as they tell."""
        bound = self.bounds.get(name)
        if bound is None:
            return False
        given = marked.given
        ends = self.back(given.low[name]), self.back(given.high[name])
        low, high = np.minimum(*ends), np.maximum(*ends)
        if low.shape != bound.shape:
            return False
        made = ~leaves_bound(bound, np.clip(bound.high, low, high))
        told = (bound.bound == 0) | (bound.bound < np.abs(bound.high))
        told &= (low == high) | (low > 0) | (high < 0) | (bound.high == 0)
        return bool(made[chosen].all() and told[chosen].any())


def mistakes_told(marked: Marked) -> list[str]:
    """A sentence for each mistake that makes wrong numbers, where any does."""
    wrong = {name: marked.wrong(name) for name in marked.given.values}
    wrong = {name: each for name, each in wrong.items() if each.any()}
    if not wrong:
        return []
    mistakes = list(_mistakes(marked))
    whole = {name: np.ones(v.shape, dtype=bool) for name, v in marked.given.values.items()}
    derivatives = [name for name in whole if name != LOSS]
    wrong_ones = [name for name in wrong if name != LOSS]
    told: dict[str, list[str]] = {}
    if len(wrong_ones) > 1:
        fitting = [
            each
            for each in mistakes
            if all(each.fits(marked, name, whole[name]) for name in derivatives)
        ]
        if fitting:
            told[_sentence(fitting)] = [_derivative(name) for name in wrong_ones]
            wrong = {name: each for name, each in wrong.items() if name == LOSS}
    for name, chosen in wrong.items():
        for asked, subject in (
            (whole[name], _derivative(name)),
            (chosen, f"what is wrong in {_derivative(name)}"),
        ):
            fitting = [
                each
                for each in mistakes
                if not each.is_of_all
                and not (each.is_transposed and asked is chosen)
                and each.fits(marked, name, asked)
            ]
            if fitting:
                told.setdefault(_sentence(fitting), []).append(subject)
                break
    return [f"{', '.join(subjects)}: {sentence}." for sentence, subjects in told.items()]


def _derivative(name: str) -> str:
    return name if name == LOSS else f"∂{LOSS}/∂{name}"


def _sentence(fitting: Sequence[_Mistake]) -> str:
    words = list(dict.fromkeys(each.words for each in fitting))
    if len(words) == 1:
        return words[0]
    more = " …" if len(words) > _MOST_TOLD else ""
    return f"several mistakes make it: {'; or '.join(words[:_MOST_TOLD])}{more}"


def _mistakes(marked: Marked) -> Iterator[_Mistake]:
    right = marked.bounds
    for factor, words in _FACTORS:
        yield _Mistake(words, right, lambda array, factor=factor: array / factor)  # type: ignore[misc]
    square = {n: b for n, b in right.items() if len(b.shape) == 2 and b.shape[0] == b.shape[1] > 1}
    yield _Mistake("the transposed array", square, lambda array: array.T, is_transposed=True)
    if isinstance(marked.enclosed, Enclosed):
        yield from _of_the_chain(marked.enclosed, marked)


def _of_the_chain(enclosed: Enclosed, marked: Marked) -> Iterator[_Mistake]:
    """Those of a dense network: each factor of the chain rule left out, the other reduction."""
    case, model = enclosed.case, enclosed.model
    network, depth = case.network, case.network.depth
    gates = gates_with(enclosed, dict(marked.slopes))
    if case.rows > 1:
        mean = network.reduction == "mean"
        other = Judge(
            replace(case, network=replace(network, reduction="sum" if mean else "mean"))
        ).enclosed(model)
        bounds = dict(other.gradients(gates_with(other, dict(marked.slopes))).entries())
        made, wanted = ("the sum", "the mean") if mean else ("the mean", "the sum")
        yield _Mistake(f"{made} over the rows, not {wanted}", bounds)

    def swept(gates: Sequence[Any], weights: Sequence[Any], cotangent: Enclosure) -> Any:
        with np.errstate(all="ignore"):
            return _named(
                backward(
                    network,
                    weights,
                    enclosed.biases,
                    enclosed.trace,
                    enclosed.y,
                    gates,
                    lambda *_: (enclosed.loss, cotangent),
                )
            )

    for layer in range(depth, 0, -1):
        if gates[layer - 1] is not None:
            open_gates = [None if at == layer else gate for at, gate in enumerate(gates, start=1)]
            found = swept(open_gates, enclosed.weights, enclosed.cotangent)
            yield _Mistake(f"without the mask of the ReLU, the factor ∂a{layer}/∂z{layer}", found)
    if sum(gate is not None and bool((gate != 1).any()) for gate in gates) > 1:
        found = swept([None] * depth, enclosed.weights, enclosed.cotangent)
        yield _Mistake("without the mask of any ReLU", found, is_of_all=True)
    ones = Enclosure.of(model, np.ones(enclosed.cotangent.shape))
    words = f"without the factor ∂J/∂a{depth}"
    yield _Mistake(words, swept(gates, enclosed.weights, ones))
    for layer in range(depth, 0, -1):
        shape = enclosed.weights[layer - 1].shape
        if shape[0] != shape[1]:
            continue
        weights = [*enclosed.weights]
        weights[layer - 1] = Enclosure.of(model, np.eye(shape[0]))
        below = "x" if layer == 1 else f"a{layer - 1}"
        words = f"without the factor ∂z{layer}/∂{below} = W{layer}"
        yield _Mistake(words, swept(gates, weights, enclosed.cotangent))
    yield from _without_activations(enclosed, gates)


def _without_activations(enclosed: Enclosed, gates: Sequence[Any]) -> Iterator[_Mistake]:
    """∂z/∂W left out of ∂J/∂W of a layer."""
    cotangent = enclosed.cotangent
    for layer in range(enclosed.case.network.depth, 0, -1):
        at = layer - 1
        below, gate = enclosed.trace.activations[at], gates[at]
        with np.errstate(all="ignore"):
            ones = Enclosure.of(enclosed.model, np.ones(below.shape))
            made = backward_layer(enclosed.weights[at], None, ones, cotangent, gate)[0]
            cotangent = backward_layer(enclosed.weights[at], None, below, cotangent, gate)[2]
        named = "x" if layer == 1 else f"a{at}"
        words = f"without the factor ∂z{layer}/∂W{layer} = {named}"
        yield _Mistake(words, {f"W{layer}": made})


def _named(found: Gradients) -> dict[str, Any]:
    return {name: each for name, each in found.entries() if name != LOSS}
