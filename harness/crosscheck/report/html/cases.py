"""The cases of a report as cards: the network, its gates, its numbers, and every verdict."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crosscheck.judge.decisions import GateReading, Place
from crosscheck.judge.verdict import MEANING, Kind
from crosscheck.network.names import array_name
from crosscheck.report.html.numbers import (
    UNREAD,
    digits,
    exact,
    hexadecimal,
    network,
    path,
    shortest,
    slope,
    value,
)
from crosscheck.report.html.references import Matrix, Reference, references, rows
from crosscheck.run.records import RECORDS
from crosscheck.tools.records import number

__all__ = ["Card", "Decided", "Line", "Matrix", "card", "failing_lines", "numbered"]

_SHOWN_GATES = 24
_SHOWN_NUMBERS = 80
"""Numbers of a network that are laid out as matrices; a larger one is given as a file only."""
_SHOWN_TEXT = 12_000
"""Characters of a case's file that are put on the page."""
_SHORT = 6
"""Characters of a decimal that says everything by itself."""


@dataclass(frozen=True)
class Line:
    """One framework's verdict on a case.

    Attributes:
        who: Framework and formulation.
        mode: How the gradient was asked for.
        kind: The verdict.
        fails: Whether the run fails for it.
        slopes: The λ it used at this case's gates, each once.
        worst: The entry with the largest error / bound, as the report has it.
        first_layer: The first layer whose gradient leaves its bound, in words.
        validity: (block, status, reason) of each answer.
        detail: A remark.
        script: A program that shows this verdict with nothing but the framework; may be empty.
    """

    who: str
    mode: str
    kind: str
    fails: bool
    slopes: tuple[str, ...]
    worst: Mapping[str, str] | None
    first_layer: str
    validity: tuple[tuple[str, str, str], ...]
    detail: str
    script: str


@dataclass(frozen=True)
class Decided:
    """One decision that is not certain, and the λ of each framework there.

    Attributes:
        reading: Of the first framework that has one.
        hex: The exact value that is decided upon.
        decimal: The same, rounded.
        slopes: λ of each line of the card, with whether it took the other side; ``None``
            where the framework has no reading of the decision.
    """

    reading: GateReading
    hex: str
    decimal: str
    slopes: tuple[tuple[str, bool] | None, ...]


@dataclass(frozen=True)
class Card:
    """A case of the report.

    Attributes:
        anchor: Its place in the page.
        key: The case's key.
        title: What is the matter, in a few words; of a case that was given, also its name.
        label: Where a generated case comes from.
        part: ``smooth``, ``boundary`` or ``given``.
        shrunk: Whether it is the smallest form of a failing case.
        failing: Whether the run fails for it.
        network: What is differentiated, in a line; empty for a case that is not written out.
        lines: The verdicts.
        answers: (block, status, reason, frameworks) on generalised derivatives, and on
            remarks (empty block and status): what several frameworks share is said once.
        gates: The gates that are not certain.
        more_gates: How many more there are.
        numbers: Parameters, inputs and targets; empty for a larger network.
        references: The reference's loss and gradient for each choice of λ, likewise.
        text: The case as a file, empty when it is too long for a page.
        commands: What checks that file again.
    """

    anchor: str
    key: str
    title: str
    label: str
    part: str
    shrunk: bool
    failing: bool
    network: str
    lines: tuple[Line, ...]
    answers: tuple[tuple[str, str, str, tuple[str, ...]], ...]
    gates: tuple[Decided, ...]
    more_gates: int
    numbers: tuple[Matrix, ...]
    references: tuple[Reference, ...]
    text: str
    commands: tuple[str, ...]


def numbered(cases: Iterable[Mapping[str, Any]]) -> list[Card]:
    """A card for each case; a case that comes twice gets two places in the page."""
    seen: dict[str, int] = {}
    cards = []
    for case in cases:
        seen[case["key"]] = times = seen.get(case["key"], 0) + 1
        cards.append(card(case, f"case-{case['key']}" + (f"-{times}" if times > 1 else "")))
    return cards


