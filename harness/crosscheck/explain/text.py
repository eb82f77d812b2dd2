"""An explanation as plain text, 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from crosscheck.explain.document import Document, Formulas, Items, Paragraph, Table
from crosscheck.explain.writing import Format
from crosscheck.formulas.text import expression
from crosscheck.formulas.tree import Expression, Line, relation

__all__ = ["FORMAT", "WIDTH", "chain", "render"]

WIDTH = 80
_INDENT = "  "


def render(document: Document) -> str:
    """The document as text; headings are the lines that are not indented."""
    return "\n".join(line.rstrip() for line in FORMAT.lines(document)) + "\n"


def _introduction(title: str, blocks: Iterable[str]) -> Iterator[str]:
    yield from (title, "", *blocks)


def _section(title: str, blocks: Iterable[str]) -> Iterator[str]:
    yield from ("", title, "", *blocks)


def _paragraph(block: Paragraph, form: Format) -> list[str]:
    return _wrapped(form.cell(block), _INDENT, _INDENT)


def _items(block: Items, form: Format) -> Iterator[str]:
    for item in block.items:
        yield from _wrapped(form.cell(item), f"{_INDENT}- ", f"{_INDENT}  ")


def _wrapped(text: str, first: str, later: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )


# -- formulas ----------------------------------------------------------------------------------


def _formulas(block: Formulas, form: Format) -> Iterator[str]:
    if block.compact:
        yield from _compact(block)
    else:
        for line in block.lines:
            yield from _line(line)


def _compact(block: Formulas) -> Iterator[str]:
    """Several formulas on a line, as many as fit; one that is longer than a line is broken."""
    current = ""
    for line in block.lines:
        text = chain(line)
        if current and len(current) + 3 + len(text) <= WIDTH:
            current += f"   {text}"
            continue
        if current:
            yield current
        current = _INDENT + text
        if len(current) > WIDTH:
            yield from _line(line)
            current = ""
    if current:
        yield current


def chain(line: Line) -> str:
    """A chain of relations on one line."""
    first, *others = line.chain
    return " ".join([expression(first), *map(_member, others)])


def _member(it: Expression) -> str:
    return f"{relation(it)} {expression(it)}"


def _line(line: Line) -> Iterator[str]:
    """A chain on one line if it fits, else broken before equals signs, then within sums."""
    whole = _INDENT + chain(line)
    note = f"    {line.note}" if line.note else ""
    if len(whole + note) <= WIDTH:
        yield whole + note
        return
    first, *others = line.chain
    start = f"{_INDENT}{expression(first)} "
    hanging = " " * len(start)
    current = start
    for number, text in enumerate(map(_member, others)):
        if number and len(current) + 1 + len(text) <= WIDTH:
            current += f" {text}"
            continue
        if number:
            yield current
            current = hanging
        *complete, current = _broken(current + text, f"{hanging}  ", len(hanging) + 2)
        yield from complete
    yield current
    if line.note:
        yield from _wrapped(line.note, hanging, hanging)


def _broken(text: str, hanging: str, least: int) -> list[str]:
    """Lines of ``text``, broken before + and −, after · and after commas, outside brackets first.

    Args:
        text: A formula that begins with its indentation.
        hanging: What later lines begin with.
        least: Columns at the beginning within which nothing is broken.
    """
    lines = []
    while len(text) > WIDTH:
        places = []
        depth = 0
        for at, character in enumerate(text[: WIDTH + 1]):
            depth += (character in "([") - (character in ")]")
            if at <= least:
                continue
            if text.startswith((" + ", " − "), at):
                places.append((-depth, 1, at))
            elif text.startswith(" ", at) and text[at - 1] in "·,":
                places.append((-depth, 0, at))
        if not places:
            break
        _, _, at = max(places)
        lines.append(text[:at])
        text = hanging + text[at + 1 :]
        least = len(hanging)
    return [*lines, text]


# -- tables ------------------------------------------------------------------------------------


def _table(table: Table, form: Format) -> Iterator[str]:
    """The table, cut into several if it is too wide; each begins with the columns of keys."""
    columns = [
        [form.cell(row[at]) for row in (table.heading, *table.rows)]
        for at in range(len(table.heading))
    ]
    widths = [max(map(len, column)) for column in columns]
    keys = list(range(table.keys))
    # What is longer than a line, a polynomial in many slopes, stands in full further above.
    room = WIDTH - len(_INDENT) - sum(widths[at] + 2 for at in keys)
    for at in range(table.keys, len(columns)):
        columns[at] = [
            cell if len(cell) <= room else f"{cell[: room - 2].rstrip()} …" for cell in columns[at]
        ]
        widths[at] = min(widths[at], room)
    parts, current, used = [], list(keys), sum(widths[at] + 2 for at in keys)
    for at in range(table.keys, len(columns)):
        if used + widths[at] + 2 > WIDTH and current != keys:
            parts.append(current)
            current, used = list(keys), sum(widths[key] + 2 for key in keys)
        current.append(at)
        used += widths[at] + 2
    for number, part in enumerate([*parts, current]):
        if number:
            yield ""
        for line in range(len(columns[0])):
            cells = [
                columns[at][line].ljust(widths[at])
                if at < table.left
                else columns[at][line].rjust(widths[at])
                for at in part
            ]
            yield _INDENT + "  ".join(cells).rstrip()
            if line == 0:
                yield _INDENT + "  ".join("─" * widths[at] for at in part)


FORMAT = Format(
    introduction=_introduction,
    section=_section,
    blocks={Formulas: _formulas, Paragraph: _paragraph, Items: _items, Table: _table},
    between_blocks=("",),
    prose=str,
    formula=expression,
)
"""Plain text."""
