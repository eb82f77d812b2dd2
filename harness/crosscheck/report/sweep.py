"""What a person at a terminal sees of a sweep."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from crosscheck.cases.stream.families import FAMILIES
from crosscheck.judge.verdict import Kind
from crosscheck.report.terminal import TerminalReport
from crosscheck.run.events import Event, RunFinished, RunStarted, SweepChecked, WorkerLost
from crosscheck.run.tally import Tally, failing_verdicts

__all__ = ["SweepTerminal"]


class SweepTerminal(TerminalReport):
    """Progress on a terminal: cases per second, the share of each verdict, the time left.

    In a log there is no progress display, and no control character.

    Args:
        folder: Where the other sinks put the files that the last line names.
        until: Seconds that the sweep is to last at most, if it is limited so.
        console: Where to print; the standard output by default.
    """

    def __init__(
        self, folder: Path | None, *, until: float | None = None, console: Console | None = None
    ) -> None:
        super().__init__(folder, console)
        self._until = until
        self._begin = time.monotonic()
        self._before: int | None = None

    def show(self, event: Event, tally: Tally) -> None:
        """Take the next event, which is in ``tally`` already."""
        self._tally = tally
        match event:
            case RunStarted():
                self._header(event)
                done = "" if not tally.cases else f", of which {tally.cases:,} are done"
                planned = "cases" if event.planned is None else f"{event.planned:,} cases"
                self._console.print(f"  sweep: {planned}{done}, seed {event.seed}")
                self._begin, self._before = time.monotonic(), tally.cases
                self._start_progress(event)
            case SweepChecked():
                self._advance()
            case WorkerLost():
                self._lost(event)
            case RunFinished():
                self._stop_progress()
                self._tables(event)

    def _start_progress(self, event: RunStarted) -> None:
        if not self._console.is_terminal:
            return
        self._progress = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._progress.add_task(
            "checking", total=event.planned, completed=self._tally.cases, told="cases"
        )
        self._progress.start()

    def _advance(self) -> None:
        if self._progress is None:
            return
        task = self._progress.tasks[0]
        seconds = time.monotonic() - self._begin
        rate = (self._tally.cases - (self._before or 0)) / seconds if seconds else 0.0
        left = [] if self._until is None else [self._until - seconds]
        if task.total is not None and rate:
            left.append((task.total - self._tally.cases) / rate)
        words = [f"{rate:,.0f} cases/s", shares(self._tally)]
        if left:
            words.append(f"{duration(min(left))} left")
        self._progress.update(task.id, completed=self._tally.cases, told="; ".join(words))

    def _tables(self, event: RunFinished) -> None:
        if self._tally.families:
            self._console.print()
            self._console.print(self._families_table())
        examples = self._examples()
        if examples:
            self._console.print()
            self._console.print("One case of each, to look at again:")
            for kind, command in examples:
                self._console.print(f"  {kind}: {command}", soft_wrap=True, markup=False)
        super()._tables(event)
        for event_ in self._tally.kept:
            for name, script in event_.scripts.items():
                self._console.print()
                self._console.print(f"[bold]a program that shows it in {name} alone[/bold]")
                self._console.print(script, markup=False, soft_wrap=True)

    def _families_table(self) -> Table:
        tally = self._tally
        table = Table(title="Families of cases", title_justify="left")
        table.add_column("family")
        names = list(dict.fromkeys(framework for framework, _ in tally.families))
        for name in names:
            table.add_column(name)
        for family in FAMILIES:
            cells = []
            for name in names:
                kinds = tally.families.get((name, family), {})
                counts = [f"{kind} {kinds[kind]:,}" for kind in Kind if kinds.get(kind)]
                cells.append("\n".join(counts))
            if any(cells):
                table.add_row(family, *cells)
        return table

    def _examples(self) -> list[tuple[str, str]]:
        """A verdict and the command that shows a case with it, for each verdict there is."""
        found: dict[str, str] = {}
        for event in self._tally.kept:
            if event.part != "sweep" or event.shrunk or failing_verdicts(event):
                continue
            for verdict in event.verdicts:
                if verdict.kind is not Kind.AGREES:
                    found.setdefault(str(verdict.kind), event.label.partition("; ")[2])
        return sorted(found.items())


def shares(tally: Tally) -> str:
    """The share of each verdict, over all frameworks, from the most frequent on."""
    totals: dict[Kind, int] = {}
    for kinds in tally.kinds.values():
        for kind, count in kinds.items():
            totals[kind] = totals.get(kind, 0) + count
    whole = sum(totals.values())
    ordered = sorted(totals.items(), key=lambda each: -each[1])
    return ", ".join(f"{kind} {100.0 * count / whole:.3g} %" for kind, count in ordered if count)


def duration(seconds: float) -> str:
    """Seconds for a person: ``1:02:03`` or ``2:03``."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, seconds_ = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds_:02}" if hours else f"{minutes}:{seconds_:02}"
