"""The report for a person at a terminal, or for a log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from crosscheck.judge.vacuity import SAMPLED, Share
from crosscheck.judge.verdict import MEANING, QUESTIONS, Kind
from crosscheck.network.files import case_to_json
from crosscheck.report.boundary import boundary_rows
from crosscheck.report.given import GivenCase
from crosscheck.report.policies import policy_rows
from crosscheck.run.events import (
    CaseChecked,
    Event,
    Part,
    RunFinished,
    RunStarted,
    StackChecked,
    WorkerLost,
)
from crosscheck.run.spread import Spread
from crosscheck.run.tally import Tally, failing_verdicts
from crosscheck.tools.consoles import Terminal
from crosscheck.tools.words import exactly

__all__ = ["TerminalReport"]

_SHOWN_FAILURES = 3
_WIDE = 130
"""Columns that every table fits in, with the longest float64 pre-activation and a case key."""
_STYLE = {
    Kind.AGREES: "green",
    Kind.INCONSISTENT: "bold red",
    Kind.DISAGREES: "bold red",
    Kind.CRASHED: "bold red",
    Kind.TIMED_OUT: "bold red",
}


class TerminalReport:
    """Prints what is checked, shows progress on a terminal, and tables at the end.

    In a log there is no progress display and no control character. The variable NO_COLOR is
    respected.

    Args:
        folder: Where the other sinks put the files that the last line names, if anywhere.
        console: Where to print; the standard output by default.
    """

    def __init__(self, folder: Path | None, console: Console | None = None) -> None:
        self._console = console or Terminal()
        if not self._console.is_terminal:
            # A log has no width of its own; tables should not be folded at a guess of it.
            self._console.width = max(self._console.width, _WIDE)
        self._folder = folder
        self._tally = Tally()
        self._progress: Progress | None = None

    def handle(self, event: Event) -> None:
        """Take the next event."""
        self._tally.add(event)
        match event:
            case RunStarted():
                self._header(event)
                self._start_progress(event)
            case StackChecked() if self._progress is not None:
                task = self._progress.task_ids[0]
                self._progress.update(task, advance=event.count, failures=self._tally.failures)
            case CaseChecked(part="given"):
                self._given(event)
            case WorkerLost():
                self._lost(event)
            case RunFinished():
                self._stop_progress()
                self._tables(event)

    def _lost(self, event: WorkerLost) -> None:
        self._console.print(
            f"{escape(event.worker)}: {escape(event.what)}; {escape(event.cases)} again elsewhere"
        )

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._stop_progress()

    # -- before ------------------------------------------------------------------------------

    def _header(self, event: RunStarted) -> None:
        out = self._console
        out.print("[bold]Gradient cross-check[/bold]")
        for state in event.frameworks:
            if state.state == "available":
                versions = ", ".join(f"{name} {number}" for name, number in state.versions.items())
                out.print(f"  {state.name}: {versions}; {state.formulation}, {state.mode}")
            else:
                out.print(f"  {state.name}: [bold]{state.state}[/bold]; {escape(state.detail)}")
        if event.seed is not None and event.profile:
            out.print(
                f"  generated cases: profile {event.profile}, seed {event.seed}, "
                f"{', '.join(event.dtypes)}"
            )

    def _start_progress(self, event: RunStarted) -> None:
        if not self._console.is_terminal or event.seed is None:
            return
        self._progress = Progress(
            TextColumn("checking"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("cases, {task.fields[failures]} failing"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._progress.add_task("checking", total=event.planned, failures=0)
        self._progress.start()

    def _stop_progress(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    # -- the user's own cases ------------------------------------------------------------------

    def _given(self, event: CaseChecked) -> None:
        self._console.print()
        GivenCase(event, self._console).print(_STYLE)

    # -- after -----------------------------------------------------------------------------------

    def _tables(self, event: RunFinished) -> None:
        out = self._console
        out.print()
        out.print(self._verdict_table())
        for (name, certificate), found in sorted(self._tally.certified.items()):
            style = "[bold red]" if found.wrong else "[default]"
            out.print(f"{name}, {certificate} certificate: {style}{escape(found.words)}[/]")
        for name, repeats in sorted(self._tally.again.items()):
            style = "[bold red]" if repeats.nondeterministic else "[default]"
            out.print(f"{name}: {style}{repeats.words}[/]")
        if self._tally.boundary:
            out.print()
            out.print(self._boundary_table())
        if self._tally.validity:
            out.print()
            out.print(self._validity_table())
        if shares := self._tally.coverage.shares():
            out.print()
            out.print(_coverage_table(shares, sampled=bool(self._tally.sweep)))
        if self._tally.policies:
            out.print()
            out.print(self._policy_table())
        self._failures()
        out.print()
        word = event.exit_code.word
        style = {"passed": "bold green", "interrupted": "bold yellow"}.get(word, "bold red")
        started = self._tally.started
        out.print(f"[{style}]{word}[/{style}]: {escape(event.reason)}")
        generated = (
            f"; seed {started.seed}" + f", profile {started.profile}" * bool(started.profile)
            if started is not None and started.seed is not None
            else ""
        )
        plural = "" if self._tally.cases == 1 else "s"
        out.print(
            f"{self._tally.cases:,} case{plural}, "
            + ("" if event.distinct is None else f"{event.distinct:,} distinct, ")
            + f"{event.seconds:.1f} s{generated}"
        )
        if self._folder is None:
            out.print("report: none; --report FOLDER writes one")
        else:
            out.print(f"report: {self._folder / 'report.html'}", soft_wrap=True, markup=False)

    def _verdict_table(self) -> Table:
        """Verdicts down, frameworks and the parts of the run across: this fits 80 columns."""
        tally = self._tally
        columns = [
            (state, part)
            for state in tally.states()
            for part in get_args(Part)
            if (state.name, part) in tally.kinds
        ]
        table = Table(title="Frameworks", title_justify="left")
        table.add_column("verdict")
        for state, part in columns:
            table.add_column(f"{state.name}\n{part}", justify="right")
        counts = [tally.kinds[state.name, part] for state, part in columns]
        for kind in Kind:
            if kind in (Kind.AGREES, Kind.DISAGREES) or any(kind in each for each in counts):
                cells = [f"{each[kind]:,}" if each.get(kind) else "" for each in counts]
                table.add_row(str(kind), *cells, style=_STYLE.get(kind, ""))
        table.add_section()
        for row, name in enumerate(("error / bound, median", "largest")):
            spreads = [
                self._spread(state.name)[row] if part != "boundary" else ""
                for state, part in columns
            ]
            table.add_row(name, *spreads)
        return table

    def _spread(self, framework: str) -> tuple[str, str]:
        whole = Spread()
        for (name, _, _), spread in self._tally.spreads.items():
            if name == framework:
                whole.merge(spread)
        return (f"{whole.median:.2g}", f"{whole.largest:.3g}") if whole.total else ("", "")

    def _boundary_table(self) -> Table:
        table = Table(
            title="ReLU boundary: the derivative λ used where z is zero, or too near to tell",
            title_justify="left",
        )
        for heading in ("framework", "gate", "λ"):
            table.add_column(heading)
        for heading in ("gates", "cases"):
            table.add_column(heading, justify="right")
        # Cut off, neither a pre-activation nor a key is of use: on a narrow terminal they stand
        # below each other.
        narrow = self._console.width < _WIDE
        if narrow:
            table.box = SIMPLE_HEAD
            table.padding = (0, 1, 0, 0)
            table.add_column("z at layer.unit.row\nin case", no_wrap=True)
        else:
            table.add_column("z at layer.unit.row", no_wrap=True)
            table.add_column("in case", no_wrap=True)
        last = ""
        for who, key, line in boundary_rows(self._tally):
            path = f"{who} {key.formulation}"
            place, case = "", ""
            if line.example is not None:
                case, gate = line.example
                z = exactly(gate.value)
                place = gate.where if gate.step else f"{gate.layer}.{gate.unit}.{gate.row}"
                place = f"{z}\nat {place}\nin {case}" if narrow else f"{z} at {place}"
            table.add_row(
                path if path != last else "",
                key.gate + (", other side" if key.flipped else ""),
                key.slope,
                f"{line.gates:,}",
                f"{line.cases:,}",
                *((place,) if narrow else (place, case)),
            )
            last = path
        return table

    def _validity_table(self) -> Table:
        table = Table(
            title="Kinks: is the gradient a generalised derivative (in Clarke's sense)?",
            title_justify="left",
        )
        table.add_column("framework")
        table.add_column("with respect to")
        statuses = ("inside", "outside", "not decided")
        for status in statuses:
            table.add_column(status, justify="right")
        last = ""
        for (framework, formulation, block), counts in sorted(self._tally.validity.items()):
            path = f"{framework} {formulation}"
            cells = [f"{counts[status]:,}" if counts.get(status) else "" for status in statuses]
            table.add_row(path if path != last else "", block, *cells)
            last = path
        return table

    def _policy_table(self) -> Table:
        table = Table(
            title="NaN, infinities, overflow: what IEEE 754 leaves to a ReLU",
            title_justify="left",
        )
        for heading in ("framework", *QUESTIONS):
            table.add_column(heading)
        for (framework, formulation, mode), cells in policy_rows(self._tally.policies):
            table.add_row(", ".join(filter(None, (f"{framework} {formulation}", mode))), *cells)
        return table

    def _failures(self) -> None:
        out = self._console
        failing = [
            event for event in self._tally.kept if event.part != "given" and failing_verdicts(event)
        ]
        failing.sort(key=lambda event: not event.shrunk)
        for event in failing[:_SHOWN_FAILURES]:
            out.print()
            form = "smallest form of a failing case" if event.shrunk else "failing case"
            out.print(f"[bold]{form}[/bold] ({escape(event.label)}, key {event.case.key})")
            for verdict in failing_verdicts(event):
                out.print(
                    f"  {verdict.framework} {verdict.formulation}, {verdict.mode}: "
                    f"[bold red]{verdict.kind}[/bold red]. "
                    f"{escape(verdict.detail or MEANING[verdict.kind])}"
                )
                worst = verdict.worst
                if worst is not None:
                    out.print(
                        f"    {worst.name}: given {worst.given!r}, reference "
                        f"{worst.reference!r}; {worst.distance}"
                        + (
                            f"; first layer out of bounds: {verdict.first_layer}"
                            if verdict.first_layer is not None
                            else ""
                        )
                    )
            text = json.dumps(case_to_json(event.case))
            if len(text) <= 2000:
                out.print(f"  case: {text}", markup=False, soft_wrap=True)
        if len(failing) > _SHOWN_FAILURES:
            out.print(f"  … and {len(failing) - _SHOWN_FAILURES} more in the report")


def _coverage_table(shares: Sequence[Share], *, sampled: bool) -> Table:
    """What was not checked, by dtype and width."""
    title = "Arrays that their bounds cannot tell from zero"
    table = Table(title=f"{title}{SAMPLED if sampled else ''}", title_justify="left")
    table.add_column("dtype")
    for heading in ("widest layer", "arrays", "not checked", "share"):
        table.add_column(heading, justify="right")
    last = ""
    for each in shares:
        counts = f"{each.compared:,}", f"{each.unchecked:,}"
        style = "yellow" if each.unchecked else ""
        table.add_row(
            each.dtype if each.dtype != last else "",
            each.width,
            *counts,
            each.percent,
            style=style,
        )
        last = each.dtype
    return table
