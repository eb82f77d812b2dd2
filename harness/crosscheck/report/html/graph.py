"""The graph of a model's operations as a picture: where each stands, and the lines between them.

Operations stand in ranks, each one below all that it takes numbers from; in a rank the one stands
first whose numbers come from further left. A long chain is a tall picture, which the page scrolls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from crosscheck.run.modules.outcome import OperationRow, State

__all__ = ["Drawing", "Edge", "Place", "drawing"]

_WIDTH, _HEIGHT = 150, 30
_GAP, _DROP = 16, 24
_MOST_WORDS = 21
_CLASSES: Mapping[State, str] = {
    State.INSIDE: "good",
    State.WRONG: "bad",
    State.UNTOLD: "undecided",
    State.UNBOUNDED: "undecided",
    State.UNREAD: "plain",
}


@dataclass(frozen=True)
class Place:
    """One operation, or an array that is given.

    Attributes:
        id: Its id, or its name.
        label: That, made short.
        look: A class of the page's style: what is said of it.
        title: More words, for whoever points at it.
        x: Of its left side.
        y: Of its top.
    """

    id: str
    label: str
    look: str
    title: str
    x: float
    y: float


@dataclass(frozen=True)
class Edge:
    """A line from the bottom of one place to the top of another, as a path."""

    path: str


@dataclass(frozen=True)
class Drawing:
    """The whole picture.

    Attributes:
        width: Of the picture.
        height: Of the picture.
        box: Width and height of a place.
        places: All of them.
        edges: All of them.
    """

    width: float
    height: float
    box: tuple[int, int]
    places: tuple[Place, ...]
    edges: tuple[Edge, ...]


def drawing(rows: Sequence[OperationRow], leaves: Sequence[str]) -> Drawing:
    """The picture of a model.

    Args:
        rows: Its operations.
        leaves: What it is differentiated by.
    """
    ids = {each.id for each in rows}
    given = list(dict.fromkeys(name for each in rows for name in each.inputs if name not in ids))
    ranks = _ranks(rows, ids)
    first_use = {
        name: min(ranks[each.id] for each in rows if name in each.inputs) - 1 for name in given
    }
    by_rank: dict[int, list[str]] = {}
    for name, rank in (*first_use.items(), *ranks.items()):
        by_rank.setdefault(rank, []).append(name)
    inputs = {each.id: each.inputs for each in rows}
    across = _across(by_rank, inputs)
    widest = max((len(names) for names in by_rank.values()), default=1)
    lowest = min(by_rank, default=0)
    rows_by_id = {each.id: each for each in rows}

    def at(name: str, rank: int) -> tuple[float, float]:
        count = len(by_rank[rank])
        left = (widest - count) * (_WIDTH + _GAP) / 2
        return left + across[name] * (_WIDTH + _GAP), (rank - lowest) * (_HEIGHT + _DROP)

    where = {n: at(n, rank) for n, rank in (*first_use.items(), *ranks.items())}
    places = [_leaf(name, name in leaves, *where[name]) for name in given]
    places += [_operation(rows_by_id[name], *where[name]) for name in ranks]
    edges = [
        Edge(_line(where[source], where[each.id]))
        for each in rows
        for source in dict.fromkeys(each.inputs)
    ]
    height = max((y for _, y in where.values()), default=0.0) + _HEIGHT
    width = widest * (_WIDTH + _GAP) - _GAP
    return Drawing(width, height, (_WIDTH, _HEIGHT), tuple(places), tuple(edges))


def _ranks(rows: Sequence[OperationRow], ids: set[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in rows:
        above = [found[name] for name in each.inputs if name in ids]
        found[each.id] = max(above, default=0) + 1
    return found


def _across(
    by_rank: Mapping[int, list[str]], inputs: Mapping[str, Sequence[str]]
) -> dict[str, int]:
    """The place of each name in its rank, nearest to the middle of what it takes."""
    found: dict[str, int] = {}
    for rank in sorted(by_rank):
        keys = {
            name: _middle([found[each] for each in inputs.get(name, ()) if each in found], at)
            for at, name in enumerate(by_rank[rank])
        }
        found |= {name: at for at, name in enumerate(sorted(keys, key=keys.__getitem__))}
    return found


def _middle(above: Sequence[int], own: int) -> float:
    return fmean(above) if above else float(own)


def _leaf(name: str, is_wanted: bool, x: float, y: float) -> Place:
    said = "differentiated by" if is_wanted else "given"
    return Place(name, _short(name), "leaf", f"{name}, {said}", x, y)


def _operation(row: OperationRow, x: float, y: float) -> Place:
    told = f"{row.id}: {row.state}"
    if row.wrong:
        told += f", {row.wrong}"
    if row.where:
        told += f"; {row.where}  {row.text}"
    return Place(row.id, _short(row.id), _CLASSES[row.state], told, x, y)


def _short(words: str) -> str:
    return words if len(words) <= _MOST_WORDS else f"{words[: _MOST_WORDS - 1]}…"


def _line(begin: tuple[float, float], end: tuple[float, float]) -> str:
    x0, y0 = begin[0] + _WIDTH / 2, begin[1] + _HEIGHT
    x1, y1 = end[0] + _WIDTH / 2, end[1]
    bend = _DROP / 2
    return f"M{x0:g} {y0:g}C{x0:g} {y0 + bend:g} {x1:g} {y1 - bend:g} {x1:g} {y1:g}"
