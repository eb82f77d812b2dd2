"""Cases with kinks, with many of them, and with NaN: where a verdict is not simply AGREES.

A gradient there is right for some choice of slopes, so a fault has more room to hide. The cases
are few, small and seeded: every fault of the catalogue is put to them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from crosscheck.network.dense import Case, Output, Reduction
from crosscheck.numbers.arrays import Array
from crosscheck.numbers.formats import format_of

__all__ = ["STORMS", "kink_cases"]

_SHAPES = (
    ((3, 4, 2), 3),
    ((2, 3, 3, 1), 3),
    ((4, 8, 1), 4),
    ((5, 5, 5, 5), 2),
    ((2, 3, 2), 9),
    ((9, 9, 3), 2),
)
"""(widths, rows): square layers and others, more than eight rows, units and inputs."""

Draw = Callable[..., Array]


def _small(draw: Draw, sizes: list[tuple[int, int]], rows: int) -> dict[str, Any]:
    """Numbers among -1, 0 and 1: pre-activations are exact, and often zero."""
    return {
        "weights": [draw("whole", *pair) for pair in sizes],
        "biases": [draw("whole", units) for units, _ in sizes],
        "x": draw("whole", rows, sizes[0][1]),
    }


def _zero_rows(draw: Draw, sizes: list[tuple[int, int]], rows: int) -> dict[str, Any]:
    """Every second row of the inputs is zero, and the first layer has a bias of zero."""
    found = _gaussian(draw, sizes, rows)
    found["x"][::2] = 0.0
    found["biases"][0][:] = 0.0
    return found


def _no_biases(draw: Draw, sizes: list[tuple[int, int]], rows: int) -> dict[str, Any]:
    """The first row of the inputs is zero and no layer but the last has a bias."""
    found = _gaussian(draw, sizes, rows)
    found["x"][0] = 0.0
    found["biases"] = [None] * (len(sizes) - 1) + [found["biases"][-1]]
    return found


def _zero_weights(draw: Draw, sizes: list[tuple[int, int]], rows: int) -> dict[str, Any]:
    """The first layer's weights and biases are zero: all its units are on a kink in every row."""
    found = _gaussian(draw, sizes, rows)
    found["weights"][0][:] = 0.0
    found["biases"][0][:] = 0.0
    return found


def _cancelled(draw: Draw, sizes: list[tuple[int, int]], rows: int) -> dict[str, Any]:
    """Each unit of the first layer has its bias cancel the sum in the first row, to rounding."""
    found = _gaussian(draw, sizes, rows)
    found["biases"][0] = -(found["x"] @ found["weights"][0].T)[0]
    return found


def _tied(draw: Draw, sizes: list[tuple[int, int]], rows: int) -> dict[str, Any]:
    """Whole numbers, and all units of the first layer alike, on a kink in the first row."""
    found = _small(draw, sizes, rows)
    found["weights"][0][:] = found["weights"][0][0]
    found["biases"][0][:] = -(found["x"] @ found["weights"][0].T)[0]
    return found


def _beside(draw: Draw, sizes: list[tuple[int, int]], rows: int) -> dict[str, Any]:
    """Whole numbers, and units of the first layer certainly open or shut, but barely."""
    found = _small(draw, sizes, rows)
    sign = np.where(np.arange(sizes[0][0]) % 2, -1.0, 1.0)
    found["biases"][0] = draw("least") * sign - (found["x"] @ found["weights"][0].T)[0]
    return found


def _gaussian(draw: Draw, sizes: list[tuple[int, int]], rows: int) -> dict[str, Any]:
    return {
        "weights": [draw("normal", *pair) for pair in sizes],
        "biases": [draw("normal", units) for units, _ in sizes],
        "x": draw("normal", rows, sizes[0][1]),
    }


def _nan_input(draw: Draw, sizes: list[tuple[int, int]], rows: int) -> dict[str, Any]:
    """One input is NaN."""
    found = _gaussian(draw, sizes, rows)
    found["x"][-1, -1] = np.nan
    return found


def _infinite_weight(draw: Draw, sizes: list[tuple[int, int]], rows: int) -> dict[str, Any]:
    """One weight of the last layer is infinite."""
    found = _gaussian(draw, sizes, rows)
    found["weights"][-1][0, 0] = np.inf
    return found


def _overflow(draw: Draw, sizes: list[tuple[int, int]], rows: int) -> dict[str, Any]:
    """One weight in each layer has three quarters of the largest exponent: products overflow."""
    found = _gaussian(draw, sizes, rows)
    for weight in found["weights"]:
        weight[0, 0] = draw("huge")
    return found


STORMS: Mapping[str, Callable[[Draw, list[tuple[int, int]], int], dict[str, Any]]] = (
    MappingProxyType(
        {
            "small numbers": _small,
            "zero rows": _zero_rows,
            "zero rows without biases": _no_biases,
            "zero weights": _zero_weights,
            "cancelled biases": _cancelled,
            "tied units": _tied,
            "beside zero": _beside,
            "NaN among the inputs": _nan_input,
            "infinite weight": _infinite_weight,
            "overflow": _overflow,
        }
    )
)
"""The kinds of case, in the order in which they come; each is described by its function."""


def kink_cases(*, dtype: str, seed: int = 0) -> Iterator[tuple[str, Case]]:
    """The cases of one dtype: every kind in every shape, outputs and reductions in turn.

    Args:
        dtype: Of the cases.
        seed: Of all numbers.

    Yields:
        A label and a single case.
    """
    rng = np.random.Generator(np.random.Philox(seed))
    form = format_of(dtype)
    huge, least = 2.0 ** (3 * form.emax // 4), 2.0 ** (6 - form.precision)

    def draw(what: str, *shape: int) -> Array:
        if what in ("huge", "least"):
            return np.array({"huge": huge, "least": least}[what])
        if what == "whole":
            return rng.integers(-1, 1, shape, endpoint=True).astype(np.float64)
        return form.round(rng.standard_normal(shape))

    number = 0
    for widths, rows in _SHAPES:
        sizes = list(zip(widths[1:], widths[:-1], strict=True))
        for name, make in STORMS.items():
            output: Output = ("identity", "relu")[number % 2]
            reduction: Reduction = ("sum", "mean")[number // 2 % 2]
            number += 1
            found = make(draw, sizes, rows)
            y = draw("normal", rows, widths[-1])
            case = Case.of(**found, y=y, dtype=dtype, output=output, reduction=reduction)
            yield f"{name} {widths}, {rows} rows, {dtype}", case
