"""The reference's gradient of a case, as a page shows it: for the λ that was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from crosscheck.judge.decisions import Effect, GateReading, Place
from crosscheck.judge.programs.enclosed import EnclosedProgram
from crosscheck.network.composed import AnyGradients, Derivatives
from crosscheck.network.dense import Case, Gradients
from crosscheck.network.files import case_from_json
from crosscheck.network.reference import gradients
from crosscheck.numbers.formats import format_of
from crosscheck.numbers.model import Model
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

    It is computed for the slopes that were read; where none was read, the exact value decides, and
    at kinks λ is 0. So are the references that verdicts are told with.

    Args:
        stored: The case, as the report has it.
        recorded: The reference's gradient, as the report has it: slope 0 at kinks.
        names: Frameworks and formulations.
        readings: What was read of each of them at the gates that are not certain.
    """
    decided = [each for read in readings for each in read]
    if not decided:
        return (Reference("", _recorded(recorded)),)
    choices: dict[Slopes, _Choice] = {}
    for name, read in zip(names, readings, strict=True):
        slopes = {each.place: each.slope for each in read if each.slope is not None}
        choice = choices.setdefault(tuple(sorted(slopes.items())), _Choice())
        choice.names.append(name)
        choice.is_vague |= any(each.effect is Effect.TOO_SMALL for each in read)
        choice.told |= dict.fromkeys(slope(each) for each in read if each.slope is not None)
    case = case_from_json(dict(stored), origin="the report")
    computed: list[AnyGradients | None]
    if isinstance(case, Case):
        sides = {each.place: float(each.value > each.breakpoint) for each in decided}
        computed = [_of_dense(case, {**sides, **dict(key)}) for key in choices]
    else:
        enclosed = EnclosedProgram(case, Model(format_of(case.dtype)))
        computed = [_of_program(enclosed, dict(key)) for key in choices]
    return tuple(
        Reference(
            choice.words(alone=len(choices) == 1),
            _recorded(recorded) if found is None else _computed(found),
        )
        for choice, found in zip(choices.values(), computed, strict=True)
    )


Slopes: TypeAlias = tuple[tuple[Place, float], ...]


@dataclass
class _Choice:
    """Who made one choice of slopes, and what it is."""

    names: list[str] = field(default_factory=list)
    told: dict[str, None] = field(default_factory=dict)
    is_vague: bool = False

    def words(self, *, alone: bool) -> str:
        """For which slopes; whose they are, unless there is no other choice."""
        names = ", ".join(dict.fromkeys(self.names))
        if self.told:
            words = f"for the λ that was read of {names}: {' and '.join(self.told)}"
        else:
            words = "slope 0 at kinks" + ("" if alone else f", where none was read: {names}")
        return f"{words}; up to its bounds, where λ is too small to read" * self.is_vague or words


def _of_dense(case: Case, slopes: Mapping[Place, float]) -> Gradients:
    gates = {(each.layer, each.row, each.unit): value for each, value in slopes.items()}
    return gradients(case, slopes=gates)


def _of_program(enclosed: EnclosedProgram, read: Mapping[Place, float]) -> Derivatives | None:
    """``None`` where an entry has no bound: there the middle of its enclosure says nothing."""
    sides = {each.place: each.side for each in enclosed.decisions}
    slopes = {place: value for place, value in read.items() if place in sides}
    found = enclosed.gradients({**sides, **slopes, **enclosed.shares(slopes)})
    if not all(np.isfinite(each.r).all() for _, each in found.entries()):
        return None
    return found.map(lambda each: each.high)


def _recorded(recorded: Mapping[str, Any]) -> tuple[Matrix, ...]:
    return tuple(
        Matrix(_title(name), tuple(tuple(digits(each) for each in row) for row in rows(values)))
        for name, values in recorded.items()
    )


def _computed(found: AnyGradients) -> tuple[Matrix, ...]:
    return tuple(
        Matrix(
            _title(name),
            tuple(
                tuple(digits(number(each + 0.0)) for each in row)
                for row in rows(np.asarray(array).tolist())
            ),
        )
        for name, array in found.entries()
    )


def _title(name: str) -> str:
    return "J" if name == "J" else f"∂J/∂{name}"


def rows(values: Any) -> list[list[Any]]:
    """Numbers in rows, whatever axes they have: those in front of the last one after the other."""
    found = values if isinstance(values, list) else [values]
    while found and isinstance(found[0], list) and found[0] and isinstance(found[0][0], list):
        found = [row for block in found for row in block]
    return found if found and isinstance(found[0], list) else [found]
