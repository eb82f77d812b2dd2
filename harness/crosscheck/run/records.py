"""The records of runs in files: what their types alone do not say of how they are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias, get_args

import numpy as np

from crosscheck.judge.decisions import GateReading
from crosscheck.judge.vacuity import Coverage, Line
from crosscheck.judge.verdict import Entry, Verdict
from crosscheck.network.composed import AnyCase, AnyGradients, Composed, Derivatives
from crosscheck.network.dense import Case, Gradients, Output, Reduction
from crosscheck.network.files import case_from_json, case_to_json
from crosscheck.numbers.formats import FORMATS
from crosscheck.run.spread import Spread
from crosscheck.run.tally import Tally
from crosscheck.tools.records import Records, array_of, numbers

__all__ = ["RECORDS", "KeptNetwork", "KeptReference"]

KeptNetwork: TypeAlias = Case | Composed | None
"""A case of a report, which leaves large ones out."""

KeptReference: TypeAlias = Gradients | Derivatives | None
"""The reference's gradient of it."""


@dataclass(frozen=True)
class _Spread:
    """What is written of a `Spread`: how many values each bin holds, and the largest of them."""

    counts: list[int]
    largest: float


def _spread_together(data: Any) -> Spread:
    found = RECORDS.together(data, _Spread)
    if len(found.counts) != len(Spread().counts) or not all(0 <= n < 2**63 for n in found.counts):
        raise ValueError("its counts are not those of the bins")
    return Spread(np.array(found.counts, dtype=np.int64), found.largest)


def _coverage_together(data: Any) -> Coverage:
    coverage = Coverage()
    for line in RECORDS.together(data, list[Line]):
        coverage.add(line)
    return coverage


def _case_together(data: Any) -> Any:
    if data is None:
        return None
    case: AnyCase = case_from_json(data, origin="case")
    if case_to_json(case) != data:  # case files may leave out what is usual, and round
        raise ValueError("a case, but not as reports hold it")
    return case


def _gradients_together(data: Mapping[str, Any]) -> Gradients:
    return Gradients.named({name: array_of(values) for name, values in data.items()})


def _derivatives_together(data: Mapping[str, Any]) -> Derivatives:
    return Derivatives.named({name: array_of(values) for name, values in data.items()})


def _reference_together(data: Any) -> KeptReference:
    if data is None:
        return None
    named = all(re.fullmatch("J|x|[Wb][1-9][0-9]*", name) for name in data)
    return _gradients_together(data) if named and "W1" in data else _derivatives_together(data)


def _nested(number: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers in lists of up to two levels."""
    row = {"anyOf": [number, {"type": "array", "items": number}]}
    return {"anyOf": [number, {"type": "array", "items": row}]}


_DATA = _nested(
    {
        "type": ["number", "string"],
        "pattern": "^([+-]?0x[0-9a-f.]+p[+-]?[0-9]+|nan|-?inf)$",
    }
)

_CASE: Mapping[str, Any] = MappingProxyType(
    {
        "type": "object",
        "properties": {
            "widths": {"type": "array", "items": {"type": "integer", "minimum": 1}},
            "weights": {"type": "array", "items": _DATA},
            "biases": {"type": "array", "items": {"anyOf": [_DATA, {"type": "null"}]}},
            "x": _DATA,
            "y": _DATA,
            "dtype": {"enum": list(FORMATS)},
            "output": {"enum": list(get_args(Output))},
            "reduction": {"enum": list(get_args(Reduction))},
        },
        "required": ["widths", "weights", "biases", "x", "y", "dtype", "output", "reduction"],
        "additionalProperties": False,
    }
)

_GRADIENTS: Mapping[str, Any] = MappingProxyType(
    {
        "type": "object",
        "required": ["J", "x"],
        "patternProperties": {
            "^(J|x|[Wb][1-9][0-9]*)$": _nested({"$ref": "#/$defs/float"}),
        },
        "additionalProperties": False,
    }
)

_COMPOSED: Mapping[str, Any] = MappingProxyType(
    {
        "type": "object",
        "properties": {
            "version": {"const": 1},
            "program": {"type": "array", "items": {"type": "object", "required": ["id", "op"]}},
            "parameters": {"type": "object"},
            "inputs": {"type": "object"},
            "dtype": {"enum": list(FORMATS)},
        },
        "required": ["program", "parameters", "inputs", "dtype"],
        "additionalProperties": False,
    }
)

_DERIVATIVES: Mapping[str, Any] = MappingProxyType({"type": "object", "required": ["J"]})

_ANY: Mapping[str, Any] = MappingProxyType({})


def _records() -> Records:
    found = Records()
    found.add(Case, case_to_json, _case_together, _CASE)
    found.add(
        Gradients,
        lambda gradients: {name: numbers(array) for name, array in gradients.entries()},
        _gradients_together,
        _GRADIENTS,
    )
    found.add(Composed, case_to_json, _case_together, _COMPOSED)
    found.add(
        Derivatives,
        lambda gradients: {name: numbers(array) for name, array in gradients.entries()},
        _derivatives_together,
        _DERIVATIVES,
    )
    for reference in (KeptReference, AnyGradients):
        found.choose(reference, _reference_together)
    for case in (KeptNetwork, AnyCase):
        found.choose(case, _case_together)
    found.add(
        Spread,
        lambda spread: found.apart(_Spread(spread.counts.tolist(), spread.largest)),
        _spread_together,
        _ANY,
    )
    found.add(
        Coverage,
        lambda coverage: [found.apart(line) for line in coverage.lines()],
        _coverage_together,
        _ANY,
    )
    found.lay(GateReading, if_told=("step", "operator", "breakpoint", "slopes"))
    found.lay(Entry, renamed={"bounds": "error_over_bound", "ulps": "error_in_ulp"})
    found.lay(
        Verdict,
        renamed={"kind": "verdict", "unchecked": "not_checked"},
        if_told=("basis", "is_nearest"),
    )
    found.lay(Tally, left_out=("started", "finished", "sweep", "_examples"))
    return found


RECORDS = _records()
"""Takes the records of this package apart, and puts them together."""
