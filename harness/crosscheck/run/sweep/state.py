"""A tally as JSON and back, so that a run that was cut off can go on where it was.

Every float is written as a hexadecimal string, so that nothing is lost on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from crosscheck.judge.vacuity import Line
from crosscheck.judge.verdict import (
    Effect,
    Entry,
    GateClass,
    GateReading,
    Kind,
    PolicyReading,
    Validity,
    Verdict,
)
from crosscheck.network.dense import Gradients
from crosscheck.network.files import case_from_json, case_to_json
from crosscheck.run.events import CaseChecked, WorkerLost
from crosscheck.run.spread import Spread
from crosscheck.run.tally import BoundaryKey, Tally, boundary_line

__all__ = ["tally_from_json", "tally_to_json"]

Json = dict[str, Any]


def tally_to_json(tally: Tally) -> Json:
    """All of ``tally`` but its first and last event, as what `json.dumps` takes."""
    return {
        "kinds": [[*key, _counts(kinds)] for key, kinds in sorted(tally.kinds.items())],
        "families": [[*key, _counts(kinds)] for key, kinds in sorted(tally.families.items())],
        "spreads": [
            [*key, spread.counts.tolist(), spread.largest.hex()]
            for key, spread in sorted(tally.spreads.items())
        ],
        "boundary": [
            {
                **boundary_line(key, line),
                "example": line.example and [line.example[0], _reading_to_json(line.example[1])],
            }
            for key, line in sorted(tally.boundary.items())
        ],
        "arithmetics": [[*key, dict(n)] for key, n in sorted(tally.arithmetics.items())],
        "allowed": [[*key, count] for key, count in sorted(tally.allowed.items())],
        "validity": [[*key, dict(counts)] for key, counts in sorted(tally.validity.items())],
        "coverage": [
            [line.framework, line.dtype, list(line.widths), line.rows, _seen(line)]
            for line in tally.coverage.lines()
        ],
        "policies": [
            [
                *key,
                [
                    [question, [[list(answers), count] for answers, count in counts.items()]]
                    for question, counts in told.items()
                ],
            ]
            for key, told in sorted(tally.policies.items())
        ],
        "kept": [_event_to_json(event) for event in tally.kept],
        "failures": tally.failures,
        "dropped": tally.dropped,
        "cases": tally.cases,
        "losses": tally.losses,
        "lost": [[lost.worker, lost.what, lost.cases] for lost in tally.lost],
    }


def tally_from_json(data: Mapping[str, Any]) -> Tally:
    """The inverse of `tally_to_json`.

    Raises:
        KeyError, TypeError, ValueError: The data is something else.
    """
    tally = Tally()
    for framework, part, kinds in data["kinds"]:
        tally.kinds[framework, part].update(_kinds(kinds))
    for framework, family, kinds in data["families"]:
        tally.families[framework, family].update(_kinds(kinds))
    for framework, dtype, depth, counts, largest in data["spreads"]:
        spread = Spread()
        spread.counts += np.array(counts, dtype=np.int64)
        spread.largest = float.fromhex(largest)
        tally.spreads[framework, dtype, depth] = spread
    for each in data["boundary"]:
        key = BoundaryKey(
            each["framework"],
            each["formulation"],
            each["mode"],
            GateClass(each["gate"]),
            each["slope"],
            each["flipped"],
        )
        line = tally.boundary[key]
        line.gates, line.cases = each["gates"], each["cases"]
        if each["example"] is not None:
            name, reading = each["example"]
            line.example = (name, _reading_from_json(reading))
    for framework, formulation, block, counts in data["validity"]:
        tally.validity[framework, formulation, block].update(counts)
    for framework, part, counts in data["arithmetics"]:
        tally.arithmetics[framework, part].update(counts)
    for framework, part, count in data["allowed"]:
        tally.allowed[framework, part] = count
    for framework, dtype, widths, rows, seen in data["coverage"]:
        tally.coverage.add(framework, dtype, tuple(widths), rows, seen)
    for framework, formulation, mode, told in data["policies"]:
        policies = tally.policies[framework, formulation, mode]
        for question, counts_of in told:
            policies[question].update({tuple(answers): count for answers, count in counts_of})
    for each in data["kept"]:
        tally.keep(_event_from_json(each))  # the counts of what is kept come back with it
    tally.failures, tally.dropped = data["failures"], data["dropped"]
    tally.cases, tally.losses = data["cases"], data["losses"]
    tally.lost = [WorkerLost(*each) for each in data["lost"]]
    return tally


def _seen(line: Line) -> dict[str, list[int]]:
    return {name: list(counts) for name, counts in line.seen.items()}


def _counts(kinds: Mapping[Kind, int]) -> dict[str, int]:
    return {str(kind): count for kind, count in kinds.items()}


def _kinds(counts: Mapping[str, int]) -> dict[Kind, int]:
    return {Kind(kind): count for kind, count in counts.items()}


def _event_to_json(event: CaseChecked) -> Json:
    return {
        "part": event.part,
        "label": event.label,
        "case": case_to_json(event.case),
        "reference": [
            [name, list(np.shape(array)), [float(v).hex() for v in np.asarray(array).ravel()]]
            for name, array in event.reference.entries()
        ],
        "verdicts": [_verdict_to_json(verdict) for verdict in event.verdicts],
        "shrunk": event.shrunk,
        "scripts": dict(event.scripts),
        "allow": list(event.allow),
    }


def _event_from_json(data: Mapping[str, Any]) -> CaseChecked:
    case = case_from_json(data["case"], origin="checkpoint")
    found = {
        name: np.array([float.fromhex(v) for v in values], dtype=np.float64).reshape(shape)
        for name, shape, values in data["reference"]
    }
    layers = range(1, case.network.depth + 1)
    reference = Gradients(
        found["J"],
        tuple(found[f"W{layer}"] for layer in layers),
        tuple(found.get(f"b{layer}") for layer in layers),
        found["x"],
    )
    verdicts = tuple(_verdict_from_json(each) for each in data["verdicts"])
    return CaseChecked(
        data["part"],
        data["label"],
        case,
        reference,
        verdicts,
        data["shrunk"],
        data["scripts"],
        tuple(data["allow"]),
    )


def _verdict_to_json(verdict: Verdict) -> Json:
    worst = verdict.worst
    return {
        "names": [verdict.framework, verdict.formulation, verdict.mode],
        "kind": str(verdict.kind),
        "worst": worst
        and {
            "name": worst.name,
            "numbers": [
                float(number).hex()
                for number in (
                    worst.given,
                    worst.reference,
                    worst.error,
                    worst.bound,
                    worst.bounds,
                    worst.ulps,
                )
            ],
        },
        "first_layer": verdict.first_layer,
        "gates": [_reading_to_json(reading) for reading in verdict.gates],
        "arithmetics": list(verdict.arithmetics),
        "precision": None if verdict.precision is None else float(verdict.precision).hex(),
        "validity": [[each.block, each.status, each.reason] for each in verdict.validity],
        "detail": verdict.detail,
        "policies": [[each.question, list(each.answers)] for each in verdict.policies],
        "checked": list(verdict.checked),
        "unchecked": list(verdict.unchecked),
    }


def _verdict_from_json(data: Mapping[str, Any]) -> Verdict:
    worst, precision = data["worst"], data["precision"]
    framework, formulation, mode = data["names"]
    return Verdict(
        framework,
        formulation,
        mode,
        kind=Kind(data["kind"]),
        worst=worst and Entry(worst["name"], *map(float.fromhex, worst["numbers"])),
        first_layer=data["first_layer"],
        gates=tuple(_reading_from_json(each) for each in data["gates"]),
        arithmetics=tuple(data["arithmetics"]),
        precision=None if precision is None else float.fromhex(precision),
        validity=tuple(Validity(*each) for each in data["validity"]),
        detail=data["detail"],
        policies=tuple(
            PolicyReading(question, tuple(answers)) for question, answers in data["policies"]
        ),
        checked=tuple(data["checked"]),
        unchecked=tuple(data["unchecked"]),
    )


def _reading_to_json(reading: GateReading) -> list[Any]:
    return [
        reading.layer,
        reading.unit,
        reading.row,
        str(reading.gate),
        float(reading.pre_activation).hex(),
        None if reading.slope is None else float(reading.slope).hex(),
        reading.flipped,
        str(reading.effect),
    ]


def _reading_from_json(data: list[Any]) -> GateReading:
    layer, unit, row, gate, z, slope, flipped, effect = data
    return GateReading(
        layer,
        unit,
        row,
        GateClass(gate),
        float.fromhex(z),
        None if slope is None else float.fromhex(slope),
        flipped,
        Effect(effect),
    )
