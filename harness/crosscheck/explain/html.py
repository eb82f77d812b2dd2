"""An explanation as a page of its own, or as a part of a notebook; formulas are MathML.

The page needs nothing else: no script, no font, no image, no network. It follows the reader's
choice of dark or light.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator

from crosscheck.explain.document import Cell, Document, Formulas, Items, Paragraph, Table
from crosscheck.explain.writing import Format
from crosscheck.formulas.mathml import inline, members
from crosscheck.formulas.tree import Line
from crosscheck.judge.marking import Mark
from crosscheck.judge.verdict import FAILING, Kind
from crosscheck.tools.words import lines_shown

__all__ = ["FORMAT", "fragment", "render"]

_STYLE = """
.crosscheck-explain { --ink: #1d232b; --soft: #5c6672; --line: #d5dae0; --good: #1a7f37;
  --bad: #c62828; --notable: #8a5a00; --band: #f4f6f8; --paper: #ffffff;
  color: var(--ink); background: var(--paper); line-height: 1.55; padding: .4rem .6rem; }
.crosscheck-explain h1 { font-size: 1.5rem; margin: 0 0 .6rem; }
.crosscheck-explain h2 { font-size: 1.1rem; margin: 1.8rem 0 .5rem; padding-top: .6rem;
  border-top: 1px solid var(--line); }
.crosscheck-explain p { margin: .5rem 0; max-width: 46rem; }
.crosscheck-explain li { max-width: 46rem; margin: .25rem 0; }
.crosscheck-explain .formulas { margin: .6rem 0; }
.crosscheck-explain .line { padding: .28rem .6rem .28rem 2rem; text-indent: -1.4rem;
  overflow-x: auto; }
.crosscheck-explain .line:nth-child(odd) { background: var(--band); }
.crosscheck-explain .line math { text-indent: 0; font-size: 1.12em; }
.crosscheck-explain .compact { display: flex; flex-wrap: wrap; gap: .2rem 1.8rem;
  background: var(--band); padding: .28rem .6rem; }
.crosscheck-explain .compact .line { padding: .1rem 0; text-indent: 0; background: none; }
.crosscheck-explain .note { color: var(--soft); font-size: .9em; margin-left: .8em; }
.crosscheck-explain .wide { overflow-x: auto; margin: .6rem 0; }
.crosscheck-explain table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
.crosscheck-explain th, .crosscheck-explain td { padding: .25rem .8rem; white-space: nowrap;
  border-bottom: 1px solid var(--line); text-align: right; background: none; }
.crosscheck-explain.crosscheck-explain.crosscheck-explain tr { background: none; }
.crosscheck-explain table, .crosscheck-explain th, .crosscheck-explain td { color: inherit; }
.crosscheck-explain .left { text-align: left; }
.crosscheck-explain .good { color: var(--good); font-weight: 600; }
.crosscheck-explain .bad { color: var(--bad); font-weight: 600; }
.crosscheck-explain .notable { color: var(--notable); font-weight: 600; }
@media (prefers-color-scheme: dark) {
  .crosscheck-explain:not([data-jp-theme-light="true"] *, .vscode-light *) {
    --ink: #e4e8ec; --soft: #a0a9b4; --line: #3a424c; --good: #57c471;
    --bad: #ff7b72; --notable: #e3b341; --band: #1e242b; --paper: #14181d; } }
@media print { .crosscheck-explain .wide { overflow: visible; }
  .crosscheck-explain .line { break-inside: avoid; } }
"""

_MARKS = {Mark.RIGHT: "good", Mark.DIGITS: "good", Mark.UNTOLD: "notable", Mark.WRONG: "bad"}

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ margin: 0 auto; max-width: 62rem; padding: 1.5rem 1rem 3rem; background: #fff;
  font-family: system-ui, sans-serif; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #14181d; }} }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def render(document: Document) -> str:
    """The document as a page."""
    page = _PAGE.format(title=html.escape(document.title), body=fragment(document))
    return lines_shown(page)


def fragment(document: Document) -> str:
    """The document as an element, with its style; several may stand on one page."""
    return "\n".join([*FORMAT.lines(document), "</div>"])


def _introduction(title: str, blocks: Iterable[str]) -> Iterator[str]:
    yield '<div class="crosscheck-explain">'
    yield f"<style>{_STYLE}</style>"
    yield f"<h1>{title}</h1>"
    yield from blocks


def _section(title: str, blocks: Iterable[str]) -> Iterator[str]:
    yield f"<section>\n<h2>{title}</h2>"
    yield from blocks
    yield "</section>"


def _paragraph(block: Paragraph, form: Format) -> Iterator[str]:
    yield f"<p>{form.cell(block)}</p>"


def _items(block: Items, form: Format) -> Iterator[str]:
    yield "<ul>"
    yield from (f"<li>{form.cell(item)}</li>" for item in block.items)
    yield "</ul>"


def _formulas(block: Formulas, form: Format) -> Iterator[str]:
    kind = " compact" if block.compact else ""
    yield f'<div class="formulas{kind}">'
    yield from map(_line, block.lines)
    yield "</div>"


def _line(line: Line) -> str:
    first, *others = line.chain
    parts = [inline(first, full=True), *(part for member in others for part in members(member))]
    if line.note:
        parts.append(f'<span class="note">{html.escape(line.note)}</span>')
    return f'<div class="line">{" ".join(parts)}</div>'


def _table(table: Table, form: Format) -> Iterator[str]:
    yield '<div class="wide"><table>'
    yield f"<thead>{_row(table, table.heading, 'th', form)}</thead>"
    yield f"<tbody>{''.join(_row(table, row, 'td', form) for row in table.rows)}</tbody>"
    yield "</table></div>"


def _row(table: Table, cells: tuple[Cell, ...], element: str, form: Format) -> str:
    written = []
    for at, cell in enumerate(cells):
        classes = [name for name in ("left" if at < table.left else "", _kind(cell)) if name]
        attribute = f' class="{" ".join(classes)}"' if classes else ""
        scope = ' scope="row"' if element == "td" and at < table.keys else ""
        tag = "th" if scope else element
        written.append(f"<{tag}{scope}{attribute}>{form.cell(cell)}</{tag}>")
    return f"<tr>{''.join(written)}</tr>"


def _kind(cell: Cell) -> str:
    """The class of a cell that holds a verdict or a mark."""
    if isinstance(cell, str) and cell in set(Mark):
        return _MARKS[Mark(cell)]
    if not isinstance(cell, str) or cell not in set(Kind):
        return ""
    if Kind(cell) in FAILING:
        return "bad"
    return "good" if Kind(cell) is Kind.AGREES else "notable"


FORMAT = Format(
    introduction=_introduction,
    section=_section,
    blocks={Formulas: _formulas, Paragraph: _paragraph, Items: _items, Table: _table},
    between_blocks=(),
    prose=html.escape,
    formula=inline,
)
"""HTML with MathML."""
