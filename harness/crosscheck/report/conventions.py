"""The table of conventions for a terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from crosscheck.studies.conventions.expected import Expected
from crosscheck.studies.conventions.table import Table
from crosscheck.studies.conventions.view import LEGEND, Block, Line, blocks
from crosscheck.tools.consoles import Terminal

__all__ = ["markdown", "show"]

_CONTRADICTIONS = "Contradictions within one framework"
_KINDS = {
    "modes": "another result in another mode",
    "split": "value and derivative take z for different numbers",
    "position": "depends on the place in the array",
    "dtypes": "another result in another dtype",
    "wrong": "not the derivative",
}
_WIDE = 120

Sources = Mapping[tuple[str, str, str], str]


def _contradictions(found: Sequence[Expected]) -> dict[tuple[str, str], list[Expected]]:
    """Framework and kind to the divergences that are contradictions."""
    grouped: dict[tuple[str, str], list[Expected]] = {}
    for each in found:
        if each.kind in _KINDS:
            grouped.setdefault((each.framework, each.kind), []).append(each)
    return grouped


def _name(each: Expected) -> str:
    return each.formulation if each.unit == "relu" else f"{each.unit} as {each.formulation}"


def show(
    table: Table, found: Sequence[Expected], sources: Sources, console: Console | None = None
) -> None:
    """Print the table: contradictions first, then one grid for each framework and unit.

    Args:
        table: The table.
        found: Its divergences.
        sources: (framework, unit, formulation) to what is written there.
        console: Where to print; the standard output by default.
    """
    out = console or Terminal()
    if not out.is_terminal:
        out.width = max(out.width, _WIDE)
    grouped = _contradictions(found)
    if grouped:
        out.print(f"[bold]{_CONTRADICTIONS}[/bold] (mode, dtype at point: value derivative)")
        for (framework, kind), members in grouped.items():
            out.print(f"  {framework}: {_KINDS[kind]}")
            for each in members:
                out.print(f"    {_name(each)}: {escape(each.seen)}", soft_wrap=True)
        out.print()
    for block in blocks(table, sources):
        out.print(_grid(block, wide=out.width >= _WIDE))
    out.print(LEGEND)


def _grid(block: Block, *, wide: bool) -> Grid:
    grid = Grid(
        title=f"{block.framework} ({block.versions}): {block.unit.name} = {block.unit.formula}",
        title_justify="left",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
    )
    grid.add_column("formulation")
    for column in block.columns:
        grid.add_column(column, justify="right", no_wrap=True)
    if wide:
        grid.add_column("", overflow="fold")
    for line in block.lines:
        label = line.label if line.is_first else f"  {line.label}"
        cells = _marked(line, "[yellow]{}*[/yellow]")
        if line.unsupported:
            cells = [""] * len(block.columns)
            label += f": UNSUPPORTED: {line.unsupported}"
        grid.add_row(escape(label), *cells, *([escape(line.source)] if wide else []))
    return grid


def _marked(line: Line, marking: str) -> list[str]:
    return [
        marking.format(cell) if differs else cell
        for cell, differs in zip(line.cells, line.differs, strict=True)
    ]


def markdown(table: Table, found: Sequence[Expected], sources: Sources) -> str:
    """The same as Markdown.

    Args:
        table: The table.
        found: Its divergences.
        sources: (framework, unit, formulation) to what is written there.
    """
    return "\n".join(_document(table, found, sources)) + "\n"


def _document(table: Table, found: Sequence[Expected], sources: Sources) -> Iterator[str]:
    yield "# Conventions at the kink"
    yield ""
    yield LEGEND.replace("*:", "\\*:")
    grouped = _contradictions(found)
    if grouped:
        yield ""
        yield f"## {_CONTRADICTIONS}"
        yield ""
        yield "| framework | what | formulation | mode, dtype at point: value derivative |"
        yield "|---|---|---|---|"
        for (framework, kind), members in grouped.items():
            for each in members:
                seen = each.seen.replace("|", "\\|")
                yield f"| {framework} | {_KINDS[kind]} | {_name(each)} | {seen} |"
    for block in blocks(table, sources):
        yield ""
        yield f"## {block.framework} ({block.versions}): {block.unit.name}"
        yield ""
        yield f"{block.unit.name} = {block.unit.formula}".replace("|", "\\|")
        yield ""
        yield f"| formulation | {' | '.join(block.columns)} | |"
        yield f"|---|{'--:|' * len(block.columns)}---|"
        for line in block.lines:
            cells = _marked(line, "**{}**\\*")
            note = f"`{line.source}`" if line.source else ""
            if line.unsupported:
                cells, note = [""] * len(block.columns), f"UNSUPPORTED: {line.unsupported}"
            note = note.replace("|", "\\|")
            label = f"`{line.label}`" if line.is_first else f"… {line.label}"
            yield f"| {label} | {' | '.join(cells)} | {note} |"
