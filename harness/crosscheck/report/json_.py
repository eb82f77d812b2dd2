"""The report for machines: ``report.json``, versioned, every float exact."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from crosscheck.judge.vacuity import Line
from crosscheck.judge.verdict import Entry, GateReading, Verdict, fails
from crosscheck.network.composed import AnyCase, AnyGradients
from crosscheck.network.files import case_to_json
from crosscheck.report.policies import policy_lines
from crosscheck.run.events import CaseChecked, Event, Part
from crosscheck.run.records import RECORDS
from crosscheck.run.tally import Tally, boundary_line
from crosscheck.tools.atomic import write_text_atomically

__all__ = ["SCHEMA_VERSION", "JsonReport", "as_text", "document", "number"]

SCHEMA_VERSION = 2

_LARGEST_CASE = 20_000
"""Numbers in a case that is written out; a larger one is named by its key only."""


class JsonReport:
    """Writes ``report.json`` when the run has ended, in whatever way it did.

    Args:
        folder: Where to write it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "report.json"
        self._tally = Tally()

    def handle(self, event: Event) -> None:
        """Take the next event."""
        self._tally.add(event)

    def close(self) -> None:
        """Write the report, unless the run never came to its last event."""
        if self._tally.finished is not None:
            write_text_atomically(self._path, as_text(self._tally))


def number(value: float) -> dict[str, Any]:
    """A float as its exact hexadecimal form and a decimal, which is null for NaN and ±inf."""
    exact = float(value).hex() if math.isfinite(value) else str(float(value))
    return {"hex": exact, "decimal": float(value) if math.isfinite(value) else None}


def as_text(tally: Tally) -> str:
    """What ``report.json`` holds."""
    return json.dumps(document(tally), indent=1, allow_nan=False) + "\n"


def document(tally: Tally) -> dict[str, Any]:
    """The report as what `json.dumps` takes; described by ``schema.json`` beside this module."""
    started, finished = tally.started, tally.finished
    assert started is not None
    assert finished is not None
    return {
        "schema_version": SCHEMA_VERSION,
        "run": {
            "command": started.command,
            "profile": started.profile,
            "seed": started.seed,
            "dtypes": list(started.dtypes),
            "environment": dict(sorted(started.environment.items())),
            "exit_code": int(finished.exit_code),
            "reason": finished.reason,
            "seconds": round(finished.seconds, 3),
            "cases": tally.cases,
            "distinct_cases": finished.distinct,
            "failing_cases": tally.failures,
            "cases_not_kept": tally.dropped,
        },
        "frameworks": [
            {
                "name": state.name,
                "state": state.state,
                "versions": dict(sorted(state.versions.items())),
                "formulation": state.formulation,
                "mode": state.mode,
                "detail": state.detail,
            }
            for state in started.frameworks
        ],
        "verdicts": [
            {
                "framework": framework,
                "part": part,
                "counts": {str(kind): count for kind, count in sorted(kinds.items())},
                **_reductions(tally, framework, part),
            }
            for (framework, part), kinds in sorted(tally.kinds.items())
        ],
        "error_over_bound": [
            {
                "framework": framework,
                "dtype": dtype,
                "depth": depth,
                "cases": spread.total,
                "median": number(spread.median),
                "maximum": number(spread.largest),
                "histogram": [
                    {"up_to": number(edge), "cases": count} for edge, count in spread.bins()
                ],
            }
            for (framework, dtype, depth), spread in sorted(tally.spreads.items())
            if spread.total
        ],
        "relu_boundary": [
            {
                **boundary_line(key, line),
                "example": None
                if line.example is None
                else {"case": line.example[0], **_reading(line.example[1])},
            }
            for key, line in sorted(tally.boundary.items())
        ],
        "validity": [
            {"framework": framework, "formulation": formulation, "block": block, "counts": counts}
            for (framework, formulation, block), counts in sorted(tally.validity.items())
        ],
        "asked_again": [
            {
                "framework": framework,
                "cases": repeats.cases,
                "not_reproducible": repeats.not_reproducible,
                "nondeterministic": repeats.nondeterministic,
            }
            for framework, repeats in sorted(tally.again.items())
        ],
        "not_checked": [coverage_line(line) for line in tally.coverage.lines()],
        "policies": policy_lines(tally.policies),
        "cases": [_case(event) for event in tally.kept],
        **({"sweep": _sweep(tally)} if tally.families or tally.sweep else {}),
    }


