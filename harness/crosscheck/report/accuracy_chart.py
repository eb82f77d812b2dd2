"""The largest error against the size of the input, a panel for each function and derivative."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from crosscheck.numbers.accuracy import Record, Row
from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.operators.elementary_lines import elementary_lines
from crosscheck.studies.accuracy.points import scales_of_bins

__all__ = ["chart"]

_LINES = (
    ("torch", "eager", "#b2182b", ""),
    ("tensorflow", "eager", "#b0661a", "5 3"),
    ("tensorflow", "xla", "#1b7837", "2 2"),
    ("jax", "jit", "#08306b", "7 2 2 2"),
)
"""Framework, mode, colour and dashes: told apart in grey as well."""

_DTYPE = "float32"
_WIDE, _HIGH = 190.0, 84.0
_LEFT, _TOP, _GAP_X, _GAP_Y = 40.0, 64.0, 34.0, 42.0
_ACROSS = 4
_LEAST = 0.25
_TICKS = ((32.0, (1.0, 4.0, 16.0)), (2.0**24, (1.0, 16.0, 4096.0, 2.0**24)))
"""Up to where a panel goes, and the lines across it: the first that holds all of its errors."""


def chart(record: Record) -> str:
    """A self-contained SVG document.

    Args:
        record: What was measured; its rows of float32 have profiles.
    """
    panels = [(name, order) for name in ELEMENTARY for order in (0, 1)]
    down = -(-len(panels) // _ACROSS)
    width = _LEFT + _ACROSS * (_WIDE + _GAP_X)
    height = _TOP + down * (_HIGH + _GAP_Y)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="sans-serif" font-size="10">',
        "<title>Largest error in roundings against input, float32</title>",
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
        *_legend(),
    ]
    for number, (name, order) in enumerate(panels):
        left = _LEFT + number % _ACROSS * (_WIDE + _GAP_X)
        top = _TOP + number // _ACROSS * (_HIGH + _GAP_Y)
        lines += _panel(left, top, name + "'" * order, _rows(record, name, order))
    return "\n".join([*lines, "</svg>"]) + "\n"


def _rows(record: Record, function: str, order: int) -> list[Row | None]:
    """The row of each line, of the framework's own function."""
    found: list[Row | None] = []
    for framework, mode, _, _ in _LINES:
        own = next(iter(elementary_lines(framework)[function]))
        rows = [
            row
            for row in record.rows
            if (row.key.framework, row.key.mode, row.key.function) == (framework, mode, function)
            and (row.key.formulation, row.key.dtype, row.key.order) == (own, _DTYPE, order)
        ]
        found.append(rows[0] if rows else None)
    return found


def _legend() -> Iterator[str]:
    said = "largest error in roundings u scale (up) against the input (across), float32"
    yield _text(_LEFT, 14, said)
    for k, (framework, mode, color, dashes) in enumerate(_LINES):
        left = _LEFT + 130.0 * k
        yield _line([(left, 30.0), (left + 26.0, 30.0)], color, dashes)
        yield _text(left + 31.0, 33.5, f"{framework} {mode}")


def _height(top: float, error: float, largest: float) -> float:
    inside = min(max(error, _LEAST), largest)
    share = math.log(inside / _LEAST) / math.log(largest / _LEAST)
    return top + _HIGH * (1 - share)


def _panel(left: float, top: float, said: str, rows: Sequence[Row | None]) -> Iterator[str]:
    starts = scales_of_bins(_DTYPE)
    step = _WIDE / (len(starts) - 1)
    most = max((max(row.profile, default=0.0) for row in rows if row is not None), default=0.0)
    largest, ticks = next((each for each in _TICKS if most <= each[0]), _TICKS[-1])
    yield _text(left, top - 6, said)
    for tick in ticks:
        y = _height(top, tick, largest)
        yield _line([(left, y), (left + _WIDE, y)], "#dddddd", "", 0.8)
        yield _text(left - 4, y + 3.5, _power(tick), "end")
    middle = left + step * (len(starts) // 2 - 0.5)
    yield _line([(middle, top), (middle, top + _HIGH)], "#dddddd", "", 0.8)
    yield _text(middle, top + _HIGH + 12, "0", "middle")
    for start in (-1.0, 1.0):
        x = left + step * starts.index(start)
        yield _text(x, top + _HIGH + 12, f"{start:g}".replace("-", "−"), "middle")
    for (_, _, color, dashes), row in zip(_LINES, rows, strict=True):
        if row is not None:
            for run in _runs(row.profile):
                points = [(left + step * k, _height(top, error, largest)) for k, error in run]
                yield _line(points, color, dashes, 1.2)


def _runs(profile: Sequence[float]) -> Iterator[list[tuple[int, float]]]:
    """Neighbouring bins that have numbers; one alone is a short line."""
    run: list[tuple[int, float]] = []
    for k, error in enumerate([*profile, -1.0]):
        if error >= 0:
            run.append((k, error))
        elif run:
            yield run if len(run) > 1 else [run[0], (run[0][0] + 1, run[0][1])]
            run = []


def _power(tick: float) -> str:
    return f"{tick:g}" if tick < 100 else f"2^{int(math.log2(tick))}"


def _text(x: float, y: float, said: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#222222">{said}</text>'


def _line(
    points: Sequence[tuple[float, float]], color: str, dashes: str, thick: float = 1.6
) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="{thick:g}"{dashed}/>'
    )
