"""Hypothesis strategies for cases on kinks, and right beside them.

The numbers of most kinds are small multiples of ½ and each unit has at most two weights, so that
all sums are exact in every dtype and every order of evaluation: the kinks are certain. In coarse
formats the numbers are -1, 0 and 1, and each unit has one weight. There a_l <= 2^l, for a bias is
at most what it cancels or 1; the magnitudes that make a pre-activation of layer l add up to 2^l at
the most, and all of its partial sums are whole numbers of p bits if l <= p.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crosscheck.cases.drawing import SHAPES, Shape, layer_pairs, networks, numbers
from crosscheck.network.dense import Case, Network
from crosscheck.network.reference import float_forward
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import COARSE, Format, format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.tools.errors import UsageError

__all__ = ["BOUNDARY_KINDS", "boundary_cases"]

BOUNDARY_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "cancelling bias": "one unit's bias is minus its exactly computed sum, in some row",
        "every layer": "the same in every layer at once",
        "zero row": "a row of zeros meets a first layer without bias: all its units at zero",
        "cancelling weights": "weights w and -w on equal inputs, bias zero",
        "tied units": "two equal units, both at zero",
        "dead unit": "weights and bias of a unit are zero, or minus zero",
        "dead units": "the same of half of the units of each layer, or of its one unit",
        "small numbers": "small whole numbers everywhere; kinks come by themselves",
        "beside": "the bias is minus the rounded sum: on one side of zero, or on the other",
        "subnormal": "pre-activations that are subnormal numbers",
        "tiny": "pre-activations of a unit that are small normal numbers, exactly",
    }
)
"""The kinds of boundary case. All but the last four have an exact kink by construction."""


def boundary_cases(
    *,
    dtype: str = "float64",
    kind: str | None = None,
    shapes: Sequence[Shape] = SHAPES,
    turn: int | None = None,
) -> st.SearchStrategy[Case]:
    """Single cases with pre-activations exactly zero, by construction, or right beside it.

    Args:
        dtype: A name in `crosscheck.numbers.formats.FORMATS`.
        kind: One of `BOUNDARY_KINDS`; all of them by default.
        shapes: (widths, rows) to choose from.
        turn: As of `crosscheck.cases.drawing.networks`.

    Raises:
        UsageError: No such kind.
    """
    if kind is not None and kind not in BOUNDARY_KINDS:
        raise UsageError(f"kind={kind!r}: wanted one of {', '.join(BOUNDARY_KINDS)}")
    format_of(dtype)
    if kind is not None:
        return _boundary(kind, dtype, shapes, turn)
    return st.one_of([_boundary(each, dtype, shapes, turn) for each in BOUNDARY_KINDS])


_FULL = frozenset({"zero row", "dead unit", "dead units", "beside"})
"""The kinds whose numbers fill all bits: what is at zero there need not be added up to be so."""
_SPARE = 4
"""Binades that are left between the smallest numbers of a kind and the subnormal ones."""


@dataclass
class _Draft:
    """Numbers of a case in the making, and the gate that is to be put on a kink."""

    network: Network
    weights: list[Array]
    biases: list[Array]
    x: Array
    layer: int
    unit: int
    row: int
    form: Format

    def sums(self, layer: int) -> Array:
        """W a of a layer without its bias; exact for the kinds that need it."""
        biases = [*self.biases[: layer - 1], None]
        trace = float_forward(self.network, self.weights[:layer], biases, self.x)
        found: Array = trace.pre_activations[-1]
        return found


@st.composite
@in_ieee_arithmetic
def _boundary(
    draw: st.DrawFn, kind: str, dtype: str, shapes: Sequence[Shape], turn: int | None
) -> Case:
    form = format_of(dtype)
    is_coarse = form.precision < COARSE
    if is_coarse:
        shapes = [each for each in shapes if len(each[0]) - 1 <= form.precision] or shapes
    network, rows = draw(networks(shapes, turn))
    values = (
        numbers(dtype)
        if kind in _FULL
        else st.integers(-1, 1).map(float)
        if is_coarse
        else st.integers(-4, 4).map(lambda number: number / 2)
    )

    def array(*shape: int) -> Array:
        return form.round(draw(hnp.arrays(np.float64, shape, elements=values)))

    sparse = _single if is_coarse else _sparse
    weights = [sparse(draw, pair) for pair in layer_pairs(network)]
    biases = [array(units) for units in network.widths[1:]]
    x, y = array(rows, network.widths[0]), array(rows, network.widths[-1])
    relu_layers = [layer for layer in range(1, network.depth + 1) if network.has_relu(layer)]
    if not relu_layers:
        network = Network(network.widths, "relu", network.reduction)
        relu_layers = [network.depth]
    layer = draw(st.sampled_from(relu_layers))
    unit = draw(st.integers(0, network.widths[layer] - 1))
    row = draw(st.integers(0, rows - 1))
    draft = _Draft(network, weights, biases, x, layer, unit, row, form)
    if kind in _FULL:
        draft.weights[:] = [form.round(weight * draw(numbers(dtype))) for weight in weights]
    if kind in _PLACE:
        _PLACE[kind](draw, draft)
    if kind in {"cancelling bias", "every layer", "tied units", "beside"}:
        # From the bottom up, so that what a bias has changed below is known above.
        for at in relu_layers if kind == "every layer" else [layer]:
            here = unit if at == layer else draw(st.integers(0, network.widths[at] - 1))
            bias = -form.round(draft.sums(at))[draft.row, here]
            biases[at - 1][here] = bias
            if kind == "tied units":
                weights[at - 1][-1], biases[at - 1][-1] = weights[at - 1][here], bias
    if kind == "subnormal":
        # z = ±k η exactly: only the bias is left of this unit's sum.
        weights[layer - 1][unit] = 0.0
        biases[layer - 1][unit] = draw(st.sampled_from([-3, -1, 1, 3])) * form.smallest_subnormal
    return Case(network, tuple(draft.weights), tuple(biases), x, y, dtype)


def _zero_row(draw: st.DrawFn, draft: _Draft) -> None:
    draft.x[draft.row] = draw(st.sampled_from([0.0, -0.0]))
    draft.biases[0][:] = draw(st.sampled_from([0.0, -0.0]))


def _cancelling_weights(draw: st.DrawFn, draft: _Draft) -> None:
    # With a single input there is no pair; the units are dead ones then.
    draft.weights[0][:, :] = 0.0
    if draft.x.shape[-1] > 1:
        draft.x[draft.row, 1] = draft.x[draft.row, 0]
        draft.weights[0][:, 0], draft.weights[0][:, 1] = 1.0, -1.0
    draft.biases[0][:] = 0.0


def _dead_unit(draw: st.DrawFn, draft: _Draft) -> None:
    _die(draw, draft, draft.layer, draft.unit)


def _dead_units(draw: st.DrawFn, draft: _Draft) -> None:
    for layer in range(1, draft.network.depth + 1):
        units = draft.network.widths[layer]
        first = draw(st.integers(0, units - 1))
        for number in range(max(units // 2, 1) if draft.network.has_relu(layer) else 0):
            _die(draw, draft, layer, (first + number) % units)


def _die(draw: st.DrawFn, draft: _Draft, layer: int, unit: int) -> None:
    zeros = st.sampled_from([0.0, -0.0])
    draft.weights[layer - 1][unit] = draw(zeros)
    draft.biases[layer - 1][unit] = draw(zeros)


def _tiny(draw: st.DrawFn, draft: _Draft) -> None:
    # Numbers of two bits times a power of two: exact as long as they are normal.
    scales = [bits for bits in (3, 14, 34) if bits + _SPARE <= -draft.form.emin]
    scale = 2.0 ** -draw(st.sampled_from(scales or [0]))
    draft.weights[draft.layer - 1][draft.unit] *= scale
    draft.biases[draft.layer - 1][draft.unit] *= scale


_PLACE: Mapping[str, Callable[[st.DrawFn, _Draft], None]] = {
    "zero row": _zero_row,
    "cancelling weights": _cancelling_weights,
    "dead unit": _dead_unit,
    "dead units": _dead_units,
    "tiny": _tiny,
}


def _single(draw: st.DrawFn, pair: tuple[int, int]) -> Array:
    """A weight matrix with one non-zero weight for each unit, ±1."""
    units, inputs = pair
    weight = np.zeros(pair)
    columns = draw(hnp.arrays(np.int64, units, elements=st.integers(0, inputs - 1)))
    weight[np.arange(units), columns] = draw(
        hnp.arrays(np.float64, units, elements=st.sampled_from([1.0, -1.0]))
    )
    return weight


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
