"""Cases at the sizes at which kernels change, drawn from seeds.

Code that computes gradients goes another way from some size on: a loop over vectors of 4, 8, 16 or
32 numbers and a remainder, a tile of 8 or 16 rows, a transposed copy of a matrix that is not
square. A fault in one of them shows in no smaller network. So there are networks right below, at
and above each power of two up to 64 in widths, and up to 16 in rows. Hypothesis cannot draw so many
numbers one by one; an integer seeds NumPy's Philox generator here, and what fails is made small by
`crosscheck.cases.shrink`.

Two kinds of numbers take turns. *Gaussian* ones fill all bits. *Whole* ones are small, and each
unit has few weights that are not zero, all 1 or -1: then sums are exact in any order, most bounds
are 0, and every bit of the gradient must be right, in dtypes of few digits too. Inputs, targets and
gradients are dense in both kinds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crosscheck.cases.construct import clear_case
from crosscheck.cases.drawing import Shape, fan_in_scale, layer_pairs
from crosscheck.network.dense import Case, Network, Output, Reduction
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of

__all__ = ["WIDE_SHAPES", "Visit", "visits", "wide_case", "wide_stack"]

WIDE_SHAPES: tuple[Shape, ...] = (
    ((17, 17, 1), 16),
    ((65, 8, 1), 17),
    ((9, 9, 9, 2), 9),
    ((33, 31, 33), 2),
    ((7, 8, 9), 8),
    ((15, 16, 17), 3),
    ((32, 32, 2), 15),
    ((63, 64, 2), 9),
    ((8, 7, 1), 17),
    ((31, 32, 1), 7),
    ((16, 15, 8), 5),
    ((64, 64, 65), 1),
)
"""(widths, rows). Few, because frameworks compile for each; any four in a row have more than 8 rows
somewhere, and remainders of loops over 4, 8 and 16."""

_WEIGHTS = 4
"""Weights of a unit that are not zero, on the average, where all are whole."""

Visit = tuple[Shape, str, bool, int]
"""A shape, a dtype, whether a whole stack is put to a framework at once, and a seed."""


def visits(count: int, dtypes: Sequence[str], seed: int) -> list[Visit]:
    """``count`` visits to the shapes in turn, half of them with stacks and half with single cases.

    In four rounds each shape meets both forms with each of two dtypes.
    """
    found: list[Visit] = []
    for number in range(count):
        turn, place = divmod(number, len(WIDE_SHAPES))
        dtype = dtypes[(place // 2 + turn // 2) % len(dtypes)]
        found.append((WIDE_SHAPES[place], dtype, (place + turn) % 2 == 0, seed + number))
    return found


def wide_stack(shape: Shape, seed: int, count: int, dtype: str) -> Case:
    """A stack of ``count`` cases of one shape without open gates, every other one of whole numbers.

    Output, reduction and the layers without bias are a fixed function of the shape: each of them
    would be compiled anew.

    Args:
        shape: (widths, rows).
        seed: Of all numbers, not negative.
        count: How many cases.
        dtype: Of the cases.
    """
    widths, rows = shape
    number = sum(widths)
    outputs: tuple[Output, Output] = ("identity", "relu")
    reductions: tuple[Reduction, Reduction] = ("sum", "mean")
    network = Network(widths, outputs[(number // 2 + rows) % 2], reductions[number % 2])
    has_bias = [(number + layer) % 5 != 0 for layer in range(network.depth)]
    rng, form = np.random.Generator(np.random.Philox(seed)), format_of(dtype)
    pairs = layer_pairs(network)
    whole = np.arange(count)[:, None, None] % 2 == seed % 2

    def draw(*size: int) -> Array:
        gaussian = form.round(rng.standard_normal((count, *size)))
        return np.where(whole, rng.integers(-2, 2, (count, *size), endpoint=True), gaussian)

    def weights(units: int, inputs: int) -> Array:
        gaussian = form.round(rng.standard_normal((count, units, inputs)))
        gaussian = form.round(gaussian * fan_in_scale((units, inputs), dtype))
        signs = rng.choice([-1.0, 1.0], (count, units, inputs))
        there = rng.random((count, units, inputs)) < _WEIGHTS / inputs
        return np.where(whole, signs * there, gaussian)

    return clear_case(
        network,
        [weights(*pair) for pair in pairs],
        has_bias,
        [rng.integers(0, rows, (count, units), endpoint=True) for units, _ in pairs],
        draw(rows, widths[0]),
        draw(rows, widths[-1]),
        dtype,
    )


def wide_case(shape: Shape, seed: int, dtype: str) -> Case:
    """A single case of `wide_stack`, of whole numbers if the seed is even."""
    return wide_stack(shape, seed, 1, dtype)[0]
