"""Constructions in NumPy: biases that keep every pre-activation clear of zero, or put it there.

Nothing here is tried and thrown away. A bias is chosen from what the layers below it have
already produced, so that the property holds for every input there is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crosscheck.network.dense import Case, Network
from crosscheck.network.reference import pre_activation
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.enclosure import Enclosure
from crosscheck.numbers.formats import COARSE, Format, format_of
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.model import Model

__all__ = ["clear_case", "clear_shapes"]


def clear_shapes(
    shapes: Sequence[tuple[tuple[int, ...], int]], form: Format
) -> Sequence[tuple[tuple[int, ...], int]]:
    """Those of ``shapes`` in which `clear_case` can keep every gate clear; all, if there is none.

    Let n be the inputs of a layer, so that a pre-activation z = v + b has N = n + 1 terms. The bias
    is at most 3 M + 1 + 8 e_v, and is rounded, so

        |z| >= 2 M + 1 + 8 e_v - u (3 M + 1 + 8 e_v),

    and the magnitudes of its terms add up to at most T = 4 M + 1 + 8 e_v. The second bound of
    `crosscheck.numbers.enclosure`, less underflow, has P = ½ (T + |z|) + u M and E <= θ T:

        e <= e_v + u M + u n (½ (T + |z|) + u M + θ T),    θ = (1 + u)^(n + 1) - 1.

    The coefficients of M in |z| - e are positive if

        (1 - ½ u n) (2 - 3 u) > u (1 + u n) + 4 u n (½ + θ),

    and those of 1 and of e_v then too. So n <= 5 in float8_e4m3fn (u = 1/16) and n <= 2 in
    float8_e5m2 (u = 1/8). Of formats that are not coarse all shapes are left.

    Args:
        shapes: (widths, rows) each.
        form: Of the numbers.
    """
    u = form.unit_roundoff
    if form.precision >= COARSE:
        return shapes

    def is_clear(n: int) -> bool:
        if u * n >= 1.0:
            return False
        theta = (1.0 + u) ** (n + 1) - 1.0
        left = (1.0 - 0.5 * u * n) * (2.0 - 3.0 * u)
        return left > u * (1.0 + u * n) + 4.0 * u * n * (0.5 + theta)

    return [each for each in shapes if is_clear(max(each[0][:-1]))] or shapes


@in_ieee_arithmetic
def clear_case(
    network: Network,
    weights: Sequence[Array],
    has_bias: Sequence[bool],
    gaps: Sequence[NDArray[np.int64]],
    x: Array,
    y: Array,
    dtype: str,
) -> Case:
    """A stack of cases in which every gate is certain.

    Layer by layer, with v_r = Σ_j w_j a_rj the sums of a unit over the rows r, sorted, the bias
    puts zero into the gap between two of them, or beyond either end: the number of active rows
    is the unit's choice. With e a bound on the error of the whole pre-activation, a gap is wide
    enough if half of it exceeds 4 e; otherwise zero goes beyond the nearer end, at the distance
    2 M + 1 + 8 e_v (M = Σ |w_j| |a_rj|, e_v the error of v), which exceeds e because θ (3 M + 1)
    does not reach it for the widths in use; in coarse formats, for those of `clear_shapes`.

    Unit 0 of each layer is active in all rows. Where a layer has no bias, its unit i takes
    the absolute values of its weights, with one sign, and the inputs below are not negative:
    the sum then has no cancellation and has unit 0 in it. In coarse formats only the first layer
    may have none, since the errors of one such layer upon another soon exceed the sum, and its
    first input and weight are at least 1, far above what underflow loses.

    Args:
        network: The shape.
        weights: ``(C, n_l, n_{l-1})`` each, numbers of ``dtype``.
        has_bias: For each layer whether it has a bias; see above for coarse formats.
        gaps: ``(C, n_l)`` each: how many rows are inactive, 0 … B.
        x: ``(C, B, n_0)``.
        y: ``(C, B, n_L)``.
        dtype: Of the cases.
    """
    form = format_of(dtype)
    model = Model(form, flush=True)
    weights, biases = [weight.copy() for weight in weights], []
    least, has_bias = form.smallest_subnormal, list(has_bias)
    if form.precision < COARSE:
        least, has_bias[1:] = 1.0, [True] * (network.depth - 1)
    if not has_bias[0]:
        x = np.abs(x)
        x[..., 0] = np.where(x[..., 0] < least, 1.0, x[..., 0])
    a = Enclosure.of(model, x)
    for layer, (weight, gap) in enumerate(zip(weights, gaps, strict=True), start=1):
        if has_bias[layer - 1]:
            bias = _clear_biases(a, weight, gap, form)
        else:
            bias = None
            weight[...] = np.abs(weight)
            weight[..., 0] = np.where(weight[..., 0] < least, 1.0, weight[..., 0])
            shut = gap * 2 > x.shape[-2]
            shut[..., 0] = False
            weight[shut] *= -1.0
        biases.append(bias)
        if layer < network.depth:
            enclosed = None if bias is None else Enclosure.of(model, bias)
            a = pre_activation(Enclosure.of(model, weight), enclosed, a).relu()
    return Case(network, tuple(weights), tuple(biases), x, y, dtype)


def _clear_biases(a: Enclosure, weight: Array, gap: NDArray[np.int64], form: Format) -> Array:
    """Biases of shape ``(C, n_l)`` that keep a layer's pre-activations clear of zero."""
    sums = a.matrix_product(Enclosure.of(a.model, weight.swapaxes(-1, -2)))
    values = np.sort(sums.high, axis=-2)
    rows = values.shape[-2]
    total, error = sums.terms.total.max(axis=-2), sums.margin.max(axis=-2)
    beyond = 2.0 * total + 1.0 + 8.0 * error
    gap = gap.copy()
    gap[..., 0] = 0

    def at(index: NDArray[np.int64]) -> Array:
        clipped = np.clip(index, 0, rows - 1)[..., None, :]
        return np.take_along_axis(values, clipped, axis=-2)[..., 0, :]

    below, above = at(gap - 1), at(gap)
    middle = 0.5 * (below + above)
    theta = (sums.terms.depth + 2.0) * 2.0 * form.unit_roundoff
    wanted = 4.0 * (error + theta * (total + np.abs(middle)))
    narrow = 0.5 * (above - below) <= wanted
    first, last = gap <= 0, gap >= rows
    lower_end = first | (~last & narrow & (2 * gap <= rows))
    upper_end = ~lower_end & (last | narrow)
    zero = np.where(lower_end, at(0 * gap) - beyond, middle)
    zero = np.where(upper_end, at(0 * gap + rows - 1) + beyond, zero)
    return form.round(-zero)
