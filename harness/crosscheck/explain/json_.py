"""An explanation for machines: its sections, with formulas and cells as plain text."""

from __future__ import annotations

import json
from typing import Any

from crosscheck.explain.document import Block, Document, Formulas, Items, Paragraph, Section, Table
from crosscheck.explain.text import FORMAT, chain

__all__ = ["render"]


def render(document: Document) -> str:
    """The document as JSON: every block is an object with one key, which says what it is."""
    content = {
        "title": document.title,
        "introduction": [_block(each) for each in document.introduction],
        "sections": [_section(each) for each in document.sections],
        "failed": document.failed,
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _section(section: Section) -> dict[str, Any]:
    return {"title": section.title, "blocks": [_block(each) for each in section.blocks]}


def _block(block: Block) -> dict[str, Any]:
    match block:
        case Formulas():
            return {"formulas": [chain(line) for line in block.lines]}
        case Paragraph():
            return {"text": FORMAT.cell(block)}
        case Items():
            return {"items": [FORMAT.cell(each) for each in block.items]}
        case Table():
            rows = [[FORMAT.cell(each) for each in row] for row in block.rows]
            return {"table": [[FORMAT.cell(each) for each in block.heading], *rows]}
