"""Hypothesis strategies for networks: away from kinks, on them, and in stacks.

>>> from hypothesis import given
>>> from crosscheck.cases.strategies import boundary_cases, smooth_cases
>>> @given(smooth_cases(dtype="float32"))
... def test_my_gradient(case): ...
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crosscheck.cases.boundary import BOUNDARY_KINDS, boundary_cases
from crosscheck.cases.construct import clear_case, clear_shapes
from crosscheck.cases.drawing import (
    SHAPES,
    Shape,
    binades,
    fan_in_scale,
    layer_pairs,
    networks,
    numbers,
)
from crosscheck.cases.infinities import NONFINITE_KINDS, nonfinite_cases
from crosscheck.network.dense import Case, Network
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic

__all__ = [
    "BOUNDARY_KINDS",
    "NONFINITE_KINDS",
    "SHAPES",
    "boundary_cases",
    "gaussian_stack",
    "networks",
    "nonfinite_cases",
    "seeded_stacks",
    "smooth_cases",
]


def smooth_cases(
    *, dtype: str = "float64", shapes: Sequence[Shape] = SHAPES, turn: int | None = None
) -> st.SearchStrategy[Case]:
    """Single cases in which no pre-activation is near zero, by construction.

    Weights, inputs and targets are drawn; then each bias is chosen so that the pre-activations
    of its unit keep clear of zero in every row and every order of evaluation
    (`crosscheck.cases.construct.clear_case`), with active and inactive rows as drawn. In one case
    of eight some layers have no bias.

    Args:
        dtype: A name in `crosscheck.numbers.formats.FORMATS`.
        shapes: (widths, rows) to choose from; in a coarse format from those that are narrow enough
            for it (`crosscheck.cases.construct.clear_shapes`).
        turn: As of `networks`.
    """
    form = format_of(dtype)
    chosen = clear_shapes(shapes, form)

    @st.composite
    @in_ieee_arithmetic
    def draw_case(draw: st.DrawFn) -> Case:
        network, rows = draw(networks(chosen, turn))
        values = numbers(dtype)
        pairs = layer_pairs(network)
        weights = [
            form.round(
                draw(hnp.arrays(np.float64, pair, elements=values)) * fan_in_scale(pair, dtype)
            )
            for pair in pairs
        ]
        gaps = [
            draw(hnp.arrays(np.int64, units, elements=st.integers(0, rows))) for units, _ in pairs
        ]
        x = draw(hnp.arrays(np.float64, (rows, network.widths[0]), elements=values))
        y = draw(hnp.arrays(np.float64, (rows, network.widths[-1]), elements=values))
        has_bias = [True] * network.depth
        if draw(st.integers(0, 7)) == 7:
            has_bias = draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
        return clear_case(
            network,
            [weight[None] for weight in weights],
            has_bias,
            [gap[None] for gap in gaps],
            x[None],
            y[None],
            dtype,
        )[0]

    return draw_case()


def seeded_stacks(
    *,
    count: int,
    dtype: str = "float64",
    shapes: Sequence[Shape] = SHAPES,
    turn: int | None = None,
) -> st.SearchStrategy[Case]:
    """Stacks of ``count`` smooth cases of one shape, all drawn from one integer.

    The integer seeds NumPy's Philox generator, which draws Gaussian weights, inputs and targets,
    a power of two that scales each case, and the gaps for `crosscheck.cases.construct.clear_case`.
    This covers ground a thousand times faster than drawing each number, but what fails does not
    shrink: pick the failing case out of the stack.
    """

    def build(drawn: tuple[Network, int], seed: int) -> Case:
        network, rows = drawn
        rng = np.random.Generator(np.random.Philox(seed))
        return gaussian_stack(rng, network, rows, count, dtype)

    chosen = clear_shapes(shapes, format_of(dtype))
    return st.builds(build, networks(chosen, turn), st.integers(0, 2**63 - 1))


def gaussian_stack(
    rng: np.random.Generator, network: Network, rows: int, count: int, dtype: str
) -> Case:
    """A stack of ``count`` smooth cases of one shape; see `seeded_stacks`."""
    form = format_of(dtype)
    spread = binades(form)
    pairs = layer_pairs(network)

    def draw(*shape: int) -> Array:
        scale = np.exp2(rng.integers(-spread, spread, (count, 1, 1), endpoint=True))
        # Half of the cases keep ordinary magnitudes.
        scale[: count // 2] = 1.0
        return form.round(rng.standard_normal((count, *shape)) * scale)

    return clear_case(
        network,
        [form.round(draw(*pair) * fan_in_scale(pair, dtype)) for pair in pairs],
        (rng.random(network.depth) < 0.9).tolist(),
        [rng.integers(0, rows, (count, units), endpoint=True) for units, _ in pairs],
        draw(rows, network.widths[0]),
        draw(rows, network.widths[-1]),
        dtype,
    )
