"""Hypothesis strategies for cases with NaN and infinities, and for finite ones that overflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crosscheck.cases.drawing import SHAPES, Shape, layer_pairs, networks
from crosscheck.network.dense import Case
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of
from crosscheck.tools.errors import UsageError

__all__ = ["NONFINITE_KINDS", "nonfinite_cases"]

NONFINITE_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "NaN": "one number of the case is NaN, in any of its arrays",
        "infinity": "one number is +inf or -inf, in a format that has them",
        "several": "two numbers, each NaN or an infinity",
        "overflow": "finite numbers, of which products or sums overflow, or only the loss does",
    }
)
"""The kinds of case that is not finite, or whose gradient need not be."""


def nonfinite_cases(
    *,
    dtype: str = "float64",
    kind: str | None = None,
    shapes: Sequence[Shape] = SHAPES,
    turn: int | None = None,
) -> st.SearchStrategy[Case]:
    """Single cases that hold NaN or infinity, or overflow.

    Args:
        dtype: A name in `crosscheck.numbers.formats.FORMATS`.
        kind: One of `NONFINITE_KINDS`; all of them by default.
        shapes: (widths, rows) to choose from.
        turn: As of `crosscheck.cases.drawing.networks`.

    Raises:
        UsageError: No such kind, or none in this format.
    """
    if kind is not None and kind not in NONFINITE_KINDS:
        raise UsageError(f"kind={kind!r}: wanted one of {', '.join(NONFINITE_KINDS)}")
    has_infinity = format_of(dtype).has_infinity
    if kind == "infinity" and not has_infinity:
        raise UsageError(f"kind={kind!r}: {dtype} has no infinity; leave the kind or the dtype out")
    if kind is not None:
        return _nonfinite(kind, dtype, shapes, turn)
    kinds = [each for each in NONFINITE_KINDS if has_infinity or each != "infinity"]
    return st.one_of([_nonfinite(each, dtype, shapes, turn) for each in kinds])


@st.composite
def _nonfinite(
    draw: st.DrawFn, kind: str, dtype: str, shapes: Sequence[Shape], turn: int | None
) -> Case:
    network, rows = draw(networks(shapes, turn))
    form = format_of(dtype)
    halves = st.integers(-4, 4).map(lambda number: number / 2)

    def array(*shape: int) -> Array:
        return draw(hnp.arrays(np.float64, shape, elements=halves))

    weights = [array(*pair) for pair in layer_pairs(network)]
    biases = [array(units) for units in network.widths[1:]]
    x, y = array(rows, network.widths[0]), array(rows, network.widths[-1])
    places = st.sampled_from([x, y, *weights, *biases])

    def put(value: float, into: Array) -> None:
        into.reshape(-1)[draw(st.integers(0, into.size - 1))] = value

    infinities = st.sampled_from([np.inf, -np.inf])
    if kind == "overflow":
        # Ω, or its root: one factor that overflows with any other, or two that just do.
        steps = draw(st.sampled_from([0, 1, 2, form.emax // 2 - 2, form.emax // 2 + 1]))
        sign = draw(st.sampled_from([1.0, -1.0]))
        for _ in range(draw(st.integers(1, 2))):
            put(sign * form.largest * 2.0**-steps, draw(places))
        put(2.0, x)
    else:
        special = {"NaN": st.just(np.nan), "infinity": infinities}
        both = st.one_of(st.just(np.nan), infinities) if form.has_infinity else st.just(np.nan)
        either = special.get(kind, both)
        for _ in range(2 if kind == "several" else 1):
            put(draw(either), draw(places))
    return Case(network, tuple(weights), tuple(biases), x, y, dtype)
