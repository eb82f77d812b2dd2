"""Which cases of a report stand together in its page: what failed, and examples of one kind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosscheck.judge.verdict import Kind
from crosscheck.report.html.cases import Card
from crosscheck.report.html.numbers import UNREAD, count

__all__ = ["Failures", "Fold", "failures", "folded"]


@dataclass(frozen=True)
class Failures:
    """The cases for which a run fails, without those that were given.

    Attributes:
        smallest: The smallest forms of some of them: these are what a person reads.
        drawn: As they were drawn, those that are in the report.
        words: How many there are, and which of them are shown.
        unexplained: Whether nothing explains any of them.
    """

    smallest: tuple[Card, ...]
    drawn: tuple[Card, ...]
    words: str
    unexplained: bool

    @property
    def all(self) -> tuple[Card, ...]:
        """In the order of the page."""
        return *self.smallest, *self.drawn


def failures(run: Mapping[str, Any], failing: Sequence[Card]) -> Failures:
    """What failed.

    Args:
        run: The run, as the report has it.
        failing: Cards of the cases for which it fails.
    """
    smallest = tuple(card for card in failing if card.shrunk)
    drawn = tuple(card for card in failing if not card.shrunk)
    total = run["failing_cases"]
    words = f"{count(total)} failing case{'' if total == 1 else 's'}"
    if smallest:
        form = "its smallest form" if len(smallest) == 1 else f"{len(smallest)} smallest forms"
        words += f"; first {form}"
        if drawn:
            words += f", then {_of(len(drawn), total)} as drawn"
    elif len(drawn) < total:
        words += f", of which {_of(len(drawn), total)} {'is' if len(drawn) == 1 else 'are'} here"
    kinds = {line.kind for card in failing for line in card.lines if line.fails}
    return Failures(smallest, drawn, words, kinds == {str(Kind.DISAGREES)})


def _of(shown: int, total: int) -> str:
    if shown >= total:
        return "the case" if total == 1 else f"all {count(shown)}"
    return count(shown)


@dataclass(frozen=True)
class Fold:
    """Cases of one kind.

    Attributes:
        name: The kind.
        slopes: The λ that were read in them, each once.
        cards: The cases.
    """

    name: str
    slopes: tuple[str, ...]
    cards: tuple[Card, ...]


def folded(cards: Iterable[Card]) -> list[Fold]:
    """Cases by kind, in the order in which the kinds come first.

    The kind of a case with decisions that are not certain is their class and the operator that
    decides, of any other its verdicts.
    """
    found: dict[str, list[Card]] = {}
    for card in cards:
        found.setdefault(_kind(card), []).append(card)
    return [
        Fold(
            name,
            tuple(
                dict.fromkeys(
                    slope
                    for card in own
                    for line in card.lines
                    for slope in line.slopes
                    if slope not in UNREAD
                )
            ),
            tuple(own),
        )
        for name, own in found.items()
    ]


def _kind(card: Card) -> str:
    if card.gates:
        reading = card.gates[0].reading
        return f"{reading.gate}: {reading.operator or 'ReLU'}"
    return ", ".join(dict.fromkeys(line.kind.lower().replace("_", " ") for line in card.lines))
