"""An explanation as Markdown, with formulas between dollar signs, as GitHub and Jupyter read it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from crosscheck.explain.document import Cell, Document, Formulas, Items, Paragraph, Table
from crosscheck.explain.latex import aligned_rows
from crosscheck.explain.writing import Format
from crosscheck.formulas.latex import inline
from crosscheck.tools.words import shown

__all__ = ["FORMAT", "render"]

_SPECIAL = re.compile(r"([\\`*_|$])")


def render(document: Document) -> str:
    """The document as Markdown."""
    return "\n".join(FORMAT.lines(document)) + "\n"


def _introduction(title: str, blocks: Iterable[str]) -> Iterator[str]:
    yield from (f"# {title}", "", *blocks)


def _section(title: str, blocks: Iterable[str]) -> Iterator[str]:
    yield from ("", f"## {title}", "", *blocks)


def _formulas(block: Formulas, form: Format) -> Iterator[str]:
    # Some readers take a backslash before punctuation for Markdown's own, also between dollar
    # signs: rows end with \cr.
    rows = " \\\\\n".join(aligned_rows(block)).replace("&& ", r"\qquad ")
    yield "$$"
    yield "\\begin{aligned}"
    yield rows.replace("\\\\", r"\cr")
    yield "\\end{aligned}"
    yield "$$"


def _paragraph(block: Paragraph, form: Format) -> Iterator[str]:
    yield form.cell(block)


def _items(block: Items, form: Format) -> Iterator[str]:
    yield from (f"- {form.cell(item)}" for item in block.items)


def _table(table: Table, form: Format) -> Iterator[str]:
    def row(cells: tuple[Cell, ...]) -> str:
        return f"| {' | '.join(map(form.cell, cells))} |"

    yield row(table.heading)
    yield "|" + "---|" * table.left + "--:|" * (len(table.heading) - table.left)
    yield from map(row, table.rows)


def _prose(words: str) -> str:
    return _SPECIAL.sub(r"\\\1", html.escape(shown(words), quote=False))


FORMAT = Format(
    introduction=_introduction,
    section=_section,
    blocks={Formulas: _formulas, Paragraph: _paragraph, Items: _items, Table: _table},
    between_blocks=("",),
    prose=_prose,
    formula=lambda it: f"${inline(it)}$",
)
"""Markdown."""
