"""What every strategy draws from: shapes, networks, numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from crosscheck.network.dense import Network, Output, Reduction
from crosscheck.numbers.formats import COARSE, Format, format_of

__all__ = ["SHAPES", "Shape", "binades", "fan_in_scale", "layer_pairs", "networks", "numbers"]

Shape = tuple[tuple[int, ...], int]

SHAPES: tuple[Shape, ...] = (
    ((1, 1), 1),
    ((1, 1, 1), 1),
    ((2, 3, 1), 1),
    ((1, 2, 2), 3),
    ((3, 4, 2), 2),
    ((4, 8, 1), 1),
    ((4, 8, 1), 4),
    ((2, 2, 2, 1), 2),
    ((5, 7, 3, 2), 3),
    ((3, 3, 3, 3, 1), 1),
    ((16, 16, 4), 2),
    ((8, 16, 16, 16, 2), 1),
)
"""(widths, rows) of the networks that are drawn number by number, and so are small; others are in
`crosscheck.cases.wide`. Few, because frameworks compile for each shape."""

_ENDS: tuple[tuple[Output, Reduction], ...] = (
    ("relu", "sum"),
    ("identity", "mean"),
    ("relu", "mean"),
    ("identity", "sum"),
)


def networks(
    shapes: Sequence[Shape] = SHAPES, turn: int | None = None
) -> st.SearchStrategy[tuple[Network, int]]:
    """Pairs of a network and a number of rows.

    Args:
        shapes: (widths, rows) to choose from.
        turn: Gives each shape one of the four pairs of an output and a reduction, another at each
            turn, so that frameworks compile a fourth as often. By default they are drawn.
    """
    if turn is not None:
        found = []
        for number, (widths, rows) in enumerate(shapes):
            output, reduction = _ENDS[(number + turn) % len(_ENDS)]
            found.append((Network(widths, output, reduction), rows))
        return st.sampled_from(found)
    return st.builds(
        lambda shape, output, reduction: (Network(shape[0], output, reduction), shape[1]),
        st.sampled_from(list(shapes)),
        st.sampled_from(["relu", "identity"]),
        st.sampled_from(["sum", "mean"]),
    )


def layer_pairs(network: Network) -> list[tuple[int, int]]:
    """(units, inputs) of each layer."""
    return list(zip(network.widths[1:], network.widths[:-1], strict=True))


def numbers(dtype: str) -> st.SearchStrategy[float]:
    """Small whole numbers first, then any number of moderate size."""
    form = format_of(dtype)
    width: Any = 64 if form.precision > 24 else 32 if form.precision > 11 else 16
    whole = st.integers(-4, 4).map(float)
    floats = st.floats(-4.0, 4.0, width=width, allow_subnormal=False)
    return st.one_of(whole, floats.map(lambda value: float(form.round(value))))


def binades(form: Format) -> int:
    """Numbers are scaled by powers of two up to this and down to its inverse: 2 to the result."""
    return 8 if form.emax >= 64 else 2 if form.precision >= COARSE else 0


def fan_in_scale(pair: tuple[int, int], dtype: str) -> float:
    """Keeps sums within the range of narrow formats: a power of two, at least the fan-in."""
    form = format_of(dtype)
    if form.emax >= 64:
        return 1.0
    least = 4 if form.precision >= COARSE else 16
    return float(2.0 ** -np.ceil(np.log2(least * pair[1])))
