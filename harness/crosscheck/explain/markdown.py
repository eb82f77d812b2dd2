"""An explanation as Markdown, with formulas between dollar signs, as GitHub and Jupyter read it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from crosscheck.explain.document import (
    Block,
    Cell,
    Document,
    Formulas,
    Items,
    Paragraph,
    Part,
    Table,
)
from crosscheck.explain.latex import aligned_rows, inline

__all__ = ["render"]

_SPECIAL = re.compile(r"([\\`*_|$])")


def render(document: Document) -> str:
    """The document as Markdown."""
    lines = [f"# {_prose(document.title)}", *_blocks(document.introduction)]
    for section in document.sections:
        lines += ["", f"## {_prose(section.title)}", *_blocks(section.blocks)]
    return "\n".join(lines) + "\n"


def _blocks(blocks: tuple[Block, ...]) -> Iterator[str]:
    for block in blocks:
        yield ""
        match block:
            case Formulas():
                # Some readers take a backslash before punctuation for Markdown's own, also
                # between dollar signs: rows end with \cr.
                rows = " \\\\\n".join(aligned_rows(block)).replace("&& ", r"\qquad ")
                yield "$$"
                yield "\\begin{aligned}"
                yield rows.replace("\\\\", r"\cr")
                yield "\\end{aligned}"
                yield "$$"
            case Paragraph():
                yield _parts(block.parts)
            case Items():
                yield from (f"- {_parts(item.parts)}" for item in block.items)
            case Table():
                yield from _table(block)


def _prose(words: str) -> str:
    return _SPECIAL.sub(r"\\\1", html.escape(words, quote=False))


def _parts(parts: tuple[Part, ...]) -> str:
    return "".join(_prose(part) if isinstance(part, str) else f"${inline(part)}$" for part in parts)


def _table(table: Table) -> Iterator[str]:
    columns = len(table.heading)
    yield _row(table.heading)
    yield "|" + "---|" * table.left + "--:|" * (columns - table.left)
    yield from map(_row, table.rows)


def _row(cells: tuple[Cell, ...]) -> str:
    written = (_parts(cell.parts if isinstance(cell, Paragraph) else (cell,)) for cell in cells)
    return f"| {' | '.join(written)} |"