def _reductions(tally: Tally, framework: str, part: Part) -> dict[str, Any]:
    """Arithmetic to number of REDUCED, and how many of these were allowed; if there are any."""
    key = framework, part
    if key not in tally.arithmetics:
        return {}
    return {
        "arithmetics": dict(sorted(tally.arithmetics[key].items())),
        "allowed": tally.allowed[key],
    }


def _sweep(tally: Tally) -> dict[str, Any]:
    return {
        "settings": {} if tally.sweep is None else RECORDS.apart(tally.sweep),
        "families": [
            {
                "framework": framework,
                "family": family,
                "counts": {str(kind): count for kind, count in sorted(kinds.items())},
            }
            for (framework, family), kinds in sorted(tally.families.items())
        ],
        # Beside run.seconds, all that depends on how the work was shared out.
        "workers_lost": tally.losses,
        "workers": [
            {"worker": lost.worker, "what": lost.what, "cases": lost.cases} for lost in tally.lost
        ],
    }


def coverage_line(line: Line) -> dict[str, Any]:
    """A line of the table of what was not checked."""
    return {
        "framework": line.framework,
        "dtype": line.dtype,
        "widths": list(line.widths),
        "rows": line.rows,
        "compared": line.compared,
        "not_checked": line.unchecked,
        "arrays": {name: empty for name, (_, empty) in line.seen.items() if empty},
        "never_checked": list(line.never),
    }


def _case(event: CaseChecked) -> dict[str, Any]:
    small = _size(event.case) <= _LARGEST_CASE
    return {
        "key": event.case.key,
        "part": event.part,
        "label": event.label,
        "shrunk": event.shrunk,
        "case": case_to_json(event.case) if small else None,
        "reference": _gradients(event.reference) if small else None,
        "verdicts": [_verdict(verdict, fails(verdict, event.allow)) for verdict in event.verdicts],
        **({"scripts": dict(sorted(event.scripts.items()))} if event.scripts else {}),
    }


def _size(case: AnyCase) -> int:
    return sum(array.size for _, array in case.arrays())


def _gradients(gradients: AnyGradients) -> dict[str, Any]:
    def convert(values: Any) -> Any:
        if isinstance(values, list):
            return [convert(value) for value in values]
        return number(values)

    return {name: convert(np.asarray(value).tolist()) for name, value in gradients.entries()}


def _verdict(verdict: Verdict, failing: bool) -> dict[str, Any]:
    return {
        "framework": verdict.framework,
        "formulation": verdict.formulation,
        "mode": verdict.mode,
        "verdict": str(verdict.kind),
        "fails": failing,
        "worst": None if verdict.worst is None else _entry(verdict.worst),
        "first_layer": verdict.first_layer,
        "gates": [_reading(reading) for reading in verdict.gates],
        "arithmetics": list(verdict.arithmetics),
        "precision": verdict.precision,
        "validity": [
            {"block": each.block, "status": each.status, "reason": each.reason}
            for each in verdict.validity
        ],
        "detail": verdict.detail,
        "not_checked": list(verdict.unchecked),
        "policies": [
            {"question": each.question, "answers": list(each.answers)} for each in verdict.policies
        ],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "given": number(entry.given),
        "reference": number(entry.reference),
        "error": number(entry.error),
        "bound": number(entry.bound),
        "error_over_bound": number(entry.bounds),
        "error_in_ulp": number(entry.ulps),
    }


def _reading(reading: GateReading) -> dict[str, Any]:
    return {
        "layer": reading.layer,
        "unit": reading.unit,
        "row": reading.row,
        "gate": str(reading.gate),
        "pre_activation": number(reading.pre_activation),
        "slope": None if reading.slope is None else number(reading.slope),
        "effect": str(reading.effect),
        "flipped": reading.flipped,
        **(_place(reading) if reading.step else {}),
    }


def _place(reading: GateReading) -> dict[str, Any]:
    """Where a decision of a network of operators is."""
    return {
        "step": reading.step,
        "index": list(reading.index),
        "breakpoint": number(reading.breakpoint),
        "slopes": [number(each) for each in reading.slopes],
    }
