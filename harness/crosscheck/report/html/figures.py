"""The geometry of the page's pictures; the templates draw them, in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosscheck.report.html.numbers import digits, named_together, value

__all__ = ["Bar", "Histogram", "Segment", "Tangent", "bar", "histogram", "tangents"]

_OCTAVES = 20
"""The histogram begins at 2^-20, as `crosscheck.run.spread.Spread` does."""
_BINS = 4 * _OCTAVES
_BIN_WIDTH = 2
_MARGIN = 12
"""Room on either side: exact zeros to the left, errors beyond the bound to the right."""
_HEIGHT = 36
_LINE = 12.0
"""Between the middles of two labels, at the least."""


@dataclass(frozen=True)
class Segment:
    """A part of a stacked bar, in percent of it."""

    name: str
    start: float
    width: float


@dataclass(frozen=True)
class Bar:
    """Counts as a bar, and the same in words."""

    segments: tuple[Segment, ...]
    total: int


def bar(counts: Mapping[str, int]) -> Bar:
    """A stacked bar of ``counts``, in their order."""
    total = sum(counts.values())
    segments, start = [], 0.0
    for name, number in counts.items():
        width = 100.0 * number / total if total else 0.0
        segments.append(Segment(name, round(start, 3), round(width, 3)))
        start += width
    return Bar(tuple(segments), total)


@dataclass(frozen=True)
class Histogram:
    """A histogram of error / bound, on a logarithmic axis from 2^-20 to 1.

    Attributes:
        width: Of the drawing.
        height: Of the drawing; bars grow up from it.
        inside: Path of the bars of values in [0, 1].
        beyond: Path of the bar of values above 1; empty without one.
        median: Where the median is marked, ``None`` if it is zero.
        bound: Where 1 is.
        ticks: Positions and labels of the axis.
    """

    width: int
    height: int
    inside: str
    beyond: str
    median: float | None
    bound: float
    ticks: tuple[tuple[float, str], ...]


def histogram(line: Mapping[str, Any]) -> Histogram:
    """The histogram of one line of the report's ``error_over_bound``."""
    bins = [(value(each["up_to"]), int(each["cases"])) for each in line["histogram"]]
    highest = max((number for _, number in bins), default=1)
    inside, beyond = [], []
    for edge, number in bins:
        # No bar vanishes: a single case among thousands is what one looks for.
        tall = max(1.5, _HEIGHT * number / highest)
        if edge == 0:
            inside.append(_rectangle(0, 6, tall))
        elif edge > 1:
            beyond.append(_rectangle(_MARGIN + _BINS * _BIN_WIDTH + 3, 6, tall))
        else:
            inside.append(_rectangle(_position(edge) - _BIN_WIDTH, _BIN_WIDTH, tall))
    median = value(line["median"])
    return Histogram(
        width=2 * _MARGIN + _BINS * _BIN_WIDTH,
        height=_HEIGHT,
        inside=" ".join(inside),
        beyond=" ".join(beyond),
        median=None if median <= 0 else round(_position(median), 2),
        bound=_position(1.0),
        ticks=((3.0, "0"), *((_position(2.0**e), f"2^{e}") for e in (-15, -10, -5))),
    )


def _position(ratio: float) -> float:
    octaves = math.log2(min(max(ratio, 2.0**-_OCTAVES), 2.0))
    return _MARGIN + (octaves + _OCTAVES) * 4 * _BIN_WIDTH


def _rectangle(left: float, width: float, tall: float) -> str:
    # A hair less than the bin's width, so that neighbours are told apart.
    return f"M{left:g} {_HEIGHT}v{-tall:.4g}h{width - 0.3:g}V{_HEIGHT}z"


@dataclass(frozen=True)
class Tangent:
    """A line of slope λ through the kink of ReLU, and who uses it.

    Attributes:
        slope: λ as text.
        who: The frameworks, with the formulations that the same ones use it for.
        x: Horizontal end of the line, from the kink.
        y: Its vertical end, upwards.
        label: The height of its label, which is above that of the one before.
    """

    slope: str
    who: tuple[str, ...]
    x: float
    y: float
    label: float


def tangents(
    used: Sequence[tuple[str, str, Mapping[str, Any]]], *, length: float, names: Sequence[str]
) -> list[Tangent]:
    """A tangent for each λ that was used, from the flattest to the steepest.

    Args:
        used: Framework, formulation and λ.
        length: Of the lines.
        names: All frameworks, in their order.
    """
    by_slope: dict[float, tuple[str, dict[str, list[str]]]] = {}
    for framework, formulation, number in used:
        _, own = by_slope.setdefault(value(number), (digits(number), {}))
        own.setdefault(formulation, []).append(framework)
    found: list[Tangent] = []
    for slope, (text, own) in sorted(by_slope.items()):
        norm = math.hypot(1.0, slope)
        end = round(length * slope / norm, 2)
        found.append(
            Tangent(
                "½" if slope == 0.5 else text,
                tuple(_who(own, names)),
                round(length / norm, 2),
                end,
                max(end, found[-1].label + _LINE) if found else end,
            )
        )
    return found


def _who(used: Mapping[str, Sequence[str]], names: Sequence[str]) -> Iterator[str]:
    """Frameworks with all formulations that the same of them use one λ for."""
    alike: dict[str, list[str]] = {}
    for formulation, frameworks in used.items():
        alike.setdefault(named_together(frameworks, names), []).append(formulation)
    for who, formulations in alike.items():
        yield f"{who} {', '.join(formulations)}".strip()
