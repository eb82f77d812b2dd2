"""What each certificate catches as a chart: share against width, by dtype and rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from crosscheck.studies.certificates.counts import Found
from crosscheck.studies.certificates.settings import GROUPS, SIZES

__all__ = ["chart"]

_LINES = (
    ("a-priori", "a_priori", "held", "#b2182b", "6 3", "square"),
    ("adjoint", "adjoint", "looked", "#b0661a", "2 3", "triangle"),
    ("local", "local", "planted", "#08306b", "", "circle"),
)
"""Name, what is counted of what, colour, dashes and marker: told apart in grey as well."""

_WIDE, _HIGH = 170.0, 110.0
_LEFT, _TOP, _GAP_X, _GAP_Y = 52.0, 56.0, 26.0, 52.0


def chart(found: Sequence[Found], *, rows: Sequence[int] = (1, 32), depth: int = 2) -> str:
    """A self-contained SVG document: faults in one entry of a weight or bias gradient.

    Args:
        found: What was measured.
        rows: A line of panels for each.
        depth: Of the networks that are drawn.
    """
    dtypes = list(dict.fromkeys(each.setting.dtype for each in found))
    width = _LEFT + len(dtypes) * (_WIDE + _GAP_X)
    height = _TOP + len(rows) * (_HIGH + _GAP_Y)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="sans-serif" font-size="10">',
        "<title>Share of faults in one entry that each certificate catches</title>",
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>',
        *_legend(),
    ]
    for at, count in enumerate(rows):
        for k, dtype in enumerate(dtypes):
            here = [
                each
                for each in found
                if (each.setting.dtype, each.setting.rows, each.setting.depth)
                == (dtype, count, depth)
            ]
            here.sort(key=lambda each: each.setting.width)
            left, top = _LEFT + k * (_WIDE + _GAP_X), _TOP + at * (_HIGH + _GAP_Y)
            said = f"{dtype}, 2^-{SIZES[dtype][0]}, {count} row{'' if count == 1 else 's'}"
            lines += _panel(left, top, said, here)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _legend() -> Iterator[str]:
    yield _text(_LEFT, 14, "caught, % of faults in one weight or bias entry, against width")
    for k, (name, _, _, color, dashes, marker) in enumerate(_LINES):
        left = _LEFT + 90.0 * k
        yield _line([(left, 28.0), (left + 24.0, 28.0)], color, dashes)
        yield _marker(left + 12.0, 28.0, color, marker)
        yield _text(left + 29.0, 31.5, name)


def _panel(left: float, top: float, said: str, found: Sequence[Found]) -> Iterator[str]:
    widths = [each.setting.width for each in found]
    yield _text(left, top - 6, said)
    for share in (0, 50, 100):
        y = top + _HIGH * (1 - share / 100)
        yield _line([(left, y), (left + _WIDE, y)], "#dddddd", "", 0.8)
        yield _text(left - 5, y + 3.5, str(share), "end")
    if not widths:
        return
    first, last = (math.log2(width) for width in (widths[0], max(widths[-1], 2 * widths[0])))

    def x(width: int) -> float:
        return left + 8 + (_WIDE - 16) * (math.log2(width) - first) / (last - first)

    for width in widths:
        yield _text(x(width), top + _HIGH + 13, f"{width:,}", "middle")
    for _, caught, of, color, dashes, marker in _LINES:
        points = []
        for each in found:
            counts = each.of(GROUPS[0], SIZES[each.setting.dtype][0])
            if getattr(counts, of):
                share = getattr(counts, caught) / getattr(counts, of)
                points.append((x(each.setting.width), top + _HIGH * (1 - share)))
        if points:
            yield _line(points, color, dashes)
        yield from (_marker(*point, color, marker) for point in points)


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


def _marker(x: float, y: float, color: str, marker: str) -> str:
    drawn = f'fill="#ffffff" stroke="{color}" stroke-width="1.2"'
    if marker == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" {drawn}/>'
    if marker == "square":
        return f'<rect x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6" {drawn}/>'
    path = f"{x:.1f},{y - 3.5:.1f} {x + 3.5:.1f},{y + 3:.1f} {x - 3.5:.1f},{y + 3:.1f}"
    return f'<polygon points="{path}" {drawn}/>'
