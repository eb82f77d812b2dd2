"""An explanation as plain text, 80 columns wide."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from crosscheck.explain.document import Block, Cell, Document, Formulas, Items, Paragraph, Table
from crosscheck.explain.expressions import (
    Call,
    Difference,
    Expression,
    Line,
    Matrix,
    Number,
    Over,
    Partial,
    Product,
    Scaled,
    Square,
    Sum,
    Symbol,
    Term,
    Words,
    is_negative,
    relation,
)
from crosscheck.explain.numerals import numeral

__all__ = ["WIDTH", "expression", "render"]

WIDTH = 80
_INDENT = "  "
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_SIGNS = {"1/2": "½", "1/4": "¼"}


def render(document: Document) -> str:
    """The document as text; headings are the lines that are not indented."""
    lines = [document.title, "", *_blocks(document.introduction)]
    for section in document.sections:
        lines += ["", section.title, "", *_blocks(section.blocks)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _blocks(blocks: tuple[Block, ...]) -> Iterator[str]:
    for number, block in enumerate(blocks):
        if number:
            yield ""
        match block:
            case Formulas(compact=True):
                yield from _compact(block)
            case Formulas():
                for line in block.lines:
                    yield from _line(line)
            case Paragraph():
                yield from _wrapped(_cell(block), _INDENT, _INDENT)
            case Items():
                for item in block.items:
                    yield from _wrapped(_cell(item), f"{_INDENT}- ", f"{_INDENT}  ")
            case Table():
                yield from _table(block)


def _wrapped(text: str, first: str, later: str) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=later,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _compact(block: Formulas) -> Iterator[str]:
    """Several formulas on a line, as many as fit."""
    current = ""
    for line in block.lines:
        text = _chain(line)
        if current and len(current) + 3 + len(text) <= WIDTH:
            current += f"   {text}"
            continue
        if current:
            yield current
        current = _INDENT + text
    if len(current) <= WIDTH:
        yield current
    else:
        yield from _line(block.lines[-1])


def _chain(line: Line) -> str:
    first, *others = line.chain
    return " ".join([expression(first), *map(_member, others)])


def _member(it: Expression) -> str:
    return f"{relation(it)} {expression(it)}"


def _line(line: Line) -> Iterator[str]:
    """A chain on one line if it fits, else broken before equals signs, then within sums."""
    whole = _INDENT + _chain(line)
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


def _cell(cell: Cell) -> str:
    match cell:
        case str():
            return cell
        case Paragraph(parts=parts):
            return "".join(map(_cell, parts))
    return expression(cell)


def _table(table: Table) -> Iterator[str]:
    """The table, cut into several if it is too wide; each begins with the columns of keys."""
    columns = [
        [_cell(row[at]) for row in (table.heading, *table.rows)] for at in range(len(table.heading))
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


# -- formulas ----------------------------------------------------------------------------------


def expression(it: Expression) -> str:
    """A formula as text."""
    match it:
        case Symbol(letter=letter, layer=layer, index=index):
            at = f"[{','.join(map(str, index))}]" if index else ""
            return f"{letter}{'' if layer is None else layer}{at}"
        case Number(value=value):
            return _signed(value < 0, _digits(it))
        case Term(coefficient=value, factors=factors):
            names = [_factor(factor, first=False) for factor in factors]
            if abs(value) != 1:
                names.insert(0, _digits(Number(abs(value))))
            return _signed(value < 0, " · ".join(names))
        case Partial(of=of, by=by):
            return f"∂{expression(of)}/∂{expression(by)}"
        case Product(factors=factors):
            written = [_factor(factor, first=not at) for at, factor in enumerate(factors)]
            return " · ".join(written)
        case Sum(terms=terms):
            return _sum(terms)
        case Difference(left=left, right=right):
            subtracted = expression(right)
            if is_negative(right) or isinstance(right, Sum | Difference):
                subtracted = f"({subtracted})"
            return f"{expression(left)} − {subtracted}"
        case Square(base=base):
            return f"({expression(base)})²"
        case Scaled(scale=scale, body=body):
            inner = expression(body)
            if isinstance(body, Sum | Difference):
                inner = f"({inner})"
            ratio = f"{scale.numerator}/{scale.denominator}"
            return inner if scale == 1 else f"{_SIGNS.get(ratio, ratio)} {inner}"
        case Call(name=name, arguments=arguments):
            return f"{name}({', '.join(map(expression, arguments))})"
        case Over(indices=indices, body=body):
            letters = ",".join(letter for letter, _ in indices)
            return f"Σ_{letters} {expression(body)}"
        case Matrix(rows=rows):
            lines = [f"[{', '.join(map(expression, row))}]" for row in rows]
            return lines[0] if len(lines) == 1 else f"[{', '.join(lines)}]"
        case Words(text=text):
            return text


def _sum(terms: tuple[Expression, ...]) -> str:
    text = expression(terms[0])
    for term in terms[1:]:
        if isinstance(term, Number | Term) and is_negative(term):
            text += f" − {expression(term).removeprefix('−')}"
        else:
            inner = expression(term)
            # A product keeps its numbers as they are: 2 · 1 + (−3) · 4.
            text += f" + {_factor(term, first=False) if is_negative(term) else inner}"
    return text


def _factor(factor: Expression, *, first: bool) -> str:
    if isinstance(factor, Product):
        head, *rest = factor.factors
        parts = [_factor(head, first=first), *(_factor(each, first=False) for each in rest)]
        return " · ".join(parts)
    text = expression(factor)
    if isinstance(factor, Sum | Difference) or (is_negative(factor) and not first):
        return f"({text})"
    return text


def _signed(negative: bool, text: str) -> str:
    return f"−{text}" if negative else text


def _digits(number: Number) -> str:
    """A number without its sign."""
    written = numeral(number.value)
    match written.kind:
        case "decimal":
            return written.parts[0]
        case "power":
            return f"2{written.parts[0].translate(_RAISED)}"
        case "ratio":
            return "/".join(written.parts)
        case "scientific":
            return f"{written.parts[0]}e{int(written.parts[1]):+03d}"
