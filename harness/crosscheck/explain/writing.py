"""The walk over a document that writes it down, block by block, in the words of a format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from crosscheck.explain.document import Block, Cell, Document, Paragraph
from crosscheck.formulas.tree import Expression

__all__ = ["BlockWriter", "Format"]

BlockWriter: TypeAlias = Callable[[Any, "Format"], Iterable[str]]
"""A block, and the format for what stands in it, to the lines of the block."""


@dataclass(frozen=True)
class Format:
    """A way of writing documents.

    Attributes:
        introduction: The document's title, as prose, and the lines of the blocks that stand
            before the first section, to the lines it begins with.
        section: A section's title, as prose, and the lines of its blocks, to the section's lines.
        blocks: How each kind of block is written, by its class.
        between_blocks: The lines between two blocks.
        prose: How plain text is written.
        formula: How a formula in running text or in a table is written.
    """

    introduction: Callable[[str, Iterable[str]], Iterable[str]]
    section: Callable[[str, Iterable[str]], Iterable[str]]
    blocks: Mapping[type[Block], BlockWriter]
    between_blocks: tuple[str, ...]
    prose: Callable[[str], str]
    formula: Callable[[Expression], str]

    def lines(self, document: Document) -> Iterator[str]:
        """The lines of a document.

        Raises:
            KeyError: The format has no words for a kind of block, or of formula, in it.
        """
        introduction = self._block_lines(document.introduction)
        yield from self.introduction(self.prose(document.title), introduction)
        for section in document.sections:
            yield from self.section(self.prose(section.title), self._block_lines(section.blocks))

    def _block_lines(self, blocks: tuple[Block, ...]) -> Iterator[str]:
        for number, block in enumerate(blocks):
            if number:
                yield from self.between_blocks
            yield from self.blocks[type(block)](block, self)

    def cell(self, cell: Cell) -> str:
        """What stands in a cell of a table, or running text: prose with formulas in it."""
        match cell:
            case str():
                return self.prose(cell)
            case Paragraph(parts=parts):
                return "".join(map(self.cell, parts))
        return self.formula(cell)
