"""The networks under stress, as stacks of cases with the numbers of a regime.

All shapes are small and few: what an un-jitted framework takes is the compiling of each operation
for each shape, and no bound of a step depends on what is before or after it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crosscheck.cases.composed import Plan, plans
from crosscheck.network.composed import AnyCase
from crosscheck.network.dense import Case
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.operators.registry import known
from crosscheck.studies.stress.regimes import REGIMES

__all__ = ["CASES", "Stack", "stack_of", "stacks"]

CASES = 512
"""Cases in a stack."""

_DENSE = ((4, 8, 8, 1), (16, 24, 4))
_ROWS = 3


@dataclass(frozen=True)
class Stack:
    """A network, and a regime for its numbers.

    Attributes:
        name: In messages.
        network: A plan, or the widths of a dense network.
        regime: A key of `REGIMES`.
    """

    name: str
    network: Plan | tuple[int, ...]
    regime: str


def stacks() -> list[Stack]:
    """Every network in every regime: one round."""
    networks: dict[str, Plan | tuple[int, ...]] = {f"dense {widths}": widths for widths in _DENSE}
    asked = [name for name, each in known().items() if not each.is_drawn]
    every = [*plans(rows=_ROWS), *(plans([name], rows=_ROWS)[0] for name in asked)]
    for number, plan in enumerate(every):
        words = [each.op for each in plan.steps if each.op not in ("dense", "add")]
        networks[f"operators {number} ({', '.join(dict.fromkeys(words))})"] = plan
    return [
        Stack(f"{name}, {regime}", network, regime)
        for name, network in networks.items()
        for regime in REGIMES
    ]


@in_ieee_arithmetic
def stack_of(stack: Stack, dtype: str, seed: tuple[int, ...], count: int = CASES) -> AnyCase:
    """The cases of a stack.

    Args:
        stack: Which.
        dtype: Of the cases.
        seed: Of NumPy's Philox generator.
        count: How many cases.
    """
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
    form, draw = format_of(dtype), REGIMES[stack.regime]
    arrays = {
        name: draw(rng, name, rng.standard_normal((count, *shape)), form)
        for name, shape in _shapes(stack.network).items()
    }
    if isinstance(stack.network, Plan):
        return stack.network.case(arrays, dtype, count)
    layers = range(1, len(stack.network))
    weights, biases = ([arrays[f"{kind}{layer}"] for layer in layers] for kind in "Wb")
    return Case.of(weights, biases, arrays["x"], arrays["y"], dtype=dtype)


def _shapes(network: Plan | tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
    if isinstance(network, Plan):
        return {**network.parameters, **network.inputs}
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, (below, units) in enumerate(itertools.pairwise(network), start=1):
        shapes |= {f"W{layer}": (units, below), f"b{layer}": (units,)}
    return shapes | {"x": (_ROWS, network[0]), "y": (_ROWS, network[-1])}
