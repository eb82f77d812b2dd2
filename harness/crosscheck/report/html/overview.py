"""The first screen, the distribution of error / bound, the other verdicts, the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosscheck.judge.vacuity import Share, shape_of, shares
from crosscheck.judge.verdict import FAILING, MEANING, Kind
from crosscheck.report.html.boundary import Boundary
from crosscheck.report.html.cases import Card
from crosscheck.report.html.figures import Bar, Histogram, bar, histogram
from crosscheck.report.html.numbers import count, path, value
from crosscheck.run.certified import Certifications
from crosscheck.run.events import ExitCode
from crosscheck.run.tally import Repeats

__all__ = [
    "Class",
    "FrameworkLine",
    "Outcome",
    "Panel",
    "Spread",
    "asked_again",
    "certified",
    "classes",
    "environment",
    "framework_lines",
    "never_checked",
    "not_checked",
    "outcome",
    "spread",
]

_OUTCOMES = {
    ExitCode.OK: ("Passed", "good", "✓"),
    ExitCode.DISAGREEMENT: ("Failed", "bad", "✗"),
    ExitCode.INTERRUPTED: ("Interrupted", "warn", "‖"),
    ExitCode.INTERNAL_ERROR: ("Internal error", "bad", "✗"),
    ExitCode.USAGE: ("Wrong usage", "bad", "✗"),
    ExitCode.NOTHING_CHECKED: ("Nothing checked", "warn", "?"),
}
_PARTS = ("smooth", "boundary", "given")
_FEWEST = 20
"""Cases whose distribution is drawn; of fewer the numbers are told."""
_SEPARATE = (Kind.SUBNORMAL, Kind.NONFINITE, Kind.REDUCED, Kind.UNSUPPORTED)


@dataclass(frozen=True)
class Outcome:
    """How the run ended.

    Attributes:
        word: In a word.
        tone: ``good``, ``bad`` or ``warn``.
        mark: A sign beside the word.
        reason: In a sentence.
        facts: Names and values for the first screen.
    """

    word: str
    tone: str
    mark: str
    reason: str
    facts: tuple[tuple[str, str], ...]


def outcome(document: Mapping[str, Any]) -> Outcome:
    """The head of the page."""
    run = document["run"]
    word, tone, mark = _OUTCOMES[ExitCode(run["exit_code"])]
    facts = [
        ("cases", count(run["cases"])),
        ("failing", count(run["failing_cases"])),
        ("time", f"{run['seconds']:.1f} s"),
        ("precision", ", ".join(run["dtypes"])),
    ]
    if run["distinct_cases"] is not None:  # a sweep does not count them
        facts.insert(1, ("distinct", count(run["distinct_cases"])))
    if run["profile"]:
        facts.append(("profile", run["profile"]))
    if run["seed"] is not None:
        facts.append(("seed", str(run["seed"])))
    reason = str(run["reason"])
    return Outcome(word, tone, mark, reason[:1].upper() + reason[1:], tuple(facts))


@dataclass(frozen=True)
class FrameworkLine:
    """One framework on the first screen.

    Attributes:
        name: The adapter's name.
        state: ``available``, ``absent`` or ``broken``.
        versions: Of its packages.
        how: Formulation and mode.
        detail: Why it is not available.
        parts: Part, counts by verdict, and the same as a bar.
        failing: How many verdicts fail the run.
        slopes: λ at kinks.
        largest: The largest error / bound; empty if nothing was compared.
    """

    name: str
    state: str
    versions: str
    how: str
    detail: str
    parts: tuple[tuple[str, Mapping[str, int], Bar], ...]
    failing: int
    slopes: tuple[str, ...]
    largest: str


def framework_lines(document: Mapping[str, Any], kinks: Boundary) -> list[FrameworkLine]:
    """A line for each framework of the report."""
    found = []
    for state in document["frameworks"]:
        parts = []
        failing = 0
        for part in _PARTS:
            counts: dict[str, int] = dict.fromkeys(map(str, Kind), 0)
            for line in document["verdicts"]:
                if line["part"] == part and _is_of(line, state):
                    for kind, number in line["counts"].items():
                        counts[kind] += number
                    failing -= line.get("allowed", 0)
            counts = {kind: number for kind, number in counts.items() if number}
            if counts:
                parts.append((part, counts, bar(counts)))
            failing += sum(number for kind, number in counts.items() if kind in FAILING)
        ratios = [
            value(line["maximum"]) for line in document["error_over_bound"] if _is_of(line, state)
        ]
        name = state["name"]
        found.append(
            FrameworkLine(
                name=name,
                state=state["state"],
                versions=", ".join(f"{n} {v}" for n, v in state["versions"].items()),
                how=", ".join(filter(None, (state["formulation"], state["mode"]))),
                detail=state["detail"],
                parts=tuple(parts),
                failing=failing,
                slopes=kinks.answers.get(f"{name} {state['formulation']}".strip(), ()),
                largest=f"{max(ratios):.3g}" if ratios else "",
            )
        )
    return found


def _is_of(line: Mapping[str, Any], state: Mapping[str, Any]) -> bool:
    """Whether a line belongs to a framework; where it names formulation and mode, to those."""
    return bool(
        line["framework"] == state["name"]
        and line.get("formulation", state["formulation"]) == state["formulation"]
        and line.get("mode", state["mode"]) == state["mode"]
    )


@dataclass(frozen=True)
class Panel:
    """The distribution of error / bound of one framework, dtype and depth.

    Attributes:
        cases: How many, in words.
        median: Of them.
        largest: Of them.
        beyond: Whether that is beyond the bound.
        histogram: A picture; ``None`` of fewer than `_FEWEST` cases, which have no shape.
    """

    cases: str
    median: str
    largest: str
    beyond: bool
    histogram: Histogram | None


@dataclass(frozen=True)
class Spread:
    """The distributions: frameworks across, dtypes and depths down.

    Attributes:
        columns: The frameworks.
        rows: dtype, depth, and a panel for each framework that has one.
        few: The rows of which no panel has a picture.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, int, tuple[Panel | None, ...]], ...]
    few: tuple[tuple[str, int, tuple[Panel | None, ...]], ...]


