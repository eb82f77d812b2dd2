"""The table of operators for people, in Markdown."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from crosscheck.judge.verdict import Kind
from crosscheck.numbers.formats import WORKING
from crosscheck.studies.operators.measure import MODES, ORDERS, Cell, Table

__all__ = ["page"]

_LETTERS = {"local": "C", "adjoint": "B"}
_LONG = "float"
_OPEN = (Kind.UNSUPPORTED, Kind.NONFINITE)

_INTRODUCTION = """
Order 1 are gradients, 2 products of a Hessian with a vector: by double backward in PyTorch, by
nested tapes in TensorFlow, and eagerly by an accumulator around a tape as well, in JAX by a tangent
of the gradient and by two reverse passes. Each has the a-priori certificate. **C**: each step is
held to its own bounds as well. **B**: entries are held to adjoint bounds. In each cell are the
dtypes, without the word float in front. Behind one, `?` means that some entries have no a-priori
bound, as where a value may overflow or leave the domain of a function, or that second derivatives
were not judged at a breakpoint; `!` that a derivative is wrong, see below; `-` that the framework
cannot do it. `forward` carries a tangent for each entry upwards. It and PyTorch's
compiler are asked for gradients only, and the compiler, ten seconds for each network, for those of
ten operators that are composed of several steps. A blank cell elsewhere has not been judged.
"""


def page(table: Table) -> str:
    """What was found, as a document."""
    return "\n".join(_lines(table)) + "\n"


def _lines(table: Table) -> Iterator[str]:
    cells = {cell.key: cell for cell in table.cells}
    operators = sorted({cell.operator for cell in table.cells})
    empty = [cell for cell in table.cells if cell.unsupported]
    failing = [cell for cell in table.cells if cell.fails]
    yield "# Operators"
    yield ""
    yield "Written by `nox -s operators`; its numbers are in [operators.json](operators.json)."
    yield ""
    yield (
        f"{len(operators)} operators, {len(table.cells):,} cells, of which {len(empty)} are empty "
        f"and {len(failing)} hold a wrong derivative. {'; '.join(table.versions.values())}."
    )
    yield _INTRODUCTION
    columns = [(name, mode) for name, modes in MODES.items() for mode in modes]
    yield "| operator | order | " + " | ".join(f"{name} {mode}" for name, mode in columns) + " |"
    yield "|---|---|" + "---|" * len(columns)
    for operator, order in itertools.product(operators, ORDERS):
        row = []
        for name, mode in columns:
            found = [cells.get((operator, name, mode, dtype, order)) for dtype in WORKING]
            row.append(_cell([each for each in found if each is not None]))
        if any(row):
            yield f"| {operator} | {order} | " + " | ".join(row) + " |"
    yield from _listed("What is wrong", failing, [cell.wrong for cell in failing])
    yield from _listed("What frameworks cannot do", empty, [cell.unsupported for cell in empty])
    some = [cell for cell in table.cells if cell.refused]
    if some:
        words = ["; ".join(f"{name}: {why}" for name, why in cell.refused.items()) for cell in some]
        yield from _listed("What they cannot do in some variants, `~` behind a dtype", some, words)


def _listed(title: str, cells: list[Cell], words: list[str]) -> Iterator[str]:
    yield ""
    yield f"## {title}"
    yield ""
    for cell, said in zip(cells, words, strict=True):
        order = f", order {cell.order}" if cell.order > 1 else ""
        yield f"- {cell.framework} {cell.mode}, {cell.operator}, {cell.dtype}{order}: {said}"
    if not cells:
        yield "Nothing."


def _cell(found: list[Cell]) -> str:
    letters = {_LETTERS[name] for cell in found for name in cell.certificates if name in _LETTERS}
    said = [f"**{letter}**" for letter in sorted(letters)]
    for cell in found:
        mark = ""
        if cell.unsupported:
            mark = "-"
        elif cell.fails:
            mark = "!"
        elif any(Kind(name) in _OPEN for name in cell.verdicts):
            mark = "?"
        mark += "~" if cell.refused else ""
        said.append(cell.dtype.removeprefix(_LONG) + mark)
    return " ".join(said)
