"""An explanation as a LaTeX fragment; it needs amsmath and no other package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crosscheck.explain.document import Document, Formulas, Items, Paragraph, Table
from crosscheck.explain.writing import Format
from crosscheck.formulas import text
from crosscheck.formulas.latex import DIALECT, expression, inline, prose
from crosscheck.formulas.tree import Chain, Expression, Line, relation

__all__ = ["FORMAT", "aligned_rows", "render"]

_WIDEST = 62
"""Characters of a row of formulas, as text, that fit a page."""


def render(document: Document) -> str:
    r"""The document as LaTeX, to be put between ``\begin{document}`` and ``\end{document}``."""
    return "\n".join(FORMAT.lines(document)) + "\n"


def _introduction(title: str, blocks: Iterable[str]) -> Iterator[str]:
    yield "% A fragment. It needs \\usepackage{amsmath}."
    yield f"\\section*{{{title}}}"
    yield from ("\\allowdisplaybreaks", "", *blocks)


def _section(title: str, blocks: Iterable[str]) -> Iterator[str]:
    yield from ("", f"\\subsection*{{{title}}}", "", *blocks)


def _paragraph(block: Paragraph, form: Format) -> Iterator[str]:
    yield f"\\noindent {form.cell(block)}"


def _items(block: Items, form: Format) -> Iterator[str]:
    yield "\\begin{itemize}"
    yield from (f"  \\item {form.cell(item)}" for item in block.items)
    yield "\\end{itemize}"


def _table(table: Table, form: Format) -> Iterator[str]:
    columns = len(table.heading)
    alignment = "l" * table.left + "r" * (columns - table.left)
    yield "\\begin{center}\\small"
    yield f"\\begin{{tabular}}{{{alignment}}}"
    for number, row in enumerate((table.heading, *table.rows)):
        rule = " \\hline" if not number else ""
        yield "  " + " & ".join(map(form.cell, row)) + " \\\\" + rule
    yield "\\end{tabular}"
    yield "\\end{center}"


# -- formulas ----------------------------------------------------------------------------------


def _formulas(block: Formulas, form: Format) -> Iterator[str]:
    yield "\\begin{align*}"
    yield " \\\\\n".join(f"  {row}" for row in aligned_rows(block))
    yield "\\end{align*}"


def aligned_rows(block: Formulas) -> list[str]:
    """The rows of an align environment."""
    if not block.compact:
        return [row for line in block.lines for row in _rows(line)]
    # As many on a row as fit; each row is set flush left.
    rows: list[list[Line]] = []
    used = 0
    for line in block.lines:
        length = sum(len(text.expression(member)) + 3 for member in line.chain)
        if not rows or used + length > _WIDEST:
            rows.append([])
            used = 0
        rows[-1].append(line)
        used += length + 4
    return ["& " + r" \qquad ".join(map(_flat, row)) for row in rows]


def _flat(line: Line) -> str:
    first, *others = line.chain
    return " ".join([expression(first), *map(_member, others)])


def _member(it: Expression) -> str:
    sign = "=" if relation(it) == "=" else r"\approx"
    return f"{sign} {expression(it)}"


def _rows(line: Line) -> list[str]:
    """A chain, on as many rows as it takes, aligned at the relations."""
    first, *others = line.chain
    rows = [f"{expression(first)} &"]
    used = len(text.expression(first))
    for number, member in enumerate(others):
        length = len(text.expression(member)) + 3
        if number and used + length > _WIDEST:
            rows.append("&")
            used = len(text.expression(first))
        pieces = _pieces(member, _WIDEST - len(text.expression(first)))
        sign = "=" if relation(member) == "=" else r"\approx"
        rows[-1] += f" {sign} {pieces[0]}"
        rows += [rf"&\qquad {piece}" for piece in pieces[1:]]
        used += length
    if line.note:
        rows[-1] += rf" && \text{{{prose(line.note)}}}"
    return rows


def _pieces(it: Expression, room: int) -> list[str]:
    """Terms or factors in a row cut into rows of as many as fit."""
    if len(text.expression(it)) <= room or not isinstance(it, Chain):
        return [expression(it)]
    rows: list[str] = []
    used = room + 1
    for group, written in zip(it.groups(), DIALECT.groups(it), strict=True):
        length = len(text.expression(group.member)) + 3
        if used + length > room:
            rows.append(" ".join(written))
            used = length
        else:
            rows[-1] = " ".join([rows[-1], *written])
            used += length
    return rows


FORMAT = Format(
    introduction=_introduction,
    section=_section,
    blocks={Formulas: _formulas, Paragraph: _paragraph, Items: _items, Table: _table},
    between_blocks=("",),
    prose=prose,
    formula=lambda it: f"${inline(it)}$",
)
"""LaTeX."""