def failing_lines(case: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The verdicts of a case for which the run fails."""
    return [line for line in case["verdicts"] if line["fails"]]


def card(case: Mapping[str, Any], anchor: str) -> Card:
    """The card of one case of the report."""
    stored, failing = case["case"], failing_lines(case)
    programs = case.get("scripts", {})
    readings = [_readings(line) for line in case["verdicts"]]
    lines = tuple(
        _line(line, each, line["fails"], programs.get(line["framework"], ""))
        for line, each in zip(case["verdicts"], readings, strict=True)
    )
    gates, count = _gates(readings)
    title = _title(lines, gates, count)
    text = "" if stored is None else _as_file(stored)
    numbers = [] if stored is None else _parameters(stored)
    small = sum(len(row) for matrix in numbers for row in matrix.rows) <= _SHOWN_NUMBERS
    return Card(
        anchor=anchor,
        key=case["key"],
        title=f"{case['label']}: {title}" if case["part"] == "given" else title,
        label="" if case["part"] == "given" else case["label"],
        part=case["part"],
        shrunk=case["shrunk"],
        failing=bool(failing),
        network="" if stored is None else network(stored),
        lines=lines,
        answers=tuple(_answers(lines)),
        gates=tuple(gates),
        more_gates=count - len(gates),
        numbers=tuple(numbers) if small else (),
        references=_references(case, lines, readings) if small else (),
        text=text if len(text) <= _SHOWN_TEXT else "",
        commands=tuple(_commands(failing or case["verdicts"])),
    )


def _references(
    case: Mapping[str, Any], lines: Sequence[Line], readings: Sequence[Sequence[GateReading]]
) -> tuple[Reference, ...]:
    if case["case"] is None or case["reference"] is None:
        return ()
    return references(case["case"], case["reference"], [line.who for line in lines], readings)


def _title(lines: Sequence[Line], gates: Sequence[Decided], count: int) -> str:
    failing = [line for line in lines if line.fails]
    if failing:
        where = failing[0].worst
        others = "" if len(failing) == 1 else f" and {len(failing) - 1} more"
        entry = f" in {where['name']}" if where and failing[0].kind == Kind.DISAGREES else ""
        return f"{failing[0].who}{others}: {failing[0].kind.lower().replace('_', ' ')}{entry}"
    if gates:
        first = gates[0]
        z = "z = 0" if first.hex in ("0", "-0") else f"z = {first.hex}"
        more = "" if count == 1 else f", and {count - 1} more"
        return f"{z} in {first.reading.where}{more}"
    kinds = dict.fromkeys(line.kind for line in lines)
    return ", ".join(kind.lower().replace("_", " ") for kind in kinds)


def _line(line: Mapping[str, Any], read: Sequence[GateReading], fails: bool, program: str) -> Line:
    used = [slope(reading) for reading in read]
    layer = line["first_layer"]
    detail = line["detail"]
    if line["arithmetics"]:
        bits = line["precision"]
        bits = "" if bits is None else f", about {float.fromhex(bits['hex']):.1f} bits"
        detail = "; ".join(filter(None, (f"{line['arithmetics'][0]}{bits}", detail)))
    if fails and not detail:
        detail = _complaint(line)
    if line["not_checked"]:
        empty = f"not checked: {', '.join(line['not_checked'])}"
        detail = "; ".join(filter(None, (detail, empty)))
    return Line(
        who=path(line),
        mode=line["mode"],
        kind=line["verdict"],
        fails=fails,
        slopes=tuple(name for name in dict.fromkeys(used) if name not in UNREAD)
        or tuple(dict.fromkeys(used)),
        worst=None if line["worst"] is None else _worst(line["worst"]),
        first_layer="" if layer is None else "the inputs" if layer == 0 else f"layer {layer}",
        validity=tuple((v["block"], v["status"], v["reason"]) for v in line["validity"]),
        detail=detail,
        script=program,
    )


def _complaint(line: Mapping[str, Any]) -> str:
    entry = line["worst"]
    if entry is None:
        return MEANING[Kind(line["verdict"])]
    return (
        f"{entry['name']} is {exact(entry['given'])} where the reference has "
        f"{exact(entry['reference'])}: an error of {digits(entry['error'])}, and that of a correct "
        f"evaluation is {digits(entry['bound'])} at the most"
    )


def _answers(lines: Sequence[Line]) -> list[tuple[str, str, str, tuple[str, ...]]]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for line in lines:
        remark = [("", "", line.detail)] if line.detail else []
        for answer in (*remark, *line.validity):
            found.setdefault(answer, []).append(line.who)
    order = ("", "parameters", "inputs")
    return sorted(
        ((*answer, tuple(dict.fromkeys(who))) for answer, who in found.items()),
        key=lambda each: order.index(each[0]) if each[0] in order else len(order),
    )


def _worst(entry: Mapping[str, Any]) -> dict[str, str]:
    return {
        "name": entry["name"],
        "given": exact(entry["given"]),
        "given_hex": _unless_short(entry["given"]),
        "reference": exact(entry["reference"]),
        "reference_hex": _unless_short(entry["reference"]),
        "error": digits(entry["error"]),
        "bound": digits(entry["bound"]),
        "ratio": _share(entry),
        "ulp": digits(entry["error_in_ulp"]),
        "beyond": "yes" if value(entry["error_over_bound"]) > 1 else "",
    }


def _share(entry: Mapping[str, Any]) -> str:
    """The error as a part of its bound; words where no error is allowed."""
    if value(entry["bound"]) == 0 and value(entry["error"]) > 0:
        return "none is allowed"
    return digits(entry["error_over_bound"])


def _unless_short(number: Mapping[str, Any]) -> str:
    """The hexadecimal form where a person could not write it down from the decimal."""
    return "" if len(exact(number)) <= _SHORT else hexadecimal(number)


def _commands(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """One command for all frameworks; one for each line if a framework is there twice.

    What has no formulation is a function in a test, and no command knows it.
    """
    if not all(line["formulation"] for line in lines):
        return [
            "from crosscheck.network.files import read_case",
            'crosscheck(…, cases=read_case("case.json"))  # in a test, with the same functions',
        ]
    names = [line["framework"] for line in lines]
    if len(set(names)) < len(names):
        return [_command([line]) for line in lines]
    return [_command(lines)]


def _command(lines: Sequence[Mapping[str, Any]]) -> str:
    names = [line["framework"] for line in lines]
    words = ["crosscheck", "run", "--case", "case.json", "--frameworks", ",".join(names)]
    for option, field in (("--formulation", "formulation"), ("--mode", "mode")):
        for line in lines:
            words += [option, f"{line['framework']}={line[field]}"] if line[field] else []
    return shlex.join(words)


def _readings(line: Mapping[str, Any]) -> list[GateReading]:
    return [RECORDS.together(each, GateReading) for each in line["gates"]]


def _gates(read: Sequence[Sequence[GateReading]]) -> tuple[list[Decided], int]:
    """The decisions of a case that are shown, by each line's readings; and how many there are."""
    found: dict[Place, GateReading] = {}
    readings: list[dict[Place, tuple[str, bool]]] = []
    for each in read:
        own = {}
        for reading in each:
            found.setdefault(reading.place, reading)
            own[reading.place] = (slope(reading), reading.flipped)
        readings.append(own)
    # What has an effect comes first: it is what there is to see.
    order = sorted(
        found,
        key=lambda place: (
            all(own.get(place, UNREAD)[0] in UNREAD for own in readings),
            place,
        ),
    )
    shown = [
        Decided(
            found[place],
            hex=hexadecimal(number(found[place].value)),
            decimal=digits(number(found[place].value)),
            slopes=tuple(own.get(place) for own in readings),
        )
        for place in order[:_SHOWN_GATES]
    ]
    return shown, len(order)


def _as_file(stored: Mapping[str, Any]) -> str:
    fields = (f"{json.dumps(name)}: {json.dumps(each)}" for name, each in stored.items())
    return "{" + ",\n ".join(fields) + "}"


def _parameters(stored: Mapping[str, Any]) -> list[Matrix]:
    dtype = stored["dtype"]
    if "program" in stored:
        arrays = {**stored["parameters"], **stored["inputs"]}
        return [_matrix(name, values, dtype) for name, values in arrays.items()]
    found = [_matrix("x", stored["x"], dtype)]
    for layer, (w, b) in enumerate(zip(stored["weights"], stored["biases"], strict=True), start=1):
        found.append(_matrix(array_name("W", layer), w, dtype))
        if b is not None:
            found.append(_matrix(array_name("b", layer), b, dtype))
    return [*found, _matrix("y", stored["y"], dtype)]


def _matrix(name: str, values: Any, dtype: str) -> Matrix:
    return Matrix(name, tuple(tuple(shortest(each, dtype) for each in row) for row in rows(values)))
