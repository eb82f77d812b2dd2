"""Departures for people: one finding each, with a program that needs only the framework.

What a program prints is measured when the record is made, in arrays of 1 and of `LONG` elements,
and kept in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from crosscheck.frameworks.pointwise import Pointwise, script_line
from crosscheck.numbers.accuracy import Record
from crosscheck.numbers.elementary import ELEMENTARY
from crosscheck.operators.elementary_lines import elementary_lines
from crosscheck.studies.accuracy.departures import MANY, Departure, Kind, departures, exact
from crosscheck.studies.accuracy.second import SECOND
from crosscheck.studies.conventions.measure import LONG, written

__all__ = ["expected", "line", "markdown", "script"]

_HEADING: Mapping[Kind, str] = MappingProxyType(
    {
        "wrong": "no digit is right",
        "narrow": "float64 with the accuracy of float32",
        "threshold": "a threshold, beyond which the asymptote is returned",
        "far": f"more than {MANY} roundings",
        "multiplication": "a division that is a multiplication by a rounded reciprocal",
        "inexact": "not the nearest number, which IEEE 754 demands",
        "range": "infinite, NaN, 0 or far off where the result is a normal number",
    }
)


def line(departure: Departure) -> Pointwise:
    """The framework's lines, of which only the one that shows the departure.

    A division of two numbers is shown with one of them put into the line.
    """
    key, lines = departure.face.key, written()[departure.framework]
    expression = elementary_lines(key.framework)[key.function][key.formulation]
    if key.function == "dividend":
        expression = f"z / {departure.at[1]!r}"
    elif key.function == "divisor":
        expression = f"{departure.at[1]!r} / z"
    modes = SECOND[key.framework] if key.order == 2 else lines.modes
    return replace(lines, units={key.function: {key.formulation: expression}}, modes=modes)


def script(departure: Departure) -> str:
    """A program that shows it; `expected` is what it prints."""
    key, lines = departure.face.key, line(departure)
    functions = {key.function: lines.formulations(key.function)[key.formulation]}
    modes = {key.mode: lines.modes[key.mode]}
    return lines.script(functions, modes, key.dtype, departure.at[:1], (1, LONG))


def expected(departure: Departure, record: Record) -> str:
    """What the program prints, by the record; empty if nobody has looked."""
    key = departure.face.key
    for each in record.shown:
        if (each.key, each.kind) == (key, departure.kind):
            return script_line(key.function, key.mode, departure.at[0], each.pairs)
    return ""


def markdown(record: Record) -> str:
    """All departures as a Markdown document."""
    return "\n".join(_document(record)) + "\n"


def _document(record: Record) -> Iterator[str]:
    yield "# Findings of accuracy"
    yield ""
    yield (
        "What the record of accuracy (`accuracy.json`) shows beyond roundings, by the rules in "
        "`harness/crosscheck/studies/accuracy/departures.py`. An error is counted in roundings: in "
        "u times a scale, which for most functions is the size of the exact result. Each program "
        "prints a function, the way it was differentiated, the input, and the pairs (value, "
        "derivative) that elements of an array full of that input have; of a second derivative, "
        "the pairs (derivative, second derivative)."
    )
    for framework in record.frameworks:
        mine = [each for each in departures(record) if each.framework == framework]
        if not mine:
            continue
        yield ""
        yield f"## {framework} ({record.versions[framework]})"
        for each in mine:
            yield ""
            yield from _section(each, record)


def _section(each: Departure, record: Record) -> Iterator[str]:
    names = ", ".join(each.function + "'" * order for order in each.orders)
    yield f"### {each.framework} {names}: {_HEADING[each.kind]}"
    yield ""
    name = each.function + "'" * each.face.key.order
    what = f"{each.function} is {ELEMENTARY[each.function].formula}. {name}: {_what(each)}"
    yield f"{what} {_where(each)}"
    printed = expected(each, record)
    if not printed:
        return
    yield ""
    yield "```python"
    yield script(each).rstrip()
    yield "```"
    yield ""
    yield "```text"
    yield printed
    yield "```"


def _what(each: Departure) -> str:
    row = each.face
    at = " and ".join(f"{x!r}" for x in each.at)
    if each.kind == "range" and (row.nonfinite or row.vanished):
        counts = [(row.nonfinite, "infinite or NaN"), (row.vanished, "0")]
        said = " and ".join(f"{count:,} are {what}" for count, what in counts if count)
        total = row.points + row.nonfinite + row.vanished
        return f"of {total:,} results that are numbers of {row.key.dtype}, {said}, as at {at}."
    what = f"up to {row.error:,.6g} roundings of {row.key.dtype}, at {at}"
    what += f": {row.got!r} in place of {exact(row)!r}."
    if row.alone is not None:
        what += f" An array of one element has {row.alone:g} roundings there."
    if each.kind in ("inexact", "multiplication"):
        what += f" {row.misrounded:,} of {row.points:,} results are not the nearest number."
    return what


def _where(each: Departure) -> str:
    def told(field: str) -> str:
        return ", ".join(dict.fromkeys(getattr(row.key, field) for row in each.rows))

    return f"Seen as {told('formulation')}, in the modes {told('mode')}, in {told('dtype')}."
