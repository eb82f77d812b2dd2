"""Numbers of the reader's own, each beside what it should be, with its mark."""

from __future__ import annotations

from collections.abc import Callable

from crosscheck.explain.document import Block, Cell, Formulas, Items, Paragraph, Section, Table
from crosscheck.explain.steps import Derivation
from crosscheck.explain.values import Value, plain
from crosscheck.formulas.tree import Expression, Line
from crosscheck.judge.marking import Mark, Marked, MarkedEntry
from crosscheck.judge.mistakes import mistakes_told
from crosscheck.network.names import LOSS, EntryName
from crosscheck.numbers.multilinear import Multilinear, fraction

__all__ = ["marks_of_derivation", "marks_section"]

_SHOWN = 40
_DERIVED = 6

_MEANING = {
    Mark.DIGITS: "a decimal stands for every number that is rounded to it; an exact one is written "
    "as a whole number or as a hex float",
    Mark.UNTOLD: "zero would be as good: its digits, or the bound of rounding errors, do not tell "
    "it from zero, or another slope at a kink may give it",
}


def marks_section(
    marked: Marked,
    called: Callable[[MarkedEntry], Expression],
    wanted: Callable[[MarkedEntry], Expression],
    derived: Callable[[MarkedEntry], Line] | None = None,
) -> Section:
    """The reader's numbers.

    Args:
        marked: The numbers.
        called: What an entry is called.
        wanted: What it should be.
        derived: Where that comes from, if there is room for it.
    """
    entries = marked.entries
    if len(entries) > _SHOWN:  # the wrong ones first, and the others as far as there is room
        entries = tuple(sorted(entries, key=lambda each: each.mark is not Mark.WRONG))[:_SHOWN]
    rows: list[tuple[Cell, ...]] = [
        (called(each), wanted(each), each.text.replace("-", "−"), str(each.mark))
        for each in entries
    ]
    blocks: list[Block] = [Table(("", "by hand", "yours", "mark"), tuple(rows), keys=1)]
    wrong = [each for each in marked.entries if each.mark is Mark.WRONG]
    if derived is not None and wrong:
        lines = [derived(each) for each in wrong[:_DERIVED] if each.array != LOSS]
        if lines:
            blocks.append(Paragraph(("Where what is wrong comes from:",)))
            blocks.append(Formulas(tuple(lines)))
    blocks.append(Items(tuple(Paragraph((line,)) for line in _remarks(marked, len(entries)))))
    return Section("Your numbers", tuple(blocks))


def _remarks(marked: Marked, shown: int) -> list[str]:
    total = len(marked.entries)
    wrong = sum(each.mark is Mark.WRONG for each in marked.entries)
    told = sum(each.mark is not Mark.UNTOLD for each in marked.entries) - wrong
    lines = [f"{told} of {total} right, {wrong} wrong: {marked.verdict.kind}."]
    if marked.verdict.detail and not wrong:
        lines = [f"{lines[0][:-1]}; {marked.verdict.detail}."]
    if shown < total:
        lines.append(f"{total - shown} more are not shown, the wrong ones last.")
    lines += mistakes_told(marked)
    for mark, meaning in _MEANING.items():
        if any(each.mark is mark for each in marked.entries):
            lines.append(f"{mark}: {meaning}.")
    return lines


def marks_of_derivation(derivation: Derivation, marked: Marked, *, small: bool) -> Section:
    """The section for a dense network.

    Args:
        derivation: Its steps.
        marked: The numbers.
        small: Whether its steps are short.
    """

    def name_of(each: MarkedEntry) -> EntryName:
        return EntryName.of(each.array, each.index)

    def called(each: MarkedEntry) -> Expression:
        symbol = derivation.names.entry(name_of(each))
        return symbol if each.array == LOSS else derivation.names.derivative(symbol)

    def wanted(each: MarkedEntry) -> Expression:
        is_loss = each.array == LOSS
        value: Value = plain(derivation.loss) if is_loss else derivation.entry(name_of(each))
        if isinstance(value, Multilinear):
            slopes = {place: fraction(slope) for place, slope in marked.slopes.items()}
            value = plain(value.at(slopes))
        return derivation.show(value)

    def derived(each: MarkedEntry) -> Line:
        return derivation.line(derivation.entry_step(name_of(each)))

    return marks_section(marked, called, wanted, derived if small else None)
