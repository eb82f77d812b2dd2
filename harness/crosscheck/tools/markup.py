"""Small pieces of HTML for notebooks, every text escaped."""

from __future__ import annotations

import html
from collections.abc import Sequence

from crosscheck.tools.words import shown

__all__ = ["CELL", "LEFT", "SOFT", "table", "text"]

CELL = "padding:.15em .6em;text-align:right;font-variant-numeric:tabular-nums"
LEFT = "padding:.15em .6em;text-align:left"
SOFT = "opacity:.7"


def text(words: object) -> str:
    """Any text, escaped."""
    return html.escape(shown(str(words)))


def table(heading: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> str:
    """A small table; no head if ``heading`` is empty."""
    cells = "".join(f'<th style="{CELL}">{text(cell)}</th>' for cell in heading)
    lines = "".join(
        f"<tr>{''.join(f'<td style={_quoted(CELL)}>{text(cell)}</td>' for cell in row)}</tr>"
        for row in rows
    )
    caption = f'<caption style="{LEFT};caption-side:top;white-space:nowrap">{text(title)}</caption>'
    head = f"<thead><tr>{cells}</tr></thead>" if heading else ""
    return f"<table>{caption}{head}<tbody>{lines}</tbody></table>"


def _quoted(style: str) -> str:
    return f'"{style}"'
