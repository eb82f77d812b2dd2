"""The report of a run, from what was counted of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crosscheck.judge.vacuity import Line
from crosscheck.judge.verdict import QUESTIONS, fails
from crosscheck.report.document import (
    Again,
    Answer,
    Answered,
    AtBoundary,
    Bin,
    CertifiedBy,
    Counted,
    Distribution,
    Document,
    Example,
    InFamily,
    Judged,
    KeptCase,
    Key,
    NotChecked,
    Note,
    Policy,
    Ran,
    Swept,
    Validities,
)
from crosscheck.report.policies import Told, choice
from crosscheck.run.certified import Certifications
from crosscheck.run.events import CaseChecked, Part
from crosscheck.run.tally import Boundary, BoundaryKey, Repeats, Tally
from crosscheck.tools.records import Decimal

__all__ = ["document_of"]

_LARGEST_CASE = 20_000
"""Numbers in a case that is written out; a larger one is named by its key only."""


def document_of(tally: Tally) -> Document:
    """The report of a run that has ended, or of what was counted so far."""
    return Document(
        run=_run(tally),
        frameworks=tuple(tally.states()),
        verdicts=tuple(
            Counted(framework, part, _sorted(kinds), *_reductions(tally, framework, part))
            for (framework, part), kinds in sorted(tally.kinds.items())
        ),
        error_over_bound=tuple(
            Distribution(
                *key,
                spread.total,
                spread.median,
                spread.largest,
                tuple(Bin(edge, count) for edge, count in spread.bins()),
            )
            for key, spread in sorted(tally.spreads.items())
            if spread.total
        ),
        relu_boundary=tuple(_at_boundary(*line) for line in sorted(tally.boundary.items())),
        validity=tuple(
            Validities(*key, dict(counts))  # type: ignore[arg-type]
            for key, counts in sorted(tally.validity.items())
        ),
        certified=tuple(_certified(*each) for each in sorted(tally.certified.items())),
        asked_again=tuple(_again(*each) for each in sorted(tally.again.items())),
        not_checked=tuple(map(_not_checked, tally.coverage.lines())),
        policies=tuple(
            Policy(*key, tuple(_answers(told))) for key, told in sorted(tally.policies.items())
        ),
        cases=tuple(map(_kept, tally.kept)),
        sweep=_swept(tally) if tally.families or tally.sweep else None,
    )


def _sorted(counts: Mapping[Any, int]) -> dict[Any, int]:
    return dict(sorted(counts.items()))


def _run(tally: Tally) -> Ran:
    started, finished = tally.started, tally.finished
    assert started is not None
    assert finished is not None
    return Ran(
        command=started.command,
        profile=started.profile,
        seed=started.seed,
        dtypes=started.dtypes,
        environment=dict(sorted(started.environment.items())),
        exit_code=finished.exit_code,
        reason=finished.reason,
        seconds=Decimal(round(finished.seconds, 3)),
        cases=tally.cases,
        distinct_cases=finished.distinct,
        failing_cases=tally.failures,
        cases_not_kept=tally.dropped,
    )


def _reductions(tally: Tally, framework: str, part: Part) -> tuple[dict[str, int], int | None]:
    """Arithmetic to number of REDUCED, and how many of these were allowed; if there are any."""
    key = framework, part
    if key not in tally.arithmetics:
        return {}, None
    return _sorted(tally.arithmetics[key]), tally.allowed[key]


def _at_boundary(key: BoundaryKey, line: Boundary) -> AtBoundary:
    example = None
    if line.example is not None:
        case, reading = line.example
        example = Example(**vars(reading), case=case)
    return AtBoundary(**vars(key), gates=line.gates, cases=line.cases, example=example)


def _again(framework: str, found: Repeats) -> Again:
    return Again(framework, **vars(found))


def _certified(key: tuple[str, str], found: Certifications) -> CertifiedBy:
    said = {**vars(found), "notes": tuple(Note(*each) for each in found.notes)}
    return CertifiedBy(*key, **said)


def _not_checked(line: Line) -> NotChecked:
    return NotChecked(
        line.framework,
        line.dtype,
        line.widths,
        line.rows,
        line.compared,
        line.unchecked,
        {name: empty for name, (_, empty) in line.seen.items() if empty},
        line.never,
        line.operators,
    )


def _answers(told: Told) -> Iterator[Answer]:
    for question in QUESTIONS:
        found = told.get(question, {})
        yield Answer(
            question,
            choice(question, found),
            tuple(Answered(answers, cases) for answers, cases in sorted(found.items())),
        )


def _kept(event: CaseChecked) -> KeptCase:
    small = sum(array.size for _, array in event.case.entries()) <= _LARGEST_CASE
    return KeptCase(
        Key(event.case.key),
        event.part,
        event.label,
        event.shrunk,
        event.case if small else None,
        event.reference if small else None,
        tuple(
            Judged(**vars(verdict), fails=fails(verdict, event.allow)) for verdict in event.verdicts
        ),
        dict(sorted(event.scripts.items())),
    )


def _swept(tally: Tally) -> Swept:
    return Swept(
        tally.sweep,
        tuple(
            InFamily(framework, family, _sorted(kinds))
            for (framework, family), kinds in sorted(tally.families.items())
        ),
        tally.losses,
        tuple(tally.lost),
    )
