"""The ReLU boundary: which λ each framework used at which gates, and whether it is valid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosscheck.report.html.cases import Card
from crosscheck.report.html.figures import Tangent, tangents
from crosscheck.report.html.numbers import UNREAD, named_together, path

__all__ = ["STATUSES", "Boundary", "Cell", "Group", "ValidityRow", "boundary"]

STATUSES = ("inside", "outside", "not decided")
"""Whether a gradient is in the Clarke subdifferential."""

_SLOPES = {"0": "0", "1/2": "½", "1": "1", "other": "other"}
_SLOPES |= {name: name for name in UNREAD}
_GROUPS = {
    ("kink", False): ("kink", "z is exactly zero, in every evaluation"),
    ("kink, may be missed", False): (
        "kink, may be missed",
        "z is exactly zero, but a rounded sum may land beside it",
    ),
    ("kink, may be missed", True): (
        "kink, missed",
        "z is exactly zero, and the framework's sum landed beside it",
    ),
    ("undecided", False): (
        "undecided",
        "z is nearer to zero than rounding can tell; the framework took the exact side",
    ),
    ("undecided", True): (
        "undecided, other side",
        "the same, and the framework saw z on another side than the exact one: a gate flip",
    ),
}


@dataclass(frozen=True)
class Cell:
    """How often a framework used one λ at one class of gates.

    Attributes:
        gates: How many gates.
        cases: In how many cases.
        key: The example's key.
        anchor: Its place in the page; empty if it is not there.
    """

    gates: int
    cases: int
    key: str
    anchor: str


@dataclass(frozen=True)
class Group:
    """The gates of one class.

    Attributes:
        name: The class.
        meaning: In a sentence.
        rows: Framework, mode, and the cells in the order of the columns.
    """

    name: str
    meaning: str
    rows: tuple[tuple[str, str, tuple[Cell | None, ...]], ...]


@dataclass(frozen=True)
class ValidityRow:
    """Whether the gradients of one framework at kinks are generalised derivatives.

    Attributes:
        who: Frameworks, and how they write it.
        counts: Number of cases by status, in the order of `STATUSES`.
        anchors: A case of each status in the page, or an empty text.
    """

    who: str
    counts: tuple[int, ...]
    anchors: tuple[str, ...]


@dataclass(frozen=True)
class Boundary:
    """The whole section.

    Attributes:
        columns: Names of λ that occur.
        groups: The gates by class.
        validity: Whether the choices are valid, with respect to the parameters and the inputs.
        outside: How many cases have a gradient that is no generalised derivative, over all
            frameworks; one that is none with respect to parameters and inputs counts once.
        tangents: A line for each λ used at a kink.
        answers: Framework and the λ it used at kinks, for the first screen.
    """

    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    validity: Mapping[str, tuple[ValidityRow, ...]]
    outside: int
    tangents: tuple[Tangent, ...]
    answers: Mapping[str, tuple[str, ...]]


def boundary(document: Mapping[str, Any], cards: Sequence[Card]) -> Boundary:
    """What the report says about kinks.

    Args:
        document: The report.
        cards: The cases that are in the page.
    """
    order = {state["name"]: place for place, state in enumerate(document["frameworks"])}

    frameworks = [
        state["name"] for state in document["frameworks"] if state["state"] == "available"
    ]

    def of_run(line: Mapping[str, Any]) -> int:
        return order.get(line["framework"], len(order))

    lines = sorted(document["relu_boundary"], key=of_run)
    validity = sorted(document["validity"], key=of_run)
    anchors: dict[str, str] = {}
    for each in cards:
        anchors.setdefault(each.key, each.anchor)
    present = {line["slope"] for line in lines}
    columns = [name for name in _SLOPES if name in present or name in ("0", "1/2", "1")]
    at_kinks = [line for line in lines if line["gate"] == "kink" and line["slope"] not in UNREAD]
    answers: dict[str, tuple[str, ...]] = {}
    for line in at_kinks:
        known = answers.get(path(line), ())
        answers[path(line)] = (*known, _SLOPES.get(line["slope"], line["slope"]))
    return Boundary(
        columns=tuple(_SLOPES[name] for name in columns),
        groups=tuple(_groups(lines, columns, anchors, frameworks)),
        validity={
            block: tuple(
                _validity([line for line in validity if line["block"] == block], cards, frameworks)
            )
            for block in sorted({line["block"] for line in validity}, reverse=True)
        },
        outside=_outside(validity),
        tangents=tuple(
            tangents(
                [
                    (line["framework"], line["formulation"], line["example"]["slope"])
                    for line in at_kinks
                    if line["example"] is not None and line["example"]["slope"] is not None
                ],
                length=100,
                names=frameworks,
            )
        ),
        answers=answers,
    )


def _outside(validity: Sequence[Mapping[str, Any]]) -> int:
    found: dict[str, int] = {}
    for line in validity:
        who = path(line)
        found[who] = max(found.get(who, 0), line["counts"].get("outside", 0))
    return sum(found.values())


def _groups(
    lines: Sequence[Mapping[str, Any]],
    columns: Sequence[str],
    anchors: Mapping[str, str],
    frameworks: Sequence[str],
) -> list[Group]:
    groups = []
    classes = dict.fromkeys([*_GROUPS, *((line["gate"], line["flipped"]) for line in lines)])
    for gate, flipped in classes:
        name, meaning = _GROUPS.get((gate, flipped), (gate, "on another side" if flipped else ""))
        own = [line for line in lines if (line["gate"], line["flipped"]) == (gate, flipped)]
        cells: dict[tuple[str, str, str], dict[str, Cell]] = {}
        for line in own:
            example = line["example"]
            key = "" if example is None else example["case"]
            cell = Cell(line["gates"], line["cases"], key, anchors.get(key, ""))
            who = line["framework"], line["formulation"], line["mode"]
            cells.setdefault(who, {})[line["slope"]] = cell
        if cells:
            groups.append(Group(name, meaning, tuple(_rows(cells, columns, frameworks))))
    return groups


def _rows(
    cells: Mapping[tuple[str, str, str], Mapping[str, Cell]],
    columns: Sequence[str],
    frameworks: Sequence[str],
) -> Iterator[tuple[str, str, tuple[Cell | None, ...]]]:
    """Rows that several frameworks have, each the same numbers, are one."""
    alike: dict[tuple[Any, ...], list[tuple[str, str, str]]] = {}
    for (framework, formulation, mode), own in cells.items():
        counts = tuple((own[c].gates, own[c].cases) if c in own else None for c in columns)
        alike.setdefault((formulation, counts), []).append((framework, formulation, mode))
    order = list(dict.fromkeys(formulation for formulation, _ in alike))
    for (formulation, _), owners in sorted(alike.items(), key=lambda row: order.index(row[0][0])):
        own = cells[owners[0]]
        modes = ", ".join(dict.fromkeys(mode for _, _, mode in owners))
        who = named_together([framework for framework, _, _ in owners], frameworks)
        yield f"{who} {formulation}".strip(), modes, tuple(own.get(column) for column in columns)


def _validity(
    lines: Sequence[Mapping[str, Any]], cards: Sequence[Card], frameworks: Sequence[str]
) -> Iterator[ValidityRow]:
    """Rows that several frameworks have, each the same numbers, are one."""

    def example(line: Mapping[str, Any], status: str) -> str:
        for each in cards:
            for verdict in each.lines:
                answers = [(block, found) for block, found, _ in verdict.validity]
                if verdict.who == path(line) and (line["block"], status) in answers:
                    return each.anchor
        return ""

    alike: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for line in lines:
        counts = tuple(line["counts"].get(status, 0) for status in STATUSES)
        alike.setdefault((line["formulation"], counts), []).append(line)
    for (formulation, counts), owners in alike.items():
        who = named_together([line["framework"] for line in owners], frameworks)
        yield ValidityRow(
            who=f"{who} {formulation}".strip(),
            counts=counts,
            anchors=tuple(example(owners[0], status) for status in STATUSES),
        )
