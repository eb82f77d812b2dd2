"""The reference's gradient of a case, as a page shows it: for the λ that was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crosscheck.judge.decisions import GateReading
from crosscheck.network.dense import Case
from crosscheck.network.files import case_from_json
from crosscheck.network.reference import gradients
from crosscheck.report.html.numbers import digits, slope
from crosscheck.tools.records import number

__all__ = ["Matrix", "Reference", "references", "rows"]


@dataclass(frozen=True)
class Matrix:
    """A tensor of a case or of its gradient, laid out in rows."""

    name: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Reference:
    """The reference's loss and gradient.

    Attributes:
        how: For which slopes at the open gates, and whose they are; empty where none is open.
        arrays: The numbers.
    """

    how: str
    arrays: tuple[Matrix, ...]


def references(
    stored: Mapping[str, Any],
    recorded: Mapping[str, Any],
    names: Sequence[str],
    readings: Sequence[Sequence[GateReading]],
) -> tuple[Reference, ...]:
    """One gradient for each choice of slopes that frameworks made.

    Of a dense network it is computed for the slopes that were read, by the reference in float64; of
    others the report has that of the slopes from the left.

    Args:
        stored: The case, as the report has it.
        recorded: The reference's gradient, as the report has it: slope 0 at kinks.
        names: Frameworks and formulations.
        readings: What was read of each of them at the gates that are not certain.
    """
    whose: dict[tuple[tuple[tuple[int, int, int], float], ...], list[str]] = {}
    told: dict[tuple[tuple[tuple[int, int, int], float], ...], list[str]] = {}
    for name, read in zip(names, readings, strict=True):
        shown = [each for each in read if each.slope is not None]
        if "program" in stored or not shown:
            continue
        slopes = {(each.layer, each.row, each.unit): float(each.slope or 0.0) for each in shown}
        key = tuple(sorted(slopes.items()))
        whose.setdefault(key, []).append(name)
        told.setdefault(key, list(dict.fromkeys(slope(each) for each in shown)))
    if not whose:
        open_ = any(readings)
        return (Reference("slope 0 at kinks" if open_ else "", _recorded(recorded)),)
    case = case_from_json(dict(stored), origin="the report")
    assert isinstance(case, Case)
    return tuple(
        Reference(
            f"for the λ that was read of {', '.join(names)}: {' and '.join(told[key])}",
            _computed(case, dict(key)),
        )
        for key, names in whose.items()
    )


def _recorded(recorded: Mapping[str, Any]) -> tuple[Matrix, ...]:
    return tuple(
        Matrix(_title(name), tuple(tuple(digits(each) for each in row) for row in rows(values)))
        for name, values in recorded.items()
    )


def _computed(case: Case, slopes: Mapping[tuple[int, int, int], float]) -> tuple[Matrix, ...]:
    return tuple(
        Matrix(
            _title(name),
            tuple(
                tuple(digits(number(float(each) + 0.0)) for each in row)
                for row in np.atleast_2d(array)
            ),
        )
        for name, array in gradients(case, slopes=slopes).entries()
    )


def _title(name: str) -> str:
    return "J" if name == "J" else f"∂J/∂{name}"


def rows(values: Any) -> list[list[Any]]:
    """Numbers in rows, whatever axes they have: those in front of the last one after the other."""
    found = values if isinstance(values, list) else [values]
    while found and isinstance(found[0], list) and found[0] and isinstance(found[0][0], list):
        found = [row for block in found for row in block]
    return found if found and isinstance(found[0], list) else [found]
