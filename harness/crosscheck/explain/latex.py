"""An explanation as a LaTeX fragment; it needs amsmath and no other package."""

from __future__ import annotations

from collections.abc import Iterator

from crosscheck.explain import text
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

__all__ = ["aligned_rows", "inline", "prose", "render"]

_WIDEST = 62
"""Characters of a row of formulas, as text, that fit a page."""

_PROSE = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    "λ": r"$\lambda$",
    "∂": r"$\partial$",
    "≈": r"$\approx$",
    "≥": r"$\ge$",
    "≤": r"$\le$",
    "−": "$-$",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "½": r"$\tfrac12$",
    "‖": r"$\|$",
    "′": "$'$",
    "…": r"\dots{}",
    "—": "---",
    "‐": "-",
    "∞": r"$\infty$",
}


def render(document: Document) -> str:
    r"""The document as LaTeX, to be put between ``\begin{document}`` and ``\end{document}``."""
    lines = [
        "% A fragment. It needs \\usepackage{amsmath}.",
        f"\\section*{{{prose(document.title)}}}",
        "\\allowdisplaybreaks",
        *_blocks(document.introduction),
    ]
    for section in document.sections:
        lines += ["", f"\\subsection*{{{prose(section.title)}}}", *_blocks(section.blocks)]
    return "\n".join(lines) + "\n"


def _blocks(blocks: tuple[Block, ...]) -> Iterator[str]:
    for block in blocks:
        yield ""
        match block:
            case Formulas():
                yield "\\begin{align*}"
                yield " \\\\\n".join(f"  {row}" for row in aligned_rows(block))
                yield "\\end{align*}"
            case Paragraph():
                yield f"\\noindent {_parts(block.parts)}"
            case Items():
                yield "\\begin{itemize}"
                yield from (f"  \\item {_parts(item.parts)}" for item in block.items)
                yield "\\end{itemize}"
            case Table():
                yield from _table(block)


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
    """A sum or a product cut into rows of as many parts as fit."""
    if len(text.expression(it)) <= room:
        return [expression(it)]
    match it:
        case Sum(terms=parts):
            written = [expression(parts[0]), *map(_further, parts[1:])]
        case Product(factors=parts):
            written = [_factor(parts[0], first=True)]
            written += [rf"\cdot {_factor(part, first=False)}" for part in parts[1:]]
        case Term(coefficient=value, factors=parts):
            written = [expression(Term(value, parts[:1]))]
            written += [rf"\cdot {_factor(part, first=False)}" for part in parts[1:]]
        case _:
            return [expression(it)]
    rows: list[str] = []
    used = room + 1
    for part, words in zip(parts, written, strict=True):
        length = len(text.expression(part)) + 3
        if used + length > room:
            rows.append(words)
            used = length
        else:
            rows[-1] += f" {words}"
            used += length
    return rows


# -- prose and tables --------------------------------------------------------------------------


def prose(words: str) -> str:
    """Text with every special character escaped, in ASCII."""
    return "".join(_PROSE.get(character, character) for character in words)


def _parts(parts: tuple[Part, ...]) -> str:
    return "".join(prose(part) if isinstance(part, str) else f"${inline(part)}$" for part in parts)


def _cell(cell: Cell) -> str:
    return _parts(cell.parts if isinstance(cell, Paragraph) else (cell,))


def _table(table: Table) -> Iterator[str]:
    columns = len(table.heading)
    alignment = "l" * table.left + "r" * (columns - table.left)
    yield "\\begin{center}\\small"
    yield f"\\begin{{tabular}}{{{alignment}}}"
    for number, row in enumerate((table.heading, *table.rows)):
        yield "  " + " & ".join(map(_cell, row)) + " \\\\" + (" \\hline" if not number else "")
    yield "\\end{tabular}"
    yield "\\end{center}"


# -- formulas ----------------------------------------------------------------------------------


def expression(it: Expression) -> str:
    """A formula in math mode."""
    match it:
        case Symbol(letter=letter, layer=layer, index=index):
            name = r"\lambda" if letter == "λ" else letter
            if not index:
                return name if layer is None else f"{name}_{{{layer}}}"
            above = "" if layer is None else f"^{{({layer})}}"
            return f"{name}{above}_{{{','.join(map(str, index))}}}"
        case Number(value=value):
            return ("-" if value < 0 else "") + _digits(it)
        case Term(coefficient=value, factors=factors):
            names = [_factor(factor, first=False) for factor in factors]
            if abs(value) != 1:
                names.insert(0, _digits(Number(abs(value))))
            return ("-" if value < 0 else "") + r" \cdot ".join(names)
        case Partial(of=of, by=by):
            return rf"\frac{{\partial {expression(of)}}}{{\partial {expression(by)}}}"
        case Product(factors=factors):
            return r" \cdot ".join(
                _factor(factor, first=not at) for at, factor in enumerate(factors)
            )
        case Sum(terms=terms):
            return " ".join([expression(terms[0]), *map(_further, terms[1:])])
        case Difference(left=left, right=right):
            subtracted = expression(right)
            if is_negative(right) or isinstance(right, Sum | Difference):
                subtracted = f"({subtracted})"
            return f"{expression(left)} - {subtracted}"
        case Square(base=base):
            return f"({expression(base)})^2"
        case Scaled(scale=scale, body=body):
            inner = expression(body)
            if isinstance(body, Sum | Difference):
                inner = f"({inner})"
            if scale == 1:
                return inner
            return rf"\tfrac{{{scale.numerator}}}{{{scale.denominator}}} {inner}"
        case Call(name=name, arguments=arguments):
            function = {
                "ReLU": r"\operatorname{ReLU}",
                "ReLU′": r"\operatorname{ReLU}'",
                "max": r"\max",
                "H": "H",
            }[name]
            return f"{function}({', '.join(map(expression, arguments))})"
        case Over(indices=indices, body=body):
            letters = ",".join(letter for letter, _ in indices)
            return rf"\sum_{{{letters}}} {expression(body)}"
        case Matrix(rows=rows):
            lines = r" \\ ".join(" & ".join(map(expression, row)) for row in rows)
            return rf"\begin{{pmatrix}} {lines} \end{{pmatrix}}"
        case Words(text=words):
            return rf"\text{{{prose(words)}}}"


def inline(it: Expression) -> str:
    """A formula in math mode, low enough for a line of text."""
    if isinstance(it, Partial):
        return rf"\partial {expression(it.of)} / \partial {expression(it.by)}"
    return expression(it)


def _further(term: Expression) -> str:
    """A term of a sum that is not the first."""
    if isinstance(term, Number | Term) and is_negative(term):
        return f"- {expression(term).removeprefix('-')}"
    return f"+ {_factor(term, first=False) if is_negative(term) else expression(term)}"


def _factor(factor: Expression, *, first: bool) -> str:
    if isinstance(factor, Product):
        head, *rest = factor.factors
        parts = [_factor(head, first=first), *(_factor(each, first=False) for each in rest)]
        return r" \cdot ".join(parts)
    if isinstance(factor, Sum | Difference) or (is_negative(factor) and not first):
        return f"({expression(factor)})"
    return expression(factor)


def _digits(number: Number) -> str:
    """A number without its sign."""
    written = numeral(number.value)
    match written.kind:
        case "decimal":
            return written.parts[0]
        case "power":
            return f"2^{{{written.parts[0]}}}"
        case "ratio":
            return rf"\tfrac{{{written.parts[0]}}}{{{written.parts[1]}}}"
        case "scientific":
            return rf"{written.parts[0]} \cdot 10^{{{written.parts[1]}}}"
