"""Hypothesis strategies for networks: away from kinks, on them, and in stacks.

>>> from hypothesis import given
>>> from harness.strategies import boundary_cases, smooth_cases
>>> @given(smooth_cases(dtype="float32"))
... def test_my_gradient(case): ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.construct import clear_case
from harness.errors import UsageError
from harness.formats import format_of
from harness.network import Array, Case, Network

__all__ = [
    "BOUNDARY_KINDS",
    "SHAPES",
    "boundary_cases",
    "networks",
    "seeded_stacks",
    "smooth_cases",
]

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
"""(widths, rows) of the networks that are drawn. Few, because frameworks compile for each shape."""


def networks(shapes: Sequence[Shape] = SHAPES) -> st.SearchStrategy[tuple[Network, int]]:
    """Pairs of a network and a number of rows."""
    return st.builds(
        lambda shape, output, reduction: (Network(shape[0], output, reduction), shape[1]),
        st.sampled_from(list(shapes)),
        st.sampled_from(["relu", "identity"]),
        st.sampled_from(["sum", "mean"]),
    )


def smooth_cases(
    *, dtype: str = "float64", shapes: Sequence[Shape] = SHAPES
) -> st.SearchStrategy[Case]:
    """Single cases in which no pre-activation is near zero, by construction.

    Weights, inputs and targets are drawn; then each bias is chosen so that the pre-activations
    of its unit keep clear of zero in every row and every order of evaluation
    (`harness.construct.clear_case`), with active and inactive rows as drawn. In one case of
    eight some layers have no bias.

    Args:
        dtype: ``"float64"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        shapes: (widths, rows) to choose from.
    """
    form = format_of(dtype)

    @st.composite
    def draw_case(draw: st.DrawFn) -> Case:
        network, rows = draw(networks(shapes))
        numbers = _numbers(dtype)
        pairs = _pairs(network)
        weights = [
            form.round(draw(hnp.arrays(np.float64, pair, elements=numbers)) * _scale(pair, dtype))
            for pair in pairs
        ]
        gaps = [
            draw(hnp.arrays(np.int64, units, elements=st.integers(0, rows))) for units, _ in pairs
        ]
        x = draw(hnp.arrays(np.float64, (rows, network.widths[0]), elements=numbers))
        y = draw(hnp.arrays(np.float64, (rows, network.widths[-1]), elements=numbers))
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
    *, count: int, dtype: str = "float64", shapes: Sequence[Shape] = SHAPES
) -> st.SearchStrategy[Case]:
    """Stacks of ``count`` smooth cases of one shape, all drawn from one integer.

    The integer seeds NumPy's Philox generator, which draws Gaussian weights, inputs and targets,
    a power of two that scales each case, and the gaps for `harness.construct.clear_case`. This
    covers ground a thousand times faster than drawing each number, but what fails does not
    shrink: pick the failing case out of the stack.
    """

    def build(drawn: tuple[Network, int], seed: int) -> Case:
        network, rows = drawn
        rng = np.random.Generator(np.random.Philox(seed))
        return _gaussian_stack(rng, network, rows, count, dtype)

    return st.builds(build, networks(shapes), st.integers(0, 2**63 - 1))


def _gaussian_stack(
    rng: np.random.Generator, network: Network, rows: int, count: int, dtype: str
) -> Case:
    form = format_of(dtype)
    spread = 2 if dtype == "float16" else 8
    pairs = _pairs(network)

    def draw(*shape: int) -> Array:
        scale = np.exp2(rng.integers(-spread, spread, (count, 1, 1), endpoint=True))
        # Half of the cases keep ordinary magnitudes.
        scale[: count // 2] = 1.0
        return form.round(rng.standard_normal((count, *shape)) * scale)

    return clear_case(
        network,
        [form.round(draw(*pair) * _scale(pair, dtype)) for pair in pairs],
        (rng.random(network.depth) < 0.9).tolist(),
        [rng.integers(0, rows, (count, units), endpoint=True) for units, _ in pairs],
        draw(rows, network.widths[0]),
        draw(rows, network.widths[-1]),
        dtype,
    )


BOUNDARY_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "cancelling bias": "one unit's bias is minus its exactly computed sum, in some row",
        "every layer": "the same in every layer at once",
        "zero row": "a row of zeros meets a first layer without bias: all its units at zero",
        "cancelling weights": "weights w and -w on equal inputs, bias zero",
        "tied units": "two equal units, both at zero",
        "dead unit": "weights and bias of a unit are zero, or minus zero",
        "small numbers": "small whole numbers everywhere; kinks come by themselves",
        "beside": "the bias is minus the rounded sum: on one side of zero, or on the other",
        "subnormal": "pre-activations that are subnormal numbers",
    }
)
"""The kinds of boundary case. All but the last three have an exact kink by construction."""


def boundary_cases(
    *, dtype: str = "float64", kind: str | None = None, shapes: Sequence[Shape] = SHAPES
) -> st.SearchStrategy[Case]:
    """Single cases with pre-activations exactly zero, by construction, or right beside it.

    The numbers are small multiples of ½ and each unit has at most two weights, so that all sums
    are exact in every dtype and every order of evaluation: the kinks are certain.

    Args:
        dtype: ``"float64"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``.
        kind: One of `BOUNDARY_KINDS`; all of them by default.
        shapes: (widths, rows) to choose from.

    Raises:
        UsageError: No such kind.
    """
    if kind is not None and kind not in BOUNDARY_KINDS:
        raise UsageError(f"kind={kind!r}: wanted one of {', '.join(BOUNDARY_KINDS)}")
    format_of(dtype)
    if kind is not None:
        return _boundary(kind, dtype, shapes)
    return st.one_of([_boundary(each, dtype, shapes) for each in BOUNDARY_KINDS])


@st.composite
def _boundary(draw: st.DrawFn, kind: str, dtype: str, shapes: Sequence[Shape]) -> Case:
    network, rows = draw(networks(shapes))
    halves = st.integers(-4, 4).map(lambda number: number / 2)
    if kind == "beside":
        halves = _numbers(dtype)
    form = format_of(dtype)
    weights = [_sparse(draw, pair) for pair in _pairs(network)]
    biases = [
        form.round(draw(hnp.arrays(np.float64, units, elements=halves)))
        for units in network.widths[1:]
    ]
    x = form.round(draw(hnp.arrays(np.float64, (rows, network.widths[0]), elements=halves)))
    y = form.round(draw(hnp.arrays(np.float64, (rows, network.widths[-1]), elements=halves)))
    relu_layers = [layer for layer in range(1, network.depth + 1) if network.has_relu(layer)]
    if not relu_layers:
        network = Network(network.widths, "relu", network.reduction)
        relu_layers = [network.depth]
    layer = draw(st.sampled_from(relu_layers))
    unit = draw(st.integers(0, network.widths[layer] - 1))
    row = draw(st.integers(0, rows - 1))
    if kind == "beside":
        weights = [form.round(weight * draw(_numbers(dtype))) for weight in weights]
    _PLACE.get(kind, _leave)(draw, weights, biases, x, layer, unit, row)
    if kind in {"cancelling bias", "every layer", "tied units", "beside"}:
        # From the bottom up, so that what a bias has changed below is known above.
        for at in relu_layers if kind == "every layer" else [layer]:
            here = unit if at == layer else draw(st.integers(0, network.widths[at] - 1))
            sums = form.round(_activations(weights, biases, x, at - 1) @ weights[at - 1].T)
            biases[at - 1][here] = -sums[row, here]
            if kind == "tied units":
                weights[at - 1][-1], biases[at - 1][-1] = weights[at - 1][here], -sums[row, here]
    if kind == "subnormal":
        # z = ±k η exactly: only the bias is left of this unit's sum.
        weights[layer - 1][unit] = 0.0
        biases[layer - 1][unit] = draw(st.sampled_from([-3, -1, 1, 3])) * form.smallest_subnormal
    return Case(network, tuple(weights), tuple(biases), x, y, dtype)


Place = Callable[[st.DrawFn, list[Array], list[Array], Array, int, int, int], None]


def _leave(
    draw: st.DrawFn,
    weights: list[Array],
    biases: list[Array],
    x: Array,
    layer: int,
    unit: int,
    row: int,
) -> None:
    """The numbers stay as they were drawn."""


def _zero_row(
    draw: st.DrawFn,
    weights: list[Array],
    biases: list[Array],
    x: Array,
    layer: int,
    unit: int,
    row: int,
) -> None:
    x[row] = draw(st.sampled_from([0.0, -0.0]))
    biases[0][:] = draw(st.sampled_from([0.0, -0.0]))


def _cancelling_weights(
    draw: st.DrawFn,
    weights: list[Array],
    biases: list[Array],
    x: Array,
    layer: int,
    unit: int,
    row: int,
) -> None:
    # With a single input there is no pair; the unit then is a dead one.
    weights[0][:, :] = 0.0
    if x.shape[-1] > 1:
        x[row, 1] = x[row, 0]
        weights[0][:, 0], weights[0][:, 1] = 1.0, -1.0
    biases[0][:] = 0.0


def _dead_unit(
    draw: st.DrawFn,
    weights: list[Array],
    biases: list[Array],
    x: Array,
    layer: int,
    unit: int,
    row: int,
) -> None:
    weights[layer - 1][unit] = draw(st.sampled_from([0.0, -0.0]))
    biases[layer - 1][unit] = draw(st.sampled_from([0.0, -0.0]))


_PLACE: Mapping[str, Place] = {
    "zero row": _zero_row,
    "cancelling weights": _cancelling_weights,
    "dead unit": _dead_unit,
}


def _activations(weights: list[Array], biases: list[Array], x: Array, layer: int) -> Array:
    """a_layer; exact for the small numbers of the kinds that need it."""
    a = x
    for weight, bias in zip(weights[:layer], biases[:layer], strict=True):
        a = np.maximum(a @ weight.T + bias, 0.0)
    return a


def _sparse(draw: st.DrawFn, pair: tuple[int, int]) -> Array:
    """A weight matrix with at most two non-zero weights for each unit, each ±1 or ±½.

    Sums then grow so slowly that four layers of them fit the 8 bits of bfloat16.
    """
    units, inputs = pair
    weight = np.zeros(pair)
    choices = st.sampled_from([1.0, -1.0, 0.5, -0.5])
    columns = draw(hnp.arrays(np.int64, (2, units), elements=st.integers(0, inputs - 1)))
    values = draw(hnp.arrays(np.float64, (2, units), elements=choices))
    for column, value in zip(columns, values, strict=True):
        weight[np.arange(units), column] = value
    return weight


def _pairs(network: Network) -> list[tuple[int, int]]:
    return list(zip(network.widths[1:], network.widths[:-1], strict=True))


def _numbers(dtype: str) -> st.SearchStrategy[float]:
    """Small whole numbers first, then any number of moderate size."""
    width: Any = {"float64": 64, "float32": 32, "bfloat16": 16, "float16": 16}[dtype]
    whole = st.integers(-4, 4).map(float)
    floats = st.floats(-4.0, 4.0, width=width, allow_subnormal=False)
    return st.one_of(whole, floats.map(lambda value: float(format_of(dtype).round(value))))


def _scale(pair: tuple[int, int], dtype: str) -> float:
    """Keeps sums of float16 within its narrow range: a power of two, at least the fan-in."""
    return float(2.0 ** -np.ceil(np.log2(4 * pair[1]))) if dtype == "float16" else 1.0
