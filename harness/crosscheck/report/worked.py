"""The worked example on the terminal, at three points, with every convention side by side."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from crosscheck.frameworks.base import Framework
from crosscheck.studies.worked import points, side_by_side
from crosscheck.tools.consoles import Terminal

__all__ = ["show"]

_NOTES = (
    "No pre-activation is zero: everyone agrees.",
    "z1 = 0: dJ/db1 shows which derivative ReLU was given at zero.",
    "z2 = 0: the derivative chosen at zero scales the whole gradient.",
)


def show(frameworks: Sequence[Framework], console: Console | None = None) -> None:
    """Print one table for each point.

    Args:
        frameworks: Adapters, in the order in which they are shown.
        console: Where to print; the standard output by default.
    """
    out = console or Terminal()
    for (name, case), note in zip(points(), _NOTES, strict=True):
        table = Table(title=name, title_justify="left", caption=note, caption_justify="left")
        table.add_column("source")
        for heading in ("dJ/dw2", "dJ/db2", "dJ/dw1", "dJ/db1"):
            table.add_column(heading, justify="right")
        notes = []
        for row in side_by_side(case, frameworks):
            if row.values is None:
                table.add_row(row.source, "", "", "", "")
                notes.append(f"{row.source}: {row.reason}")
                continue
            # Adding zero turns -0 into 0, which is what a reader expects to see.
            table.add_row(row.source, *(f"{value + 0.0:g}" for value in row.values))
        out.print()
        out.print(table)
        for line in notes:
            out.print(line, markup=False, soft_wrap=True)
