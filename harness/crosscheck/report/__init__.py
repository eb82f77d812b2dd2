"""Sinks: what turns the stream of events into something to read."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from crosscheck.run.events import Event
from crosscheck.run.tally import Tally

__all__ = ["Sink", "open_sinks", "write_reports"]


class Sink(Protocol):
    """Takes every event of a run."""

    def handle(self, event: Event) -> None:
        """Take the next event."""

    def close(self) -> None:
        """The run is over, in whatever way. Called once."""


@contextlib.contextmanager
def listening(sinks: Sequence[Sink]) -> Iterator[Callable[[Event], None]]:
    """A function that hands an event to each of ``sinks``; they are closed at the end."""

    def emit(event: Event) -> None:
        for sink in sinks:
            sink.handle(event)

    with contextlib.ExitStack() as stack:
        for sink in sinks:
            stack.callback(sink.close)
        yield emit


@contextlib.contextmanager
def open_sinks(folder: Path | None, *, as_json: bool = False) -> Iterator[Callable[[Event], None]]:
    """The sinks of a command: the terminal, and the files in ``folder``.

    Args:
        folder: Gets ``report.json``, ``report.html`` and ``summary.md``, whole or not at all;
            nothing is written without one.
        as_json: Print ``report.json``, and nothing for people.
    """
    from crosscheck.report.html import HtmlReport
    from crosscheck.report.json_ import JsonPrinted, JsonReport
    from crosscheck.report.summary import MarkdownSummary
    from crosscheck.report.terminal import TerminalReport

    stored = JsonReport(folder)
    sinks: list[Sink] = [stored, JsonPrinted(stored) if as_json else TerminalReport(folder)]
    if folder is not None:
        sinks[1:1] = HtmlReport(folder, stored), MarkdownSummary(folder)
    with listening(sinks) as emit:
        yield emit


def write_reports(folder: Path, tally: Tally) -> None:
    """``report.json`` and ``summary.md`` of what was counted so far, each whole or not at all."""
    from crosscheck.report.json_ import as_text
    from crosscheck.report.summary import markdown
    from crosscheck.tools.atomic import write_text_atomically

    write_text_atomically(folder / "report.json", as_text(tally))
    write_text_atomically(folder / "summary.md", markdown(tally))
