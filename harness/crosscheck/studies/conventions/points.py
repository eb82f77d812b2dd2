"""The points at which conventions are measured: numbers, and windows of numbers with ties."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias, overload

from crosscheck.frameworks.pointwise import Point, Slope
from crosscheck.numbers.formats import FORMATS, Format
from crosscheck.numbers.ieee import in_ieee_arithmetic
from crosscheck.numbers.piecewise import Piecewise
from crosscheck.operators.selections import SELECTIONS, Selection
from crosscheck.operators.units import UNITS

__all__ = [
    "FLUSHED",
    "SUBJECTS",
    "Subject",
    "depends_on_processor",
    "points_of",
    "spelled",
    "windows_of",
]

Subject: TypeAlias = Piecewise | Selection
"""Of what conventions are measured."""

SUBJECTS: Mapping[str, Subject] = MappingProxyType({**UNITS, **SELECTIONS})
"""Every one by name, in the order of the tables."""

FLUSHED = "tiny,0"
"""The name of the window that has a tie only where subnormal numbers are read as 0."""

_SUBNORMAL = frozenset({"tiny", "-tiny", "subnormal", "-subnormal", FLUSHED})
_POOLING = ("tensorflow", "max_pool", "graph", "nan")


def depends_on_processor(framework: str, formulation: str, mode: str, point: str) -> bool:
    """Whether what is returned at a point may depend on the processor, in one and the same version.

    Subnormal numbers: TensorFlow's max pooling of float32 keeps them with AVX-512, and reads them
    as 0 with AVX2. NaN in a pooling: graphs of TensorFlow leave it to oneDNN where the processor
    has AVX512_VNNI or ``TF_ENABLE_ONEDNN_OPTS=1`` says so, and that sends 0 to NaN, where
    TensorFlow's own kernel sends 1 (float32, version 2.21.0, both seen on an AMD EPYC).

    Args:
        framework: Whose.
        formulation: A name of a formulation.
        mode: How it is differentiated.
        point: A name of a point.
    """
    return point in _SUBNORMAL or (framework, formulation, mode, point) == _POOLING


@overload
def points_of(unit: Piecewise, dtype: str) -> Mapping[str, float]: ...
@overload
def points_of(unit: Subject, dtype: str) -> Mapping[str, Point]: ...
@in_ieee_arithmetic
def points_of(unit: Subject, dtype: str) -> Mapping[str, Point]:
    """The points for ``unit`` in ``dtype``, by name; see `windows_of` for a selection.

    Signed zeros; the smallest subnormal number, one in the middle and the smallest normal
    number, of both signs; NaN and infinities; and the breakpoints other than 0. ``dtype`` may be
    ``"exact"``, whose numbers are those of float64.
    """
    form = FORMATS["float64" if dtype == "exact" else dtype]
    if isinstance(unit, Selection):
        return windows_of(unit, form)
    middle = form.smallest_subnormal * 2.0 ** (form.precision // 2)
    points: dict[str, Point] = {"0": 0.0, "-0": -0.0}
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


def windows_of(unit: Selection, form: Format) -> Mapping[str, Sequence[float]]:
    """Windows by name, in which several numbers are the one that is taken.

    All of them; of four those at the ends, in the middle, and all but the second; a zero of each
    sign, in both orders; infinities that every number is below, or above. In one, `FLUSHED`, the
    smallest subnormal number stands beside zeros, and is the only one that is taken.
    """
    taken, other = (1.0, 0.0) if unit.sign > 0 else (0.0, 1.0)
    below, tiny = -float(unit.sign), unit.sign * form.smallest_subnormal
    rest = (below,) * (unit.size - 2)
    windows: dict[str, tuple[float, ...]] = {"all": (taken,) * unit.size}
    if unit.size == 4:
        windows |= {
            "ends": (taken, other, other, taken),
            "middle": (other, taken, taken, other),
            "three": (taken, other, taken, taken),
        }
    return windows | {
        "0,-0": (0.0, -0.0, *rest),
        "-0,0": (-0.0, 0.0, *rest),
        FLUSHED: (tiny, *(0.0,) * (unit.size - 1)),
        "inf": (math.inf,) * unit.size,
        "-inf": (-math.inf,) * unit.size,
    }


@in_ieee_arithmetic
def spelled(number: Slope, point: Point) -> str:
    """A number for the tables, 0, ±inf and NaN apart as `repr` writes it.

    Args:
        number: What to write; of several numbers each, with commas between.
        point: Is written ``z``, which stands for 0 < |z| < ½ only. Of a window, the first number.
    """
    if isinstance(number, list):
        return ",".join(spelled(each, 0.0) for each in number)
    z = point[0] if isinstance(point, Sequence) else point
    if number == z and 0 < abs(number) < 0.5:
        return "z"
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    return repr(number).removesuffix(".0")
