"""The report for the page of a CI job: ``summary.md``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from crosscheck.judge.vacuity import SAMPLED
from crosscheck.judge.verdict import MEANING, QUESTIONS, Kind
from crosscheck.network.files import case_to_json
from crosscheck.report.boundary import boundary_rows
from crosscheck.report.policies import policy_rows
from crosscheck.run.events import CaseChecked, Event
from crosscheck.run.tally import Tally, failing_verdicts
from crosscheck.tools.atomic import write_text_atomically
from crosscheck.tools.words import code_in_markdown, cut, fenced, in_markdown

__all__ = ["MarkdownSummary", "markdown"]

_SHOWN_FAILURES = 5


class MarkdownSummary:
    """Writes ``summary.md`` when the run has ended.

    Args:
        folder: Where to write it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "summary.md"
        self._tally = Tally()

    def handle(self, event: Event) -> None:
        """Take the next event."""
        self._tally.add(event)

    def close(self) -> None:
        """Write the summary, unless the run never came to its last event."""
        if self._tally.finished is not None:
            write_text_atomically(self._path, markdown(self._tally))


def markdown(tally: Tally) -> str:
    """The summary as GitHub Markdown."""
    return "\n".join(_lines(tally)) + "\n"


def _lines(tally: Tally) -> Iterator[str]:
    assert tally.started is not None
    yield from _outcome(tally)
    yield from _frameworks(tally)
    yield from _boundary(tally)
    yield from _not_checked(tally)
    yield from _policies(tally)
    yield from _failures(tally)
    yield f"Repeat it: {code_in_markdown(tally.started.command)}"


def _outcome(tally: Tally) -> Iterator[str]:
    started, finished = tally.started, tally.finished
    assert started is not None
    assert finished is not None
    yield f"# Gradient cross-check: {finished.exit_code.word}"
    yield ""
    profile = f", profile {started.profile}" * bool(started.profile)
    seed = "" if started.seed is None else f", seed {started.seed}{profile}"
    yield (
        f"{in_markdown(finished.reason)}. {tally.cases:,} cases, "
        + ("" if finished.distinct is None else f"{finished.distinct:,} of them distinct, ")
        + f"in {finished.seconds:.0f} s{seed}."
    )
    yield ""


def _frameworks(tally: Tally) -> Iterator[str]:
    assert tally.started is not None
    yield from _table(
        ["framework", "version", "formulation", "mode", "verdicts"],
        [
            [
                state.name,
                ", ".join(f"{name} {version}" for name, version in state.versions.items())
                or f"{state.state}: {state.detail}",
                state.formulation,
                state.mode,
                ", ".join(f"{kind} {count:,}" for kind, count in _all_kinds(tally, state.name)),
            ]
            for state in tally.started.frameworks
        ],
    )
    for (name, certificate), found in sorted(tally.certified.items()):
        told = in_markdown(found.words)
        yield f"- {in_markdown(name)}, {in_markdown(certificate)} certificate: {told}"
    for name, repeats in sorted(tally.again.items()):
        yield f"- {in_markdown(name)}: {in_markdown(repeats.words)}"
    if tally.again or tally.certified:
        yield ""


def _boundary(tally: Tally) -> Iterator[str]:
    if tally.boundary:
        yield "## ReLU boundary"
        yield ""
        yield "λ is the derivative of ReLU that a framework used where the gate is not certain."
        yield ""
        yield from _table(
            ["framework", "formulation", "gate", "λ", "gates", "cases", "example"],
            [
                [
                    who,
                    key.formulation,
                    key.gate + (" (other side)" if key.flipped else ""),
                    key.slope,
                    f"{line.gates:,}",
                    f"{line.cases:,}",
                    _Code(f"`{line.example[0]}`") if line.example else "",
                ]
                for who, key, line in boundary_rows(tally)
            ],
        )
    if tally.validity:
        yield "Is the gradient at a kink a generalised derivative, in Clarke's sense?"
        yield ""
        yield from _table(
            ["framework", "formulation", "with respect to", "cases"],
            [
                [
                    framework,
                    formulation,
                    block,
                    ", ".join(f"{status} {count:,}" for status, count in sorted(counts.items())),
                ]
                for (framework, formulation, block), counts in sorted(tally.validity.items())
            ],
        )


def _not_checked(tally: Tally) -> Iterator[str]:
    if shares := tally.coverage.shares():
        yield "## Arrays not checked"
        yield ""
        sampled = SAMPLED if tally.sweep else ""
        yield f"Arrays of the gradient whose bounds cannot tell them from zero{sampled}."
        yield ""
        yield from _table(
            ["dtype", "widest layer", "arrays", "not checked", "share"],
            [[e.dtype, e.width, f"{e.compared:,}", f"{e.unchecked:,}", e.percent] for e in shares],
        )


def _policies(tally: Tally) -> Iterator[str]:
    if tally.policies:
        yield "## NaN, infinities, overflow"
        yield ""
        yield "What each framework does where IEEE 754 leaves it to a ReLU, read off its gradients."
        yield ""
        yield from _table(
            ["framework", "formulation", "mode", *QUESTIONS],
            [[*key, *cells] for key, cells in policy_rows(tally.policies)],
        )


def _failures(tally: Tally) -> Iterator[str]:
    failing = [event for event in tally.kept if failing_verdicts(event)]
    # The smallest forms first: they are what a person reads.
    failing.sort(key=lambda event: not event.shrunk)
    if failing:
        yield f"## Failures: {tally.failures:,} cases"
        yield ""
        for event in failing[:_SHOWN_FAILURES]:
            yield from _failure(event)


def _all_kinds(tally: Tally, framework: str) -> list[tuple[Kind, int]]:
    totals: dict[Kind, int] = {}
    for (name, _), kinds in tally.kinds.items():
        if name == framework:
            for kind, count in kinds.items():
                totals[kind] = totals.get(kind, 0) + count
    return sorted(totals.items(), key=lambda item: list(Kind).index(item[0]))


def _failure(event: CaseChecked) -> Iterator[str]:
    label = in_markdown(event.label)
    yield f"### `{event.case.key}`, {label}{' (shrunk)' if event.shrunk else ''}"
    yield ""
    for verdict in failing_verdicts(event):
        who = in_markdown(f"{verdict.framework} {verdict.formulation}".strip())
        line = f"- **{who}: {verdict.kind}.** "
        worst = verdict.worst
        if worst is not None:
            line += (
                f"{worst.name} is {worst.given!r}, the reference {worst.reference!r}, "
                f"the bound {worst.bound:.3g}. "
            )
        # A library's message is full of "<class …>", which a page would swallow as a tag.
        yield line + in_markdown(cut(verdict.detail or MEANING[verdict.kind]))
    yield ""
    text = json.dumps(case_to_json(event.case))
    if len(text) <= 4000:
        yield from (*fenced(text, "json"), "")
    for name, program in event.scripts.items():
        if len(program) <= 4000:
            alone = f"With {in_markdown(name)} alone:"
            yield from (alone, "", *fenced(program.rstrip(), "python"), "")


class _Code(str):
    """A cell that is Markdown already."""


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(heading) + " |"
    yield "|" + "---|" * len(heading)
    for row in rows:
        cells = (cell if isinstance(cell, _Code) else in_markdown(cell) for cell in row)
        yield f"| {' | '.join(cells)} |"
    yield ""
