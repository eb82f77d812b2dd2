"""What was counted of faults, and of right gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from crosscheck.studies.certificates.settings import Setting

__all__ = ["Counts", "Found", "together"]


@dataclass(frozen=True)
class Counts:
    """How often faults of one sort were caught.

    Attributes:
        sort: Of `GROUPS` or `STRUCTURAL`.
        exponent: k of a fault 1 + 2^-k; ``None`` for a structural one.
        planted: How many.
        held: About how many of them the a-priori certificate was asked: all or none.
        a_priori: Of these, how many it catches.
        local: Of all, how many the local one catches.
        unless_allowed: The local one with every named arithmetic allowed.
        looked: About how many the adjoint one was asked.
        adjoint: Of these, how many it catches.
    """

    sort: str
    exponent: int | None
    planted: int = 0
    held: int = 0
    a_priori: int = 0
    local: int = 0
    unless_allowed: int = 0
    looked: int = 0
    adjoint: int = 0


@dataclass(frozen=True)
class Found:
    """What was measured in one setting.

    Attributes:
        setting: Which.
        open: Networks in which the a-priori certificate leaves gates open.
        counts: By sort and size.
        sampled: Entries that the adjoint certificate looks at in a run.
        entries: That there are.
        right: Right gradients that were judged: the simulated one, and those of frameworks.
        rejected: Of these, how many a certificate rejects.
        judged: Faults that were put to the door as well.
        otherwise: Of these, how many had another verdict than is counted here.
    """

    setting: Setting
    open: int
    counts: tuple[Counts, ...]
    sampled: int
    entries: int
    right: int
    rejected: int
    judged: int
    otherwise: int

    def of(self, sort: str, exponent: int | None) -> Counts:
        """The counts of faults of one sort and size."""
        for each in self.counts:
            if (each.sort, each.exponent) == (sort, exponent):
                return each
        return Counts(sort, exponent)

    def as_json(self) -> dict[str, Any]:
        """For a report."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Any) -> Found:
        """What `as_json` made."""
        counts = tuple(Counts(**each) for each in data["counts"])
        return cls(**{**data, "setting": Setting(**data["setting"]), "counts": counts})


_ADDED = ("planted", "held", "a_priori", "local", "unless_allowed", "looked", "adjoint")


def together(parts: Sequence[Found]) -> Found:
    """What was measured of several networks of one setting."""
    sums: dict[tuple[str, int | None], dict[str, int]] = {}
    for each in (counts for part in parts for counts in part.counts):
        here = sums.setdefault((each.sort, each.exponent), dict.fromkeys(_ADDED, 0))
        for name in _ADDED:
            here[name] += getattr(each, name)
    counts = tuple(_counts(key, numbers) for key, numbers in sums.items())
    return Found(
        parts[0].setting,
        sum(part.open for part in parts),
        counts,
        parts[0].sampled,
        parts[0].entries,
        *(
            sum(getattr(part, name) for part in parts)
            for name in ("right", "rejected", "judged", "otherwise")
        ),
    )


def _counts(key: tuple[str, int | None], numbers: dict[str, int]) -> Counts:
    data: dict[str, Any] = {"sort": key[0], "exponent": key[1], **numbers}
    return Counts(**data)
