"""What certificates beyond the a-priori one said of many cases, in numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from crosscheck.judge.verdict import Certified, Verdict

__all__ = ["Certifications", "certifications_of"]


@dataclass(frozen=True)
class Certifications:
    """How many gradients a certificate was asked of, and what came of it.

    Attributes:
        cases: How many gradients.
        inside: Of how many nothing was wrong.
        wrong: Of how many something was.
        compared: How many numbers were compared.
        unbounded: How many of them have no bound.
        worst: The largest error / bound of those of which nothing was wrong.
        notes: Why nothing was said of the rest, to how many cases.
        untold: Of how many of those inside a step is explained only by what would explain an error
            of 1 % as well.
    """

    cases: int = 0
    inside: int = 0
    wrong: int = 0
    compared: int = 0
    unbounded: int = 0
    worst: float = 0.0
    notes: tuple[tuple[str, int], ...] = ()
    untold: int = 0

    @classmethod
    def of(cls, said: Certified) -> Certifications:
        """That of one gradient."""
        if said.note:
            return cls(1, notes=((said.note, 1),))
        if said.wrong:
            return cls(1, wrong=1, compared=said.compared, unbounded=said.unbounded)
        untold = int(bool(said.untold))
        return cls(1, 1, 0, said.compared, said.unbounded, said.worst, untold=untold)

    def __add__(self, other: Certifications) -> Certifications:
        notes = dict(self.notes)
        for note, count in other.notes:
            notes[note] = notes.get(note, 0) + count
        return Certifications(
            self.cases + other.cases,
            self.inside + other.inside,
            self.wrong + other.wrong,
            self.compared + other.compared,
            self.unbounded + other.unbounded,
            max(self.worst, other.worst),
            tuple(notes.items()),
            self.untold + other.untold,
        )

    @property
    def words(self) -> str:
        """For a person."""
        told = [f"{self.inside:,} of {self.cases:,} gradients inside"]
        if self.wrong:
            told.append(f"{self.wrong:,} not")
        told.append(f"{self.compared:,} numbers, largest error {self.worst:.2g} of its bound")
        if self.unbounded:
            told.append(f"{self.unbounded:,} without a bound")
        if self.untold:
            told.append(f"{self.untold:,} not told from an error of 1 %")
        told += [f"{count:,} left out: {note}" for note, count in self.notes]
        return ", ".join(told)


def certifications_of(verdicts: Iterable[Verdict]) -> Mapping[str, Certifications]:
    """By certificate, what was said of one framework's gradients."""
    found: dict[str, Certifications] = {}
    for verdict in verdicts:
        for said in verdict.certificates:
            before = found.get(said.certificate, Certifications())
            found[said.certificate] = before + Certifications.of(said)
    return found