def spread(document: Mapping[str, Any]) -> Spread:
    """How much of the room for rounding was used."""
    lines = document["error_over_bound"]
    order = {state["name"]: place for place, state in enumerate(document["frameworks"])}
    columns = sorted(
        dict.fromkeys(_column(line) for line in lines),
        key=lambda name: order.get(name.split(" ")[0], len(order)),
    )
    panels: dict[tuple[str, int], dict[str, Panel]] = {}
    for line in lines:
        panels.setdefault((line["dtype"], line["depth"]), {})[_column(line)] = Panel(
            cases=count(line["cases"]),
            median=f"{value(line['median']):.3g}",
            largest=f"{value(line['maximum']):.3g}",
            beyond=value(line["maximum"]) > 1,
            histogram=histogram(line) if line["cases"] >= _FEWEST else None,
        )
    dtypes = list(dict.fromkeys([*document["run"]["dtypes"], *(dtype for dtype, _ in panels)]))
    rows = [
        (dtype, depth, tuple(panels[dtype, depth].get(name) for name in columns))
        for dtype, depth in sorted(panels, key=lambda row: (dtypes.index(row[0]), row[1]))
    ]
    drawn = [row for row in rows if any(each and each.histogram for each in row[2])]
    return Spread(tuple(columns), tuple(drawn), tuple(row for row in rows if row not in drawn))


def _column(line: Mapping[str, Any]) -> str:
    return " ".join(line[name] for name in ("framework", "formulation", "mode") if line.get(name))


def asked_again(document: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Framework, what came of asking it again, and whether that is a failure."""
    return [
        (
            each["framework"],
            Repeats(each["cases"], each["not_reproducible"], each["nondeterministic"]).words,
            each["nondeterministic"] > 0,
        )
        for each in document.get("asked_again", [])
    ]


def certified(document: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Framework and certificate, what it said, and whether that is a failure."""
    return [
        (
            f"{each['framework']}, {each['certificate']}",
            Certifications(
                each["cases"],
                each["inside"],
                each["wrong"],
                each["compared"],
                each["unbounded"],
                value(each["worst"]),
                tuple((note["note"], note["cases"]) for note in each["notes"]),
                each["untold"],
            ).words,
            each["wrong"] > 0,
        )
        for each in document.get("certified", [])
    ]


def not_checked(document: Mapping[str, Any]) -> list[Share]:
    """The share of arrays that was not checked, by dtype and width."""
    lines = document.get("not_checked", [])
    return shares(
        (each["dtype"], each["widths"], each["compared"], each["not_checked"]) for each in lines
    )


def never_checked(document: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Framework, dtype, shape and arrays, of each shape with arrays that were never checked."""
    return [
        (
            each["framework"],
            each["dtype"],
            shape_of(each["operators"], each["widths"], each["rows"]),
            ", ".join(each["never_checked"]),
        )
        for each in document.get("not_checked", [])
        if each["never_checked"]
    ]


@dataclass(frozen=True)
class Class:
    """A verdict that is reported apart from agreement.

    Attributes:
        kind: The verdict.
        meaning: In words.
        counts: Number of cases by framework.
        examples: Cases in the page.
    """

    kind: str
    meaning: str
    counts: Mapping[str, str]
    examples: tuple[Card, ...]


def classes(document: Mapping[str, Any], cards: Sequence[Card]) -> list[Class]:
    """Subnormal numbers, non-finite values, reduced precision, and what is not supported."""
    found = []
    for kind in _SEPARATE:
        counts: dict[str, int] = {}
        for line in document["verdicts"]:
            if line["counts"].get(kind):
                name = path(line) if line.get("formulation") else line["framework"]
                counts[name] = counts.get(name, 0) + line["counts"][kind]
        examples = tuple(card for card in cards if kind in [line.kind for line in card.lines])
        spelled = {name: count(number) for name, number in counts.items()}
        found.append(Class(str(kind), MEANING[kind], spelled, examples))
    return found


def environment(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the run may have depended on: the frameworks' versions first."""
    versions = [
        (state["name"], ", ".join(f"{n} {v}" for n, v in state["versions"].items()))
        for state in document["frameworks"]
        if state["versions"]
    ]
    return [*versions, *document["run"]["environment"].items()]
