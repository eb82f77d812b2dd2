"""How small a fault is caught: one entry of a correct gradient made wrong by a factor 1 + 2^-k.

A check is worth what it can catch. Here a framework's gradients on Gaussian networks are taken,
one random non-zero entry of each is multiplied by 1 + 2^-k (and rounded to the dtype, one ulp
away at least), and the share of cases that no longer AGREE is counted. The same faults are put
to the frameworks' own checkers, inside a function whose backward pass is wrong in that entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crosscheck.frameworks.base import Framework
from crosscheck.frameworks.gatekeeper import required
from crosscheck.judge.door import Answer, certified, judge
from crosscheck.judge.verdict import fails
from crosscheck.network.dense import Case, Gradients
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import Format, format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.studies import peers

__all__ = ["FAULTS", "SHAPES", "Power", "gaussian_stack", "measure", "measure_peer", "plant"]

SHAPES = ((1, 1, 1), (4, 8, 1), (4, 8, 8, 1), (16, 32, 32, 4))
"""Widths of the networks that the power is measured on."""

FAULTS = {
    "float64": (5, 10, 15, 20, 25, 30, 35, 41, 45, 48, 52),
    "float32": (5, 8, 10, 12, 15, 18, 20, 23),
}
"""dtype to the k of the faults 1 + 2^-k that are planted."""


@dataclass(frozen=True)
class Power:
    """What was measured for one fault size.

    Attributes:
        checker: ``"crosscheck"``, or a key of `crosscheck.studies.peers.CHECKERS`.
        widths: Shape of the networks.
        rows: Rows of each batch.
        dtype: Of the cases.
        exponent: k; the fault is a factor 1 + 2^-k. ``None`` for no fault at all: then
            ``caught`` counts correct gradients that were rejected.
        caught: Cases in which the fault was caught.
        cases: Cases in which it was planted.
    """

    checker: str
    widths: tuple[int, ...]
    rows: int
    dtype: str
    exponent: int | None
    caught: int
    cases: int

    @property
    def probability(self) -> float:
        """Share of the faults that were caught."""
        return self.caught / self.cases


@in_ieee_arithmetic
def gaussian_stack(widths: Sequence[int], *, rows: int, count: int, dtype: str, seed: int) -> Case:
    """``count`` networks with standard Gaussian parameters, inputs and targets."""
    rng = np.random.Generator(np.random.Philox(seed))
    draw = rng.standard_normal
    pairs = list(zip(widths[1:], widths[:-1], strict=True))
    return Case.of(
        [draw((count, *pair)) for pair in pairs],
        [draw((count, units)) for units, _ in pairs],
        draw((count, rows, widths[0])),
        draw((count, rows, widths[-1])),
        dtype=dtype,
    )


@in_ieee_arithmetic
def plant(
    given: Gradients, exponent: int, form: Format, rng: np.random.Generator
) -> tuple[Gradients, Array]:
    """The gradients of a stack with one entry of each case wrong by a factor 1 + 2^-k.

    Args:
        given: Correct gradients of a stack of C cases.
        exponent: k.
        form: The format that the wrong entry is rounded to.
        rng: Chooses the entries.

    Returns:
        The wrong gradients, and a bool array of shape (C,): whether the case had a non-zero
        entry whose change the format can hold.
    """
    names = [name for name, _ in given.entries() if name != "J"]
    arrays = {name: np.array(value) for name, value in given.entries()}
    count = len(arrays["J"])
    flat = np.concatenate([arrays[name].reshape(count, -1) for name in names], axis=1)
    weight = np.where(np.isfinite(flat) & (flat != 0), rng.random(flat.shape), -1.0)
    column = np.argmax(weight, axis=1)
    rows = np.arange(count)
    old = flat[rows, column]
    new = form.round(old * (1.0 + 2.0**-exponent))
    planted = (weight[rows, column] >= 0) & (new != old) & np.isfinite(new)
    flat[rows, column] = np.where(planted, new, old)
    start = 0
    for name in names:
        size = arrays[name][0].size
        arrays[name] = flat[:, start : start + size].reshape(arrays[name].shape)
        start += size
    return given.map_named(lambda name, _: arrays[name]), planted


def measure(
    framework: Framework,
    widths: Sequence[int],
    *,
    dtype: str,
    exponents: Sequence[int],
    rows: int = 1,
    count: int = 2000,
    seed: int = 0,
) -> list[Power]:
    """The share of planted faults that the verdicts catch, for each k of ``exponents``."""
    stack = gaussian_stack(widths, rows=rows, count=count, dtype=dtype, seed=seed)
    given, form = required(framework, stack), format_of(dtype)
    common = (tuple(widths), rows, dtype)
    rng = np.random.Generator(np.random.Philox(seed + 1))
    faults = [plant(given, exponent, form, rng) for exponent in exponents]
    right = judge(stack, [Answer(given, framework.derivation)])
    rejected = sum(fails(right.verdict(0, index)) for index in range(count))
    results = [Power("crosscheck", *common, None, rejected, count)]
    still = certified(stack, [Answer(wrong, framework.derivation) for wrong, _ in faults]).agrees
    for exponent, (_, planted), passes in zip(exponents, faults, still, strict=True):
        usable = right.agrees[0] & planted
        caught = int((usable & ~passes).sum())
        results.append(Power("crosscheck", *common, exponent, caught, int(usable.sum())))
    return results


def measure_peer(
    checker: str,
    framework: Framework,
    widths: Sequence[int],
    *,
    dtype: str,
    exponents: Sequence[int],
    rows: int = 1,
    count: int = 50,
    seed: int = 0,
) -> list[Power]:
    """The same for one of `crosscheck.studies.peers.CHECKERS`, on the first of the same cases."""
    stack = gaussian_stack(widths, rows=rows, count=count, dtype=dtype, seed=seed)
    given, form = required(framework, stack), format_of(dtype)
    common = (tuple(widths), rows, dtype)

    def rejects(gradients: Gradients, index: int) -> bool:
        return not peers.accepts(checker, stack[index], gradients[index])

    rejected = sum(rejects(given, index) for index in range(count))
    results = [Power(checker, *common, None, rejected, count)]
    rng = np.random.Generator(np.random.Philox(seed + 1))
    for exponent in exponents:
        wrong, planted = plant(given, exponent, form, rng)
        usable = np.flatnonzero(planted).tolist()
        caught = sum(rejects(wrong, index) for index in usable)
        results.append(Power(checker, *common, exponent, caught, len(usable)))
    return results
