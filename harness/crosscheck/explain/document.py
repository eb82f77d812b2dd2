"""An explanation as a document: what every output format writes down in its own way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from crosscheck.formulas.tree import Expression, Line
from crosscheck.tools.errors import UsageError

__all__ = [
    "FORMATS",
    "Block",
    "Cell",
    "Document",
    "Formulas",
    "Items",
    "Paragraph",
    "Part",
    "Section",
    "Table",
]

FORMATS = ("text", "markdown", "latex", "html", "json")
"""What `Document.render` can write."""

Part: TypeAlias = str | Expression
"""A part of running text."""


@dataclass(frozen=True)
class Formulas:
    """Formulas below each other.

    Attributes:
        lines: The formulas.
        compact: Whether several may stand on one line.
    """

    lines: tuple[Line, ...]
    compact: bool = False


@dataclass(frozen=True)
class Paragraph:
    """Running text with formulas in it."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Items:
    """Short paragraphs that belong together."""

    items: tuple[Paragraph, ...]


Cell: TypeAlias = Part | Paragraph
"""What stands in a cell of a table."""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        heading: One cell for each column.
        rows: The rows below.
        left: How many of the columns, from the left, are set flush left; the others are numbers.
        keys: How many of the columns say what a row is about, for a table that is cut in two.
    """

    heading: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left: int = 1
    keys: int = 1


Block: TypeAlias = Formulas | Paragraph | Items | Table


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """The derivation of one case, ready to be written.

    Attributes:
        title: Of the whole.
        introduction: What the case is.
        sections: The derivation, what the frameworks say, and the reader's own numbers, marked.
        failed: Whether a framework disagrees, crashed or is broken, or one of the reader's own
            numbers is wrong.
    """

    title: str
    introduction: tuple[Block, ...]
    sections: tuple[Section, ...]
    failed: bool = False

    def render(self, form: Literal["text", "markdown", "latex", "html", "json"] = "text") -> str:
        """The document in one of `FORMATS`: text of 80 columns, Markdown, LaTeX, HTML, JSON.

        Raises:
            UsageError: There is no such format.
        """
        from crosscheck.explain import html, json_, latex, markdown, text

        writers: Mapping[str, Callable[[Document], str]] = {
            "text": text.render,
            "markdown": markdown.render,
            "latex": latex.render,
            "html": html.render,
            "json": json_.render,
        }
        if form not in writers:
            raise UsageError(f"format={form!r}: wanted one of {', '.join(FORMATS)}")
        return writers[form](self)

    def __str__(self) -> str:
        return self.render("text")

    def _repr_html_(self) -> str:
        """The document for a notebook."""
        from crosscheck.explain import html

        return html.fragment(self)
