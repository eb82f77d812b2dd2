"""The points at which conventions are measured."""

from __future__ import annotations

import math
from collections.abc import Mapping

from crosscheck.numbers.formats import FORMATS
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.piecewise import Piecewise

__all__ = ["points_of", "spelled"]


@in_ieee_arithmetic
def points_of(unit: Piecewise, dtype: str) -> Mapping[str, float]:
    """The points for ``unit`` in ``dtype``, by name.

    Signed zeros; the smallest subnormal number, one in the middle and the smallest normal
    number, of both signs; NaN and infinities; and the breakpoints other than 0. ``dtype`` may be
    ``"exact"``, whose numbers are those of float64.
    """
    form = FORMATS["float64" if dtype == "exact" else dtype]
    middle = form.smallest_subnormal * 2.0 ** (form.precision // 2)
    points = {"0": 0.0, "-0": -0.0}
    for name, size in (
        ("tiny", form.smallest_subnormal),
        ("subnormal", middle),
        ("normal", form.smallest_normal),
    ):
        points |= {name: size, f"-{name}": -size}
    points |= {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
    for breakpoint in unit.breakpoints:
        if breakpoint != 0:
            points[f"{float(breakpoint):g}"] = float(breakpoint)
    return points


@in_ieee_arithmetic
def spelled(number: float, point: float) -> str:
    """A number for the tables, 0, ±inf and NaN apart as `repr` writes it.

    Args:
        number: What to write.
        point: Is written ``z``, which stands for 0 < |z| < ½ only.
    """
    if number == point and 0 < abs(number) < 0.5:
        return "z"
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    return repr(number).removesuffix(".0")
