"""Networks of operators whose matrix products are cut, all of them or some: REDUCED, and faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from coarser import cut

from crosscheck.judge.programs.judge import ProgramJudge
from crosscheck.judge.verdict import FAILING, Kind
from crosscheck.network.composed import Composed, Derivatives
from crosscheck.network.steps import step
from crosscheck.numbers.formats import FORMATS
from crosscheck.program.evaluate import evaluate
from crosscheck.program.floats import OnFloats

BFLOAT16 = FORMATS["bfloat16"]


@dataclass
class Cutting(OnFloats):
    """Every operation rounded to bfloat16, and of matrix products those cut that are chosen."""

    is_cut: Iterator[bool] = field(default_factory=lambda: iter([]))

    def add(self, a: Any, b: Any) -> Any:
        return BFLOAT16.round(np.asarray(super().add(a, b)))

    def mul(self, a: Any, b: Any) -> Any:
        return BFLOAT16.round(np.asarray(super().mul(a, b)))

    def sum(self, a: Any, axes: tuple[int, ...], keep: bool) -> Any:
        return BFLOAT16.round(np.asarray(super().sum(a, axes, keep)))

    def contract(self, a: Any, b: Any) -> Any:
        found = np.asarray(super().contract(a, b))
        return cut(found) if next(self.is_cut) else BFLOAT16.round(found)


def network(width: int, seed: int) -> Composed:
    """A convolution of one tap and a dense layer of one unit: bounds of few roundings."""
    rng = np.random.default_rng([width, seed])

    def drawn(*shape: int) -> Any:
        return BFLOAT16.round(rng.uniform(0.25, 1.0, shape))

    steps = (
        step("h", "conv1d", "x", "K", "c"),
        step("flat", "flatten", "h"),
        step("out", "dense", "flat", "W", "b"),
        step("loss", "absolute_error", "out", "y"),
    )
    parameters = {"K": drawn(1, 1, width), "c": drawn(1), "W": drawn(1, 1), "b": drawn(1)}
    return Composed(steps, parameters, {"x": drawn(1, 1, width), "y": drawn(1, 1)}, "bfloat16")


def answered(case: Composed, is_cut: Callable[[int], bool]) -> Derivatives:
    """A gradient in which the n-th matrix product is cut where ``is_cut(n)``."""
    cutting = Cutting(is_cut=map(is_cut, iter(range(1000))))
    found = evaluate(case.gradient, cutting, dict(case.entries()))
    return Derivatives(found.pop("J"), found)


@pytest.mark.parametrize("width", [1, 64])
@pytest.mark.parametrize("kept", [0, 2, 3], ids=["all", "every other", "two of three"])
def test_products_that_are_cut_in_part_are_reduced_or_agree(width: int, kept: int) -> None:
    kinds = set()
    for seed in range(8):
        case = network(width, seed)
        given = answered(case, lambda n: not kept or n % kept != 0)
        found = ProgramJudge(case).verdict(given, framework="simulated")
        kinds.add(found.kind)
        assert found.kind in (Kind.AGREES, Kind.REDUCED), (seed, found)
        if found.kind is Kind.REDUCED:
            assert found.arithmetics == ("truncated",)
    assert Kind.REDUCED in kinds or width > 1


@pytest.mark.parametrize("width", [1, 64])
@pytest.mark.parametrize(
    "fault",
    [np.zeros_like, np.negative, lambda array: 2.0 * array, lambda array: 1.5 * array],
    ids=["nothing", "the other sign", "twice", "half as much again"],
)
def test_a_wrong_array_beside_products_that_are_cut_is_none_of_it(fault: Any, width: int) -> None:
    for seed in range(3):
        case = network(width, seed)
        given = answered(case, lambda n: n % 2 == 0)
        for name in case.wanted:
            arrays = {**given.arrays, name: BFLOAT16.round(fault(np.asarray(given.arrays[name])))}
            found = ProgramJudge(case).verdict(
                Derivatives(given.loss, arrays), framework="simulated"
            )
            assert found.kind is Kind.DISAGREES, (name, seed, found)
            assert found.kind in FAILING
